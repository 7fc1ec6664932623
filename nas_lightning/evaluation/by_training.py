"""Evaluations that train each child: at full length and size, or at low fidelity."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import lightning as L
from lightning.pytorch.utilities.memory import is_oom_error

from nas_lightning.core.checks import at_least
from nas_lightning.core.search_space import SearchSpace, child_cost
from nas_lightning.core.strategy import Trial
from nas_lightning.data.user_data import RunData
from nas_lightning.evaluation.evaluation import Evaluation, trained_epochs
from nas_lightning.files import replacing
from nas_lightning.training.child import ChildModule, ChildRecipe, build_child
from nas_lightning.training.cost_meter import CostMeter
from nas_lightning.training.task import Task

__all__ = ["Candidates", "EvaluationByTraining", "FullTraining", "LowFidelity"]

CHECKPOINT = ".ckpt"  # after the number of a trial


@dataclass(frozen=True)
class Candidates:
    """What evaluations need to build and train a run's candidates.

    Attributes:
        data: the data set; candidates see its search split only.
        recipe: the child's recipe; its scale knows input shape and classes.
        make_trainer: makes a Trainer of so many epochs on the run's hardware, without files; other
            arguments are the Trainer's.
        folder: keeps checkpoints of children that may be trained further; None keeps none.
    """

    space: SearchSpace
    data: RunData
    recipe: ChildRecipe
    task: Task
    make_trainer: Callable[..., L.Trainer]
    folder: Path | None = None

    def checkpoint(self, number: int | None) -> Path | None:
        """Returns the checkpoint of a trial's child, or None where there is none."""
        path = None if self.folder is None else self.folder / f"{number}{CHECKPOINT}"
        return path if path is not None and path.is_file() else None


