"""What no data could make possible is refused before an image is read, and leaves no folder."""

import subprocess
import sys
from pathlib import Path

import pytest
from command import run
from representatives import some_slow

import nas_lightning as nl
from nas_lightning.data.module import ImageDataModule
from nas_lightning.run.folder import RunLock

FEW_CHOICES = ("search_space.nodes=1", "child.scale.channels=2", "child.scale.cells=3")
SEARCHES = {
    "strategy": (["strategy.epochs=0"], "strategy.epochs (0) must be at least 1"),
    "key of the strategy": (["+strategy.new=1"], "unknown key 'strategy.new'"),
    "strategy and space": (
        ["search_space=chain", "search_space.strides=[1,2]"],
        "search space 'chain' with strides [1, 2] has no supernet",
    ),
    "evaluation": (["evaluation=low_fidelity"], "has no effect: strategy Darts is one-shot"),
    "workers of a supernet": (
        ["hardware.executor=processes"],
        "hardware.executor (processes) has no effect: strategy Darts is one-shot and trains one",
    ),
    "several children of one supernet": (
        ["hardware.in_flight=2"],
        "hardware.in_flight (2) has no effect: strategy Darts is one-shot",
    ),
    "executor": (["hardware.executor=rey"], "unknown hardware.executor 'rey'; choose from: serial"),
    "actors of one supernet": (
        ["hardware.executor=ray"],
        "hardware.executor (ray) has no effect: strategy Darts is one-shot and trains one",
    ),
    "workers beyond the cores": (
        ["strategy=random", "hardware.executor=ray", "hardware.workers=5000"],
        "hardware.workers (5000) must not exceed the",
    ),
    "children ahead of their rewards": (
        ["strategy=annealing", "hardware.in_flight=2"],
        "hardware.in_flight (2) must be 1 for strategy Annealing, in which every trial follows",
    ),
    "objective": (["strategy=random", "objective.x=1"], "unknown key 'objective.x'"),
    "callback": (["callbacks.collapse.share=7"], "callbacks.collapse.share (7.0) must be in (0,"),
    "scale": (["search_space.scale.partial=3"], "partial"),
    "child": (["child.scale.channels=0"], "scale.channels (0) must be at least 2"),
    "child's space": (["search_space=nasbench201", "child.scale.auxiliary=true"], "auxiliary head"),
    "class of the space": (["search_space._target_=no.No"], "'no.No' cannot be imported"),
    "export": (["export=[tflite]"], "unknown export 'tflite'"),
    "cap": (["max_samples=0"], "max_samples (0) must be at least 1"),
    "time": (["max_seconds=0"], "max_seconds (0.0) must be in (0, inf); use e.g. 300"),
    "time that is none": (["max_seconds=nan"], "max_seconds (nan) must be in (0, inf)"),
    "time in all": (["max_seconds_in_all=-1"], "max_seconds_in_all (-1.0) must be in (0, inf)"),
    "time of both": (
        ["max_seconds=9", "max_seconds_in_all=9"],
        "max_seconds (9), of the search, must be below max_seconds_in_all (9); leave one",
    ),
    "verdict": (["verdict.children=-1"], "verdict.children (-1) must be at least 0; use e.g. 24"),
    "verdict of nothing": (
        ["verdict.children=9", "retrain=false"],
        "verdict.children (9) has no effect where the child is not compared; give retrain=true",
    ),
    "login": (["logger=wandb", "logger.wandb.mode=onlin"], "unknown logger.wandb.mode 'onlin'"),
    "limit": (["limits.parameters=-5"], "limits.parameters (-5) must be in (0, inf)"),
    "name of a limit": (["limits.paramters=5"], "'limits.paramters'; choose from: latency_ms,"),
    "unit of a limit": (
        ["limits.parameters=90kk"],
        "'kk'; choose from: k, M, G, or none; did you mean limits.parameters=90k?",
    ),
    "unit of a time": (
        ["max_seconds=5 parsecs"],
        "max_seconds (5 parsecs) must be seconds, or a time of h, m and s; use e.g. 300, 90s, 5m",
    ),
    "limit without latencies": (
        ["limits.latency_ms=1"],
        "limits.latency_ms (1 ms) needs latencies",
    ),
    "limits": (["limits=5"], "limits=5 must name a key; write limits.KEY=VALUE"),
    "limit below every child": (
        ["limits.parameters=100", "data=cifar10", *FEW_CHOICES],
        "the smallest has at least 316, and more with more input channels or outputs than one,",
    ),
    "limit below every child of known data": (
        ["limits.parameters=100", *FEW_CHOICES],
        "at child.scale: the smallest has 316; raise the limit to that",
    ),
    "limit of work below every child": (
        ["limits.multiply_adds=1k", "data.image_size=8", "data.channels=1", *FEW_CHOICES],
        "limits.multiply_adds (1,000) is below every child of search space 'darts' at child.scale",
    ),
    "objective as a limit": (
        ["strategy=random", "objective=accuracy_params", "objective.form=limit"],
        "a hard bound is limits.parameters=100000 of nas-search",
    ),
    "seed": (["seed=9223372036854775808"], "must be a number of 64 bits"),
}


