"""One search from the command line to its files, and every way to interrupt it."""

import csv
import json
from pathlib import Path

import pytest
import torch
from command import TINY, TINY_CHILD, run, search_into

import nas_lightning
from nas_lightning.callbacks.checkpoint import RunCheckpoint
from nas_lightning.evaluation import trials as trial_loop
from nas_lightning.modules.child import ChildModule
from nas_lightning.modules.supernet import SupernetModule

RANDOM = ("strategy=random", "strategy.trials=3")
TINY_RANDOM = tuple(o for o in TINY if o != "strategy.epochs=2")


class Interruption(BaseException):
    """Stands for a kill at some point of a run."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    search_into(folder)
    return folder


@pytest.fixture(scope="module")
def finished_random(tmp_path_factory):
    folder = tmp_path_factory.mktemp("random") / "run"
    run("search", f"hydra.run.dir={folder}", *TINY_RANDOM, *RANDOM)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def without_times(value):
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if not k.endswith("_s")}
    return value


def result(folder: Path) -> dict:
    content = json.loads((folder / "result.json").read_text())
    return without_times({k: v for k, v in content.items() if k != "command"})


def events(folder: Path) -> list[dict]:
    lines = (folder / "trials.jsonl").read_text().splitlines()
    return [without_times(json.loads(line)) for line in lines]


def assert_same_runs(found: Path, wanted: Path) -> None:
    assert result(found) == result(wanted)
    for name in ("metrics.csv", "child/metrics.csv", "baselines/random_genotype/metrics.csv"):
        mine = [{k: v for k, v in row.items() if "wall_s" not in k} for row in rows(found / name)]
        assert mine == rows(wanted / name)
    if (wanted / "alphas.csv").exists():
        assert (found / "alphas.csv").read_bytes() == (wanted / "alphas.csv").read_bytes()
    else:
        assert events(found) == events(wanted)


def test_a_search_leaves_the_documented_files(finished):
    for name in (
        "genotype.json",
        "genotypes/epoch=000.json",
        "genotypes/epoch=001.json",
        "genotype.svg",
        "alphas.csv",
        "metrics.csv",
        "result.json",
        "report.html",
        "checkpoints/last.ckpt",
        "child/last.ckpt",
        "child/metrics.csv",
    ):
        assert (finished / name).is_file(), name
    assert not list(finished.rglob("*.tmp"))


def test_the_result_says_what_was_done_and_found(finished):
    content = json.loads((finished / "result.json").read_text())
    assert {"space", "strategy", "data", "seed", "genotype_id", "split", "versions", "threads",
            "command", "search", "child", "baselines"} <= set(content)  # fmt: skip
    assert (content["space"], content["strategy"], content["data"]) == ("darts", "darts", "digits")
    cost = {"wall_s", "device_s", "training_samples", "gradient_steps", "children_trained",
            "epochs_trained"}  # fmt: skip
    assert set(content["search"]["cost"]) == set(content["child"]["cost"]) == cost
    assert content["search"]["cost"]["training_samples"] == 2 * 2 * 2 * 256
    assert content["search"]["cost"]["epochs_trained"] == 2
    assert 0 < content["search"]["alpha_entropy_end"] < content["search"]["alpha_entropy_start"]
    assert set(content["baselines"]) == {"random_genotype", "logistic_regression"}
    assert content["baselines"]["logistic_regression"]["test_accuracy"] > 0.9


def test_alphas_are_logged_from_the_start_in_full_precision(finished):
    lines = rows(finished / "alphas.csv")
    assert {line["epoch"] for line in lines} == {"-1", "0", "1"}
    first = [float(x["weight"]) for x in lines if x["choice"] == "normal/edge_0_2"][:8]
    assert sum(first) == pytest.approx(1, abs=1e-6)


def test_a_loaded_child_gives_the_tested_accuracy_and_class_names(finished):
    child = nas_lightning.load_child(finished)
    assert child.class_names == tuple("0123456789")
    assert not child.training
    from nas_lightning.data.module import ImageDataModule
    from nas_lightning.data.sources import digits

    data = ImageDataModule(digits, seed=0)
    images, labels = data.test_arrays()
    with torch.inference_mode():
        guesses = child(torch.from_numpy(images)).argmax(1)
    accuracy = float((guesses == torch.from_numpy(labels)).float().mean())
    assert accuracy == pytest.approx(result(finished)["child"]["test_accuracy"], abs=1e-6)


def test_a_loaded_child_classifies_an_image_file(finished, tmp_path):
    from PIL import Image

    Image.new("L", (20, 30), 200).save(tmp_path / "image.png")
    (name,) = nas_lightning.load_child(finished).classify(tmp_path / "image.png")
    assert name in tuple("0123456789")


def test_selection_never_reads_the_test_set(finished, tmp_path, monkeypatch):
    from nas_lightning.data import sources

    honest = sources.digits

    def poisoned(**arguments):
        arrays = honest(**arguments)
        object.__setattr__(arrays, "test_labels", arrays.test_labels.flip(0))
        return arrays

    monkeypatch.setattr(sources, "digits", poisoned)
    search_into(tmp_path / "run", "retrain=false")
    assert (tmp_path / "run/alphas.csv").read_bytes() == (finished / "alphas.csv").read_bytes()
    content = json.loads((tmp_path / "run/result.json").read_text())
    assert content["genotype_id"] == result(finished)["genotype_id"]
    assert content["child"] is content["baselines"] is None


def test_random_search_keeps_a_journal_and_returns_the_best(finished_random):
    told = [e for e in events(finished_random) if e["event"] == "told"]
    assert [e["trial"] for e in told] == [0, 1, 2]
    best = max(told, key=lambda e: e["reward"])
    content = result(finished_random)
    assert content["genotype_id"] == best["genotype_id"]
    assert content["search"]["validation_accuracy"] == best["validation_accuracy"]
    assert content["search"]["cost"]["children_trained"] == 3


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
    assert "resume: strategy.epochs, seed differ from the run" in capsys.readouterr().err


def test_resume_without_a_run_or_with_another_commands_is_refused(finished, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("search", f"resume={tmp_path / 'nothing'}")
    assert "is no run: it has no .hydra/config.yaml" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run("train", f"resume={finished}")
    assert "is a run of nas-search" in capsys.readouterr().err


def test_the_cap_of_samples_is_honoured(tmp_path, capsys):
    search_into(tmp_path / "run", "max_samples=600", "retrain=false")
    content = json.loads((tmp_path / "run/result.json").read_text())
    assert content["search"]["cost"]["training_samples"] == 1024  # two steps of 2 * 256
    with pytest.raises(SystemExit):
        run("search", f"hydra.run.dir={tmp_path / 'b'}", *TINY_RANDOM, *RANDOM, "max_samples=100")
    assert "max_samples (100) must allow at least one trial" in capsys.readouterr().err


def test_low_fidelity_trains_smaller_children(tmp_path):
    run("search", f"hydra.run.dir={tmp_path}", *TINY_RANDOM, *RANDOM, "retrain=false",
        "evaluation=low_fidelity", "evaluation.epochs=1", "evaluation.samples=256",
        "evaluation.channels=2")  # fmt: skip
    told = [e for e in events(tmp_path) if e["event"] == "told"]
    assert {e["cost"]["training_samples"] for e in told} == {256}


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


def test_a_held_out_share_keeps_the_best_epoch(tmp_path):
    arguments = [o for o in TINY_CHILD if "nodes" not in o]
    run("train", f"hydra.run.dir={tmp_path}", "genotype=darts_v2", *arguments,
        "child.validation_share=0.2")  # fmt: skip
    assert (tmp_path / "child/best.ckpt").is_file()
    assert "child/validation_accuracy" in rows(tmp_path / "child/metrics.csv")[0]


def test_show_prints_the_published_size_as_json(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("show", "genotype=darts_v2", "json=true")
    content = json.loads(capsys.readouterr().out)
    assert content["parameters"] == 3_349_342
    assert (tmp_path / "genotype.svg").read_text().startswith("<svg")


def test_a_sweep_summarises_its_runs(tmp_path, capsys):
    run("search", "-m", f"hydra.sweep.dir={tmp_path}", *TINY, "strategy.order=first,second",
        "seed=0,1", "retrain=false")  # fmt: skip
    table = (tmp_path / "summary.md").read_text()
    assert "| strategy.order | runs | search validation | child test | parameters |" in table
    assert table.count("±") == 2
    assert "second" in capsys.readouterr().out


def test_a_failing_job_of_a_sweep_is_named_and_the_others_finish(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("search", "-m", f"hydra.sweep.dir={tmp_path}", *TINY, "retrain=false",
            "search_space.nodes=0,1")  # fmt: skip
    assert (tmp_path / "1" / "result.json").is_file()
    captured = capsys.readouterr()
    assert f"no result: {tmp_path / '0'}" in captured.out
    assert "nodes (0) must be at least 1" in captured.err
