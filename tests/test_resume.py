"""Every way to interrupt a run, and how it ends all the same, to the bit."""

import pytest
import torch
from command import (
    RANDOM,
    TINY_CHILD,
    TINY_RANDOM,
    assert_same_runs,
    result,
    rows,
    run,
    search_into,
)

from nas_lightning.callbacks.checkpoint import RunCheckpoint
from nas_lightning.evaluation import trials as trial_loop
from nas_lightning.modules.child import ChildModule
from nas_lightning.modules.supernet import SupernetModule


class Interruption(BaseException):
    """Stands for a kill at some point of a run."""


def fail_in_epoch(patch, kind, epoch):
    original = kind.training_step

    def step(self, batch, batch_idx):
        if self.current_epoch == epoch and batch_idx == 1:
            raise Interruption
        return original(self, batch, batch_idx)

    patch.setattr(kind, "training_step", step)


def fail_before_the_child(patch):
    def setup(self, *_, **__):
        raise Interruption

    patch.setattr(ChildModule, "configure_optimizers", setup)


def fail_while_saving(patch):
    saved = torch.save

    def save(content, path, *_, **__):
        if content["epoch"] == 1:
            saved({"half": 0}, path)
            raise Interruption
        saved(content, path)

    patch.setattr("nas_lightning.callbacks.files.torch.save", save)


def fail_after_saving(patch):
    original = RunCheckpoint.on_train_epoch_end

    def end(self, trainer, module):
        original(self, trainer, module)
        raise Interruption

    patch.setattr(RunCheckpoint, "on_train_epoch_end", end)


POINTS = {
    "before the first checkpoint": lambda p: fail_in_epoch(p, SupernetModule, 0),
    "in an epoch": lambda p: fail_in_epoch(p, SupernetModule, 1),
    "while a checkpoint is written": fail_while_saving,
    "after a checkpoint": fail_after_saving,
    "between search and retraining": fail_before_the_child,
    "in the retraining": lambda p: fail_in_epoch(p, ChildModule, 1),
}


@pytest.mark.parametrize("point", POINTS)
def test_an_interrupted_run_resumes_to_the_same_bits(finished, tmp_path, point):
    folder = tmp_path / "odd name = 'x'"
    with pytest.MonkeyPatch.context() as patch:
        POINTS[point](patch)
        with pytest.raises(Interruption):
            search_into(folder)
    assert not (folder / "result.json").exists()
    run("search", f"resume={folder}")
    assert_same_runs(folder, finished)


def test_an_interrupted_trial_begins_anew_and_a_torn_line_is_dropped(finished_random, tmp_path):
    folder = tmp_path / "run"
    keyed_seed = trial_loop.keyed_seed

    def interrupted_seed(*key):
        if key[1:] == ("trial", 1):
            raise Interruption
        return keyed_seed(*key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_loop, "keyed_seed", interrupted_seed)
        with pytest.raises(Interruption):
            run("search", f"hydra.run.dir={folder}", *TINY_RANDOM, *RANDOM)
    with (folder / "trials.jsonl").open("a") as file:
        file.write('{"event": "told", "tri')
    run("search", f"resume={folder}")
    assert_same_runs(folder, finished_random)


def test_resume_accepts_only_the_runs_own_overrides(finished, capsys):
    run("search", f"resume={finished}", "strategy.epochs=2", "strategy=darts", "seed=0")
    assert "this run is complete" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run("search", f"resume={finished}", "strategy.epochs=3", "seed=1", "strategy=darts")
    assert "resume: not the run's own: strategy.epochs, seed;" in capsys.readouterr().err


def test_resume_without_a_run_or_with_another_commands_is_refused(finished, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("search", f"resume={tmp_path / 'nothing'}")
    assert "is no run: it has no .hydra/config.yaml" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run("train", f"resume={finished}")
    assert "is a run of nas-search" in capsys.readouterr().err


def test_a_capped_search_does_not_go_on_when_resumed(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    search_into(whole, "max_samples=600")
    with pytest.MonkeyPatch.context() as patch:
        fail_before_the_child(patch)
        with pytest.raises(Interruption):
            search_into(killed, "max_samples=600")
    run("search", f"resume={killed}")
    assert_same_runs(killed, whole)


def test_a_search_killed_after_its_last_trial_keeps_every_row(finished_random, tmp_path):
    folder = tmp_path / "run"

    def kill(*_):
        raise Interruption

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas_lightning.search._say", kill)
        with pytest.raises(Interruption):
            run("search", f"hydra.run.dir={folder}", *TINY_RANDOM, *RANDOM)
    (folder / "metrics.csv").unlink()
    run("search", f"resume={folder}")
    assert_same_runs(folder, finished_random)


def test_a_child_is_trained_from_a_published_genotype_and_resumes(tmp_path):
    arguments = [o for o in TINY_CHILD if "nodes" not in o]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run("train", f"hydra.run.dir={whole}", "genotype=darts_v2", *arguments)
    with pytest.MonkeyPatch.context() as patch:
        fail_in_epoch(patch, ChildModule, 1)
        with pytest.raises(Interruption):
            run("train", f"hydra.run.dir={killed}", "genotype=darts_v2", *arguments)
    run("train", f"resume={killed}")
    assert result(killed) == result(whole)
    assert rows(killed / "child/metrics.csv") == rows(whole / "child/metrics.csv")
