"""Every way to interrupt a run, and how it ends all the same, to the bit."""

import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from command import (
    PUBLISHED,
    RANDOM,
    TINY,
    TINY_RANDOM,
    bits,
    run,
    search_into,
)

from nas_lightning.callbacks.checkpoint import RunCheckpoint
from nas_lightning.evaluation import trials as trial_loop
from nas_lightning.training.child import ChildModule
from nas_lightning.training.supernet import SupernetModule

pytestmark = pytest.mark.usefixtures("unreported")  # reports are no part of the bits


class Kill(BaseException):
    """Stands for a kill at some point of a run."""


def in_epoch(kind, epoch, training=0):
    """A kill in the second step of an epoch, in the so-many-th training of a kind."""

    def arrange(patch):
        original, seen = kind.training_step, []

        def step(self, batch, batch_idx):
            if id(self) not in seen:
                seen.append(id(self))
            if (len(seen) - 1, self.current_epoch, batch_idx) == (training, epoch, 1):
                raise Kill
            return original(self, batch, batch_idx)

        patch.setattr(kind, "training_step", step)

    return arrange


def while_saving(patch):
    """A kill when half of the second checkpoint is written."""
    import torch

    saved = torch.save

    def save(content, path):
        if content["epoch"] == 1:
            path.write_bytes(b"half of a checkpoint")
            raise Kill
        saved(content, path)

    patch.setattr("nas_lightning.callbacks.checkpoint.torch.save", save)


def after_saving(patch):
    original = RunCheckpoint.on_train_epoch_end

    def end(self, trainer, module):
        original(self, trainer, module)
        raise Kill

    patch.setattr(RunCheckpoint, "on_train_epoch_end", end)


def at(name):
    """A kill when a function is called."""

    def arrange(patch):
        def kill(*_, **__):
            raise Kill

        patch.setattr(name, kill)

    return arrange


def in_trial(number):
    def arrange(patch):
        keyed_seed = trial_loop.keyed_seed

        def seed(*key):
            if key[1:] == ("trial", number):
                raise Kill
            return keyed_seed(*key)

        patch.setattr(trial_loop, "keyed_seed", seed)

    return arrange


@pytest.fixture
def killed(tmp_path):
    """Runs a command in a folder of an odd name until it is killed; gives the folder."""

    def killed(arrange, command, *arguments):
        folder = tmp_path / "odd name = 'x'"
        with pytest.MonkeyPatch.context() as patch:
            arrange(patch)
            with pytest.raises(Kill):
                run(command, f'hydra.run.dir="{folder}"', *arguments)
        assert not (folder / "result.json").exists()
        return folder

    return killed


SEARCH_POINTS = {
    "before the first checkpoint": in_epoch(SupernetModule, 0),
    "in an epoch": in_epoch(SupernetModule, 1),
    "while a checkpoint is written": while_saving,
    "after a checkpoint": after_saving,
    "before the genotype is written": at("nas_lightning.commands.search.write_genotype"),
}
CHILD_POINTS = {
    "between search and retraining": at("nas_lightning.training.child.ChildModule.__init__"),
    "in the retraining": in_epoch(ChildModule, 1),
    "in the test of the child": at("nas_lightning.training.child.ChildModule.test_step"),
    "in the baseline": in_epoch(ChildModule, 1, training=1),
    "before the result is written": at("nas_lightning.run.outcome.write_report"),
}
TRIAL_POINTS = {
    "in the first trial": in_trial(0),
    "in a later trial": in_trial(2),
    "after the last trial": at("nas_lightning.run.black_box.chosen_trial"),
    "between search and retraining": at("nas_lightning.run.children.train_child"),
}


def with_slow(points, *slow):
    """Returns the points as parameters, some of them for the slow tests."""
    return [pytest.param(p, marks=pytest.mark.slow if p in slow else ()) for p in points]


@pytest.mark.parametrize(
    "point",
    with_slow(
        SEARCH_POINTS,
        "in an epoch",  # with torn files beside it, this is tested below
        "before the first checkpoint",
        "after a checkpoint",
        "before the genotype is written",
    ),
)
def test_an_interrupted_search_resumes_to_the_same_bits(searched, killed, point):
    folder = killed(SEARCH_POINTS[point], "search", *TINY, "retrain=false")
    run("search", f"resume={folder}")
    assert bits(folder) == bits(searched)


@pytest.mark.slow
def test_an_interrupted_search_among_noise_resumes_to_the_same_bits(tmp_path, killed):
    arguments = ("search_space=darts_s4", "retrain=false")
    search_into(tmp_path / "whole", *arguments)
    folder = killed(in_epoch(SupernetModule, 1), "search", *TINY, *arguments)
    run("search", f"resume={folder}")
    assert bits(folder) == bits(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    with_slow(
        CHILD_POINTS,
        "between search and retraining",
        "in the test of the child",
        "in the baseline",
        "before the result is written",
    ),
)
def test_an_interrupted_retraining_resumes_to_the_same_bits(finished, killed, point):
    folder = killed(CHILD_POINTS[point], "search", *TINY)
    run("search", f"resume={folder}")
    assert bits(folder) == bits(finished)


@pytest.mark.parametrize(
    "point",
    with_slow(TRIAL_POINTS, *TRIAL_POINTS),  # a kill in the second trial is tested below
)
def test_an_interrupted_trial_begins_anew(finished_random, killed, point):
    folder = killed(TRIAL_POINTS[point], "search", *TINY_RANDOM, *RANDOM)
    run("search", f"resume={folder}")
    assert bits(folder) == bits(finished_random)


