"""Evaluation by training: what full and low-fidelity training share."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lightning as L

from nas_lightning.core.search_space import SearchSpace, child_cost
from nas_lightning.core.strategy import Trial
from nas_lightning.data.user_data import RunData
from nas_lightning.data.view import View
from nas_lightning.evaluation.evaluation import Evaluation, trained_epochs
from nas_lightning.files import replacing
from nas_lightning.training.child import ChildModule, ChildRecipe, build_child
from nas_lightning.training.cost_meter import CostMeter
from nas_lightning.training.task import Task

__all__ = ["Candidates", "EvaluationByTraining"]


@dataclass(frozen=True)
class Candidates:
    """What evaluations need to build and train a run's candidates.

    Attributes:
        space: the search space.
        data: the data set; candidates see its search split only.
        recipe: the child's recipe; its scale knows input shape and classes.
        task: loss and metrics.
        make_trainer: makes a Trainer of so many epochs on the run's hardware, without files.
        folder: where checkpoints of children that may be trained further are kept, if anywhere.
    """

    space: SearchSpace
    data: RunData
    recipe: ChildRecipe
    task: Task
    make_trainer: Callable[[int], L.Trainer]
    folder: Path | None = None

    def checkpoint(self, number: int | None) -> Path | None:
        """Returns the checkpoint of a trial's child, or None where there is none."""
        path = None if self.folder is None else self.folder / f"{number}.ckpt"
        return path if path is not None and path.is_file() else None


class EvaluationByTraining(Evaluation):
    """Trains each child on the search's training part and measures it on the validation part.

    A child of a smaller budget takes the first epochs of the whole schedule. One with a parent
    resumes from the parent's checkpoint and ends as if it had been trained in one go; without a
    checkpoint (the parent diverged, or somebody removed it) it starts anew.

    Args:
        run: what to train on and with.
        recipe: how a candidate is trained, and how big it is; `run.recipe` tells its full size.
        stage: the candidate's view of the data.
    """

    takes_budgets = True

    def __init__(self, run: Candidates, recipe: ChildRecipe, stage: View) -> None:
        self.run, self.recipe, self.stage = run, recipe, stage

    def measures(self) -> frozenset[str]:
        """Returns the names of the child's validation metrics and size."""
        metrics = {f"validation_{name}" for name in (*self.run.task.names, "loss")}
        return frozenset({*metrics, "parameters", "multiply_adds"})

    def samples(self, budget: float = 1.0) -> int:
        """Returns the training samples that one child of this budget processes."""
        batch_size = self.recipe.batch_size or self.run.data.batch_size
        epochs = trained_epochs(budget, self.recipe.epochs)
        return len(self.stage.train_dataloader()) * batch_size * epochs

    def evaluate(self, trial: Trial, seed: int) -> tuple[dict[str, float], CostMeter]:
        """Returns a child's validation metrics and full size, and what its training cost."""
        started = time.perf_counter()
        run, recipe = self.run, self.recipe
        network = build_child(run.space, trial.genotype, recipe.scale, seed)
        module = ChildModule(network, recipe.scale.outputs(), recipe, run.task, seed)
        parent = None if trial.parent is None else run.checkpoint(trial.parent)
        trainer = run.make_trainer(trained_epochs(trial.budget, recipe.epochs))
        try:
            self._fit(trainer, module, trial, parent)
            metrics = {
                name.removeprefix("child/"): float(value)
                for name, value in trainer.callback_metrics.items()
                if name.startswith("child/validation_")
            }
        except FloatingPointError:  # a child that diverges is a bad child; the search continues
            metrics = {f"validation_{run.task.metric}": run.task.worst, "diverged": 1.0}
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
            trainer.validate(
                module, None, parent, verbose=False, datamodule=stage, weights_only=True
            )
            with replacing(parent.with_name(f"{trial.number}.ckpt")) as copy:
                shutil.copyfile(parent, copy)
        else:
            trainer.fit(module, datamodule=stage, ckpt_path=parent, weights_only=True)
            if trial.budget < 1 and folder is not None:
                trainer.save_checkpoint(folder / f"{trial.number}.ckpt")