class EvaluationByTraining(Evaluation):
    """Trains each child on the search's training part and measures it on the validation part.

    A child of a smaller budget takes the first epochs of the whole schedule. One with a parent
    resumes from the parent's checkpoint and ends as if it had been trained in one go; without a
    checkpoint (the parent diverged, or somebody removed it) it starts anew.

    Args:
        recipe: how a candidate is trained, and how big it is; `run.recipe` tells its full size.
        samples: training images, a stratified subset; None takes all.
        image_size: side of the images in pixels; None takes the data's.
    """

    takes_budgets = True

    def __init__(
        self,
        run: Candidates,
        recipe: ChildRecipe,
        samples: int | None = None,
        image_size: int | None = None,
    ) -> None:
        self.run, self.recipe = run, recipe
        self.batch_size = recipe.batch_size or run.data.batch_size
        self.stage = run.data.candidate(samples, image_size, self.batch_size, recipe.cutout)

    def measures(self) -> frozenset[str]:
        """Returns the names of the child's validation metrics and size."""
        metrics = {f"validation_{name}" for name in (*self.run.task.names, "loss")}
        return frozenset({*metrics, "parameters", "multiply_adds"})

    def samples(self, budget: float = 1.0) -> int:
        """Returns the training samples that one child of this budget processes."""
        epochs = trained_epochs(budget, self.recipe.epochs)
        return len(self.stage.train_dataloader()) * self.batch_size * epochs

    def work(self, trial: Trial) -> float:
        """Returns the multiply-adds of a child as it is trained, times its training samples."""
        cost = child_cost(self.run.space, trial.genotype, self.recipe.scale)
        return super().work(trial) * max(1, cost["multiply_adds"])

    def worst(self, trial: Trial) -> dict[str, float]:
        """Returns what is told of a child that diverges or cannot be trained at all."""
        metrics = {f"validation_{self.run.task.metric}": self.run.task.worst}
        return metrics | child_cost(self.run.space, trial.genotype, self.run.recipe.scale)

    def files(self, trial: Trial) -> tuple[list[str], list[str]]:
        """Returns the checkpoints of a trial's parent and of its own child."""
        parent, own = (f"{number}{CHECKPOINT}" for number in (trial.parent, trial.number))
        return ([] if trial.parent is None else [parent]), [own]

    def forget(self, numbers: Sequence[int]) -> None:
        """Removes the checkpoints of trials."""
        for number in numbers:
            if (path := self.run.checkpoint(number)) is not None:
                path.unlink()

    def evaluate(self, trial: Trial, seed: int) -> tuple[dict[str, float], CostMeter]:
        """Returns a child's validation metrics and full size, and what its training cost.

        Raises: MemoryError: the child does not fit into memory.
        """
        started = time.perf_counter()
        run, recipe = self.run, self.recipe
        network = build_child(run.space, trial.genotype, recipe.scale, seed)
        module = ChildModule(network, recipe.scale.outputs(), recipe, run.task, seed)
        parent = None if trial.parent is None else run.checkpoint(trial.parent)
        epochs = trained_epochs(trial.budget, recipe.epochs)
        trainer = run.make_trainer(epochs, check_val_every_n_epoch=epochs)  # its end alone counts
        try:
            self._fit(trainer, module, trial, parent)
            logged = {n.removeprefix("child/"): v for n, v in trainer.callback_metrics.items()}
            metrics = {n: float(v) for n, v in logged.items() if n.startswith("validation_")}
        except FloatingPointError:  # a child that diverges is a bad child; the search continues
            metrics = {f"validation_{run.task.metric}": run.task.worst, "diverged": 1.0}
        except RuntimeError as error:
            if not is_oom_error(error):  # on the CPU torch has no class for it
                raise
            raise MemoryError(f"with batches of {self.batch_size}") from error
        cost, is_new = module.meter, int(parent is None)
        seconds = time.perf_counter() - started
        passes = -(-cost.gradient_steps // len(self.stage.train_dataloader()))
        cost.add(CostMeter(seconds, seconds * trainer.world_size, 0, 0, is_new, passes))
        return metrics | child_cost(run.space, trial.genotype, run.recipe.scale), cost

    def _fit(
        self, trainer: L.Trainer, module: ChildModule, trial: Trial, parent: Path | None
    ) -> None:
        """Trains a child, or only validates it where its budget buys no further epoch."""
        stage, folder = self.stage, self.run.folder
        start = trained_epochs(trial.start, self.recipe.epochs)
        if parent is not None and start == trainer.max_epochs:
            trainer.validate(module, None, parent, False, datamodule=stage, weights_only=True)
            with replacing(parent.with_name(f"{trial.number}{CHECKPOINT}")) as copy:
                shutil.copyfile(parent, copy)
        else:
            trainer.fit(module, datamodule=stage, ckpt_path=parent, weights_only=True)
            if trial.budget < 1 and folder is not None:
                trainer.save_checkpoint(folder / f"{trial.number}{CHECKPOINT}")


class FullTraining(EvaluationByTraining):
    """Trains every child with the final child's own recipe (Zoph & Le, 2017, 1611.01578)."""

    def __init__(self, run: Candidates) -> None:
        super().__init__(run, run.recipe)


class LowFidelity(EvaluationByTraining):
    """Trains a reduced copy of every child (Zoph et al., NASNet, 2018, 1707.07012).

    Parameters and multiply-adds are those of the child at its full size.

    Args:
        epochs: passes over the images; null takes the child recipe's.
        channels: channels of the reduced child; null takes the child's.
        cells: cells of the reduced child; null takes the child's.
        image_size: side of its images in pixels; null takes the data's.
        samples: training images, a stratified subset; null takes all.

    Raises: ValueError: a value is out of range, or the reduced child cannot be built.
    """

    def __init__(
        self,
        run: Candidates,
        epochs: int | None = 5,
        channels: int | None = 8,
        cells: int | None = 3,
        image_size: int | None = None,
        samples: int | None = None,
    ) -> None:
        at_least("evaluation.epochs", epochs, 1, use=5)
        at_least("evaluation.samples", samples, 1, use=1000)
        full = run.recipe
        shape = full.scale.sample_shape()
        if image_size is not None:
            shape = (shape[0], image_size, image_size)
        sizes: dict[str, Any] = {"channels": channels, "cells": cells, "input_shape": shape}
        scale = replace(full.scale, **{k: v for k, v in sizes.items() if v is not None})
        batch_size = full.batch_size or run.data.batch_size
        if samples is not None:
            batch_size = min(batch_size, samples)
        epochs = full.epochs if epochs is None else epochs
        recipe = replace(full, epochs=epochs, scale=scale, batch_size=batch_size)
        super().__init__(run, recipe, samples, image_size)
        child_cost(run.space, run.space.sample(Random(0)), scale)  # refuses an impossible scale
