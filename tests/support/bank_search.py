"""Searches whose children inherit from a bank, and kills in the middle of them."""

from dataclasses import replace

import torch

from nas_lightning.core.scale import Scale
from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.sources import digits
from nas_lightning.evaluation.by_training import Candidates
from nas_lightning.evaluation.executors import SerialExecutor
from nas_lightning.evaluation.inherited import Inherited
from nas_lightning.evaluation.journal import Journal
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.evaluation.trials import run_trials
from nas_lightning.evaluation.weight_bank import BankFolder
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.evolution import Evolution
from nas_lightning.training.child import ChildRecipe
from nas_lightning.training.hardware import Hardware
from nas_lightning.training.task import Classification

__all__ = [
    "BATCH",
    "QUICK",
    "SCALE",
    "SPACE",
    "Kill",
    "candidates",
    "dies_before",
    "same",
    "search",
]

SPACE = NasBench201Space()
SCALE = Scale(4, 3, flavour="child", input_shape=(1, 8, 8), num_outputs=10)
BATCH = 64
QUICK = {"steps": 2, "warmup": 1, "warmup_steps": 3, "recalibration": 1}
COSTS = ("training_samples", "gradient_steps", "children_trained")


class Kill(BaseException):
    """Stands for a kill."""


def candidates():
    data = ImageDataModule(digits, seed=0, batch_size=BATCH, max_images=640)
    recipe = ChildRecipe(epochs=2, scale=SCALE)
    return Candidates(SPACE, data, recipe, Classification(), Hardware().trainer)


def search(run, folder, trials=4, kind=SerialExecutor, in_flight=1, **more):
    """Searches; returns the journal without times, the last version, and the files at every tell.

    The executor has an evaluation of its own, as a worker does.
    """
    own = replace(run, folder=folder / "children")
    driver, worker = (Inherited(own, **QUICK) for _ in range(2))
    journal, files = Journal(folder / "trials.jsonl"), []
    run_trials(
        Evolution(SPACE, seed=5, trials=trials, population=2),
        driver,
        Accuracy(run.task),
        journal,
        watch=lambda trials: files.append({path.name for path in own.folder.iterdir()}),
        executor=kind(worker),
        in_flight=in_flight,
        arrived=folder / "arrived.jsonl" if in_flight > 1 else None,
        **more,
    )
    events = [
        {k: v for k, v in event.items() if k != "cost"}
        | {name: event.get("cost", {}).get(name) for name in COSTS}
        for event in journal.events()
    ]
    return events, BankFolder(own.folder).bank(journal.num_told), files


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def dies_before(monkeypatch, target, name, number):
    """Has a kill come when a method is called for that time (1-based)."""
    original, calls = getattr(target, name), []

    def method(self, *arguments):
        calls.append(arguments)
        if len(calls) == number:
            raise Kill
        return original(self, *arguments)

    monkeypatch.setattr(target, name, method)
