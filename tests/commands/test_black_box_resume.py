"""Every black-box strategy, killed and resumed, ends as if nothing had happened, to the bit."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from functools import cache

import pytest
from command import PLANTED, bits, events, run
from hydra.utils import get_object
from omegaconf import OmegaConf
from planted_problem.spaces import PlantedCells
from representatives import some_slow

from nas_lightning.callbacks.epoch_logs import TrialLog
from nas_lightning.config.making import make
from nas_lightning.config.paths import config_dir
from nas_lightning.core.strategy import BlackBoxStrategy
from nas_lightning.evaluation.journal import Journal
from nas_lightning.evaluation.objectives import WeightedProduct
from nas_lightning.evaluation.tabular import TabularEvaluation
from nas_lightning.evaluation.trials import run_trials
from nas_lightning.training.child import ChildModule

SPACE, TRIALS = PlantedCells(), 12
OBJECTIVE = WeightedProduct()
BY_STEPS = {"eta": 17, "rungs": 2}  # budgets that the table has
QUICK = {"fit_steps": 5, "startup": 3, "population": 5, "batch": 2, "start": 3, "children": 2}
QUICK |= {"candidates": 20, "ensemble": 2, "hidden": 8, "layers": 1}


class Kill(BaseException):
    """Stands for a kill."""


def is_black_box(path):
    target = get_object(OmegaConf.load(path)["_target_"])
    return isinstance(target, type) and issubclass(target, BlackBoxStrategy)


FILES = [p for p in sorted((config_dir() / "strategy").glob("*.yaml")) if is_black_box(p)]


@cache
def table(epochs):
    return TabularEvaluation(SPACE, "cifar10", table="synthetic", epochs=epochs)


def search(path, folder, watch=lambda trials: None):
    """Searches the made-up table with a strategy of the configuration, quickly."""
    node = OmegaConf.load(path)
    node["trials"] = TRIALS
    node.update({k: v for k, v in (QUICK | BY_STEPS).items() if k in node})
    values = {"space": SPACE, "seed": 3, "objective": OBJECTIVE}
    strategy = make(node, "strategy", kind=BlackBoxStrategy, **values)
    log = TrialLog(folder / "metrics.csv")

    def write(trials):
        log.write(trials)
        watch(trials)

    evaluation = table(200 if strategy.needs_budgets else 12)
    run_trials(strategy, evaluation, OBJECTIVE, Journal(folder / "trials.jsonl"), None, write)


def after(number):
    """A kill when so many trials are told."""

    def watch(trials):
        if len(trials) == number:
            raise Kill

    return watch


@pytest.mark.parametrize("path", some_slow(FILES, "ppo", "predictor"))
def test_a_search_killed_after_every_trial_and_within_leaves_the_same_files(path, tmp_path):
    search(path, tmp_path / "whole")
    for number in range(1, TRIALS):
        with pytest.raises(Kill):
            search(path, tmp_path / "run", after(number))
        if number % 2:  # what a kill leaves of the next question
            with (tmp_path / "run" / "trials.jsonl").open("a") as file:
                file.write('{"event": "asked", "tri')
    search(path, tmp_path / "run")
    assert bits(tmp_path / "run") == bits(tmp_path / "whole")


TABULAR = (
    *PLANTED,
    "data.source.images=320",
    "evaluation=tabular",
    "evaluation.table=synthetic",
    "evaluation.data=cifar10",
    "objective=accuracy_params",
    "child.epochs=1",
    "child.scale.channels=2",
    "child.scale.cells=3",
    "callbacks=silent",
    "retrain=false",
)


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_command_killed_in_its_search_leaves_the_same_files(path, tmp_path, monkeypatch):
    values = [f"strategy.{k}={v}" for k, v in BY_STEPS.items() if k in OmegaConf.load(path)]
    epochs = ["evaluation.epochs=200"] if values else []
    arguments = (f"strategy={path.stem}", *TABULAR, *values, *epochs)
    run("search", f"hydra.run.dir={tmp_path / 'whole'}", *arguments)
    with monkeypatch.context() as patch:
        write = TrialLog.write

        def dies(self, trials):
            write(self, trials)
            after(5)(trials)

        patch.setattr(TrialLog, "write", dies)
        with pytest.raises(Kill):
            run("search", f"hydra.run.dir={tmp_path / 'run'}", *arguments)
    run("search", f"resume={tmp_path / 'run'}", "trust=true")
    assert bits(tmp_path / "run") == bits(tmp_path / "whole")


CHILDREN = (
    *PLANTED,
    "data.source.images=320",
    "evaluation=low_fidelity",
    "evaluation.epochs=4",
    "evaluation.channels=2",
    "child.scale.channels=2",
    "child.scale.cells=3",
    "child.epochs=1",
    "callbacks=silent",
    "retrain=false",
    "strategy.eta=2",
)
HALVINGS = {  # how many trainings, which of them is killed, and in which epoch
    "successive_halving": (7, 6, 3),
    "hyperband": (4, 2, 2),
}


def by_halving(name):
    trials, *_ = HALVINGS[name]
    numbers = (f"strategy.rungs={trials // 2}", f"strategy.trials={trials}")
    return (f"strategy={name}", *CHILDREN, *numbers)


def in_training(number, epoch):
    """A training step that is killed in the second batch of an epoch of the so-many-th training."""
    original, seen = ChildModule.training_step, []

    def step(self, batch, batch_idx):
        if self not in seen:
            seen.append(self)
        if (len(seen) - 1, self.current_epoch, batch_idx) == (number, epoch, 1):
            raise Kill
        return original(self, batch, batch_idx)

    return step


@pytest.mark.slow
@pytest.mark.parametrize("name", HALVINGS)
def test_a_kill_while_a_promoted_child_is_trained_on_leaves_the_same_files(
    name, tmp_path, monkeypatch
):
    run("search", f"hydra.run.dir={tmp_path / 'whole'}", *by_halving(name))
    _, number, epoch = HALVINGS[name]
    with monkeypatch.context() as patch:
        patch.setattr(ChildModule, "training_step", in_training(number, epoch))
        with pytest.raises(Kill):
            run("search", f"hydra.run.dir={tmp_path / 'run'}", *by_halving(name))
    assert len(list((tmp_path / "run" / "children").iterdir())) == 1  # its parent's
    run("search", f"resume={tmp_path / 'run'}", "trust=true")
    assert bits(tmp_path / "run") == bits(tmp_path / "whole")


def start(*arguments):
    command = [sys.executable, "-m", "nas_lightning", "search", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
@pytest.mark.parametrize("name", HALVINGS)
def test_children_killed_again_and_again_end_with_the_same_bits(name, tmp_path):
    arguments = (*by_halving(name), "data.source.images=2560", "evaluation.epochs=12")
    run("search", f"hydra.run.dir={tmp_path / 'whole'}", *arguments)
    draw, folder = random.Random(name), tmp_path / "run"
    journal, typed, lines = folder / "trials.jsonl", [f"hydra.run.dir={folder}", *arguments], 0
    for _ in range(4):
        one = start(*typed)
        while one.poll() is None and (not journal.exists() or count(journal) <= lines + 1):
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.5))  # somewhere in the next training
        one.kill()
        if one.wait() == 0:
            break
        assert one.returncode == -signal.SIGKILL
        typed, lines = [f"resume={folder}", "trust=true"], count(journal)
    run("search", f"resume={folder}", "trust=true")
    assert bits(folder) == bits(tmp_path / "whole")


@pytest.mark.slow
def test_workers_finish_at_a_sigterm_and_the_search_resumes_to_the_same_bits(tmp_path):
    workers = ("hardware.executor=processes", "hardware.workers=2", "hardware.threads=2")
    arguments = (*by_halving("hyperband"), *workers, "strategy.trials=9")
    run("search", f"hydra.run.dir={tmp_path / 'whole'}", *arguments)
    folder = tmp_path / "run"
    journal, one = folder / "trials.jsonl", start(f"hydra.run.dir={folder}", *arguments)
    while one.poll() is None and (not journal.exists() or count(journal) < 8):
        time.sleep(0.01)
    started = workers_of(folder)
    for worker in started:  # as where the system tells every process
        os.kill(int(worker), signal.SIGTERM)
    one.terminate()
    assert one.wait() == 75
    lines = [*events(folder), *map(json.loads, (folder / "arrived.jsonl").read_text().splitlines())]
    asked = {event["trial"] for event in lines}
    finished = {event["trial"] for event in lines if event.get("event") != "asked"}
    assert asked - finished <= {max(asked)}  # which may not have begun
    limit = time.monotonic() + 20
    while workers_of(folder) and time.monotonic() < limit:
        time.sleep(0.05)
    assert (len(started), workers_of(folder)) == (2, [])
    run("search", f"resume={folder}", "trust=true")
    assert bits(folder) == bits(tmp_path / "whole")


def workers_of(folder):
    """The numbers of the processes that work for the search in a folder."""
    found = subprocess.run(
        ["pgrep", "-f", f"nas_lightning.run.worker {folder}"], capture_output=True, check=False
    )
    return found.stdout.split()


def count(journal):
    return journal.read_bytes().count(b"\n")
