"""Training one candidate: what every evaluation by training shares."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lightning as L

from nas_lightning.core.search_space import SearchSpace, child_cost
from nas_lightning.core.strategy import Trial
from nas_lightning.data.run_data import RunData
from nas_lightning.data.view import View
from nas_lightning.evaluation.budgets import trained_epochs
from nas_lightning.training.child import ChildModule, ChildRecipe, build_child
from nas_lightning.training.cost_meter import CostMeter
from nas_lightning.training.task import Task

__all__ = ["Candidates", "measured", "stage_samples", "train_candidate"]


@dataclass(frozen=True)
class Candidates:
    """What every evaluation needs to know of a run.

    Attributes:
        space: the search space.
        data: the data set; candidates see its search split only.
        recipe: the child's recipe; its scale knows image shape and classes.
        task: loss and metrics.
        make_trainer: makes a Trainer of so many epochs on the run's hardware, without files.
        folder: where children that may be trained on are kept; None keeps none.
    """

    space: SearchSpace
    data: RunData
    recipe: ChildRecipe
    task: Task
    make_trainer: Callable[[int], L.Trainer]
    folder: Path | None = None

    def kept(self, number: int | None) -> Path | None:
        """Returns the checkpoint of a trial's child, or None where there is none."""
        path = None if self.folder is None else self.folder / f"{number}.ckpt"
        return path if path is not None and path.is_file() else None


def train_candidate(
    run: Candidates, recipe: ChildRecipe, stage: View, trial: Trial, seed: int
) -> tuple[dict[str, float], CostMeter]:
    """Trains one child on the search's training part and measures it on the other.

    A child of a smaller budget takes the first epochs of the whole schedule. One with a parent
    goes on from its checkpoint and ends as if it had been trained in one go; where that is gone,
    since the parent diverged or somebody removed it, it begins anew.

    Args:
        run: what to train on and with.
        recipe: how this child is trained, and how big it is.
        stage: the candidate's view of the data.
        trial: what to build, and how long it is trained.
        seed: seed of its params and training.

    Returns:
        Its validation metrics, parameters and multiply-adds, and what it cost.
    """
    started = time.perf_counter()
    network = build_child(run.space, trial.genotype, recipe.scale, seed)
    module = ChildModule(network, recipe.scale.outputs(), recipe, run.task, seed)
    parent = None if trial.parent is None else run.kept(trial.parent)
    epochs = trained_epochs(trial.budget, recipe.epochs)
    trainer = run.make_trainer(epochs)
    try:
        if parent is not None and trained_epochs(trial.start, recipe.epochs) == epochs:
            trainer.validate(
                module, None, parent, verbose=False, datamodule=stage, weights_only=True
            )
            _copy(parent, parent.with_name(f"{trial.number}.ckpt"))
        else:
            trainer.fit(module, datamodule=stage, ckpt_path=parent, weights_only=True)
            if trial.budget < 1 and run.folder is not None:
                trainer.save_checkpoint(run.folder / f"{trial.number}.ckpt")
        metrics = {
            name.removeprefix("child/"): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("child/validation_")
        }
    except FloatingPointError:  # a child that diverges is a bad child, and the search goes on
        metrics = {f"validation_{run.task.metric}": run.task.worst, "diverged": 1.0}
    cost, is_new = module.meter, int(parent is None)
    seconds = time.perf_counter() - started
    passes = -(-cost.gradient_steps // len(stage.train_dataloader()))
    cost.add(CostMeter(seconds, seconds * trainer.world_size, 0, 0, is_new, passes))
    return metrics | child_cost(run.space, trial.genotype, recipe.scale), cost


def _copy(source: Path, target: Path) -> None:
    """Copies a file that appears whole or not at all."""
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.copyfile(source, temporary)
    os.replace(temporary, target)


def measured(run: Candidates) -> frozenset[str]:
    """Returns the names of what `train_candidate` measures."""
    task = {f"validation_{name}" for name in (*run.task.names, "loss")}
    return frozenset({*task, "parameters", "multiply_adds"})


def stage_samples(stage: View, batch_size: int, epochs: int) -> int:
    """Returns the training samples of so many epochs of a stage."""
    return len(stage.train_dataloader()) * batch_size * epochs