@pytest.mark.slow
def test_a_torn_line_of_the_journal_is_dropped(finished_random, killed):
    folder = killed(in_trial(1), "search", *TINY_RANDOM, *RANDOM)
    with (folder / "trials.jsonl").open("a") as file:
        file.write('{"event": "told", "tri')
    run("search", f"resume={folder}")
    assert bits(folder) == bits(finished_random)


@pytest.mark.slow
def test_a_search_that_reached_its_cap_does_not_go_on_when_resumed(tmp_path, killed):
    arguments = ("max_samples=600", "retrain=false")
    search_into(tmp_path / "whole", *arguments)
    folder = killed(at("nas_lightning.commands.search.write_genotype"), "search", *TINY, *arguments)
    run("search", f"resume={folder}")
    assert bits(folder) == bits(tmp_path / "whole")


@pytest.mark.slow
def test_what_a_kill_left_of_a_file_is_gone_after_the_resume(searched, killed):
    folder = killed(in_epoch(SupernetModule, 1), "search", *TINY, "retrain=false")
    for name in ("checkpoints/.last.ckpt.tmp", ".metrics.csv.tmp", ".result.json.tmp"):
        (folder / name).write_bytes(b"half")
    with (folder / "alphas.csv").open("a") as file:
        file.write("1,normal/no")
    run("search", f"resume={folder}")
    assert bits(folder) == bits(searched)


@pytest.mark.parametrize("epoch", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_an_interrupted_child_resumes_to_the_same_bits(trained, killed, epoch):
    arguments = (*PUBLISHED, "child.validation_share=0.2")
    folder = killed(in_epoch(ChildModule, epoch), "train", *arguments)
    run("train", f"resume={folder}")
    assert bits(folder) == bits(trained)


def test_a_finished_run_is_told_and_left_as_it_is(finished, capsys):
    before = bits(finished)
    run("search", f"resume={finished}", "strategy.epochs=2", "strategy=darts", "seed=0")
    told = capsys.readouterr().out
    assert told == f"this run is complete; its result is in {finished / 'result.json'}\n"
    assert bits(finished) == before


def error_of(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 1
    return capsys.readouterr().err


def test_other_overrides_than_the_runs_own_are_refused_by_name(finished, capsys):
    typed = ("strategy.epochs=3", "seed=1", "strategy=darts", "child=darts_cifar")
    error = error_of(capsys, "search", f"resume={finished}", *typed)
    assert "resume: not the run's own: strategy.epochs, seed, child; the run in" in error
    line = f"nas-search fork={finished} at=EPOCH strategy.epochs=3 seed=1 child=darts_cifar"
    assert error.endswith(f"leave them out, or start a new run from one of its epochs: {line}\n")


def test_no_fork_is_offered_where_there_can_be_none(finished, finished_random, capsys):
    for folder, typed in [(finished, "data.max_images=7"), (finished_random, "strategy.trials=9")]:
        error = error_of(capsys, "search", f"resume={folder}", typed)
        assert error.endswith("keeps its configuration; leave them out, or start a new run\n")


def test_nothing_and_another_commands_run_are_refused(finished, tmp_path, capsys):
    error = error_of(capsys, "search", f"resume={tmp_path / 'nothing'}")
    assert "is no run: it has no .hydra/config.yaml; name the folder" in error
    error = error_of(capsys, "train", f"resume={finished}")
    assert f"is a run of nas-search; use nas-search resume={finished}" in error


def process(*arguments):
    command = [sys.executable, "-m", "nas_lightning", "search", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module", params=["darts", "random"])
def unbroken(request, tmp_path_factory):
    """Arguments of a search in a process, its unbroken run, and the seconds that it took."""
    folder = tmp_path_factory.mktemp("unbroken") / request.param
    kinds = {"darts": TINY, "random": (*TINY_RANDOM, *RANDOM)}
    arguments = (*kinds[request.param], "child.epochs=4")
    started = time.monotonic()
    assert process(f"hydra.run.dir={folder}", *arguments).wait() == 0
    return arguments, folder, time.monotonic() - started


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("seed", range(3))
def test_a_process_killed_again_and_again_ends_with_the_same_bits(unbroken, tmp_path, stop, seed):
    arguments, whole, seconds = unbroken
    draw = random.Random(f"{stop} {seed}")
    folder = tmp_path / "run"
    typed = [f"hydra.run.dir={folder}", *arguments]
    for _ in range(20):
        one = process(*typed)
        try:
            one.wait(timeout=draw.uniform(0.3, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            one.send_signal(stop)
        if one.wait() == 0:
            break
        assert one.returncode in (-signal.SIGKILL, 75, -signal.SIGTERM)
        if (folder / ".hydra" / "overrides.yaml").exists():
            typed = [f"resume={folder}"]
        else:
            shutil.rmtree(folder, ignore_errors=True)
    assert bits(folder) == bits(whole)


@pytest.mark.parametrize(("text", "version"), [(None, "0.1"), ("0.1.3", "0.1"), ("7.0.0", "7.0")])
def test_a_run_of_another_minor_version_is_not_resumed(searched, tmp_path, capsys, text, version):
    folder = tmp_path / "run"
    shutil.copytree(searched / ".hydra", folder / ".hydra")
    (folder / ".hydra" / "nas_lightning.txt").unlink()
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").touch()
    if text is not None:
        (folder / ".hydra" / "nas_lightning.txt").write_text(text)
    with pytest.raises(SystemExit):
        run("search", f"resume={folder}")
    error = capsys.readouterr().err
    assert f"the run in {folder} is of nas_lightning {text or version}, and this is 0.2" in error
    assert f"pip install 'nas-lightning=={version}.*'" in error