@pytest.fixture
def unread(monkeypatch):
    """Lets no data be read."""

    def load(self):
        raise AssertionError("the data were read")

    monkeypatch.setattr(ImageDataModule, "load", load)


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Gives the message of a command that is refused in an empty folder, and leaves it so."""
    monkeypatch.chdir(tmp_path)

    def refused(command, *arguments):
        with pytest.raises(SystemExit):
            run(command, *arguments)
        assert list(tmp_path.iterdir()) == []
        return capsys.readouterr().err

    return refused


LIKE_OTHERS = (
    "workers of a supernet",
    "actors of one supernet",
    "time",
    "time that is none",
    "time in all",
    "verdict",
    "limit",
    "child",
    "cap",
)


@pytest.mark.parametrize("case", some_slow(SEARCHES, *LIKE_OTHERS))
def test_a_search_is_refused_before_its_data_are_read(case, refused, unread):
    arguments, message = SEARCHES[case]
    assert message in refused("search", *arguments)


@pytest.mark.parametrize(
    "named",
    [
        "darts_v3",
        "nasbench201_best search_space=darts",
        "darts_v2 logger=wandb logger.wandb.mode=onlin",
        "darts_v2 child.scale.partial=3",
    ],
)
def test_a_genotype_is_refused_before_its_data_are_read(named, refused, unread):
    assert "error: " in refused("train", *named.split())


def test_a_size_that_is_typed_is_checked_before_the_data_are_read(refused, unread):
    arguments = ("data.image_size=8", "data.channels=1", "search_space.scale.stem=imagenet")
    assert "images of 8 pixels are too small for the reductions" in refused("search", *arguments)


@pytest.mark.parametrize("place", ["run", "a/b/run", "outputs/day/run"])
def test_a_refused_run_leaves_no_folder_where_it_was_to_be(place, refused):
    refused("search", "strategy.epochs=0", f"hydra.run.dir={place}")


def test_a_refused_run_leaves_the_folders_that_were_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine/empty").mkdir(parents=True)
    Path("full").mkdir()
    Path("full/notes.txt").touch()
    for place in ("mine/empty", "mine/new", "full", "full/new"):
        with pytest.raises(SystemExit):
            run("search", "strategy.epochs=0", f"hydra.run.dir={place}")
    left = {str(path) for path in Path().rglob("*")}
    assert left == {"mine", "mine/empty", "full", "full/notes.txt"}


def test_a_refused_sweep_of_no_job_leaves_no_folder(refused):
    assert "unknown option 'dart' of strategy" in refused("search", "-m", "strategy=dart")


def test_a_refused_run_leaves_what_another_command_has_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lock = RunLock()
    lock.take(Path("run"))
    command = [sys.executable, "-m", "nas_lightning", "search", "hydra.run.dir=run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lock.release()
    assert "must not be used by two runs at once" in done.stderr
    assert Path("run/.hydra/lock").is_file()


def test_a_refused_call_in_python_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in (None, "run", tmp_path / "a" / "b"):
        with pytest.raises(ValueError, match=r"strategy\.epochs \(0\) must be at least 1"):
            nl.search(overrides=["strategy.epochs=0"], folder=folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nl.search(retrian=False), "argument 'retrian'; .*; did you mean 'retrain'"),
        (lambda: nl.show("darts_v2", chanels=3), "'chanels'; .*; did you mean 'channels'"),
        (lambda: nl.search(limits={"paramters": 5}), "'limits.paramters'; .*mean 'parameters'"),
        (lambda: nl.search(max_seconds="5 parsecs"), r"max_seconds \(5 parsecs\) must be seconds"),
        (lambda: nl.search(strategy="dart"), "strategy 'dart'; .*; did you mean 'darts'"),
    ],
)
def test_a_wrong_name_in_python_gets_the_likely_one(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
