"""Training one candidate: what every evaluation by training shares."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import lightning as L

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace, child_cost
from nas_lightning.data.contract import RunData
from nas_lightning.data.stage import Stage
from nas_lightning.modules.child import ChildModule, ChildRecipe, build_child
from nas_lightning.modules.meter import CostMeter
from nas_lightning.modules.task import Task

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
    """

    space: SearchSpace
    data: RunData
    recipe: ChildRecipe
    task: Task
    make_trainer: Callable[[int], L.Trainer]


def train_candidate(
    run: Candidates, recipe: ChildRecipe, stage: Stage, genotype: Genotype, seed: int
) -> tuple[dict[str, float], CostMeter]:
    """Trains one child on the search's training part and measures it on the other.

    Args:
        run: what to train on and with.
        recipe: how this child is trained, and how big it is.
        stage: the candidate's view of the data.
        genotype: what to build.
        seed: seed of its params and training.

    Returns:
        Its validation metrics, parameters and multiply-adds, and what it cost.
    """
    started = time.perf_counter()
    network = build_child(run.space, genotype, recipe.scale, seed)
    module = ChildModule(network, recipe.scale.outputs(), recipe, run.task, seed)
    trainer = run.make_trainer(recipe.epochs)
    try:
        trainer.fit(module, datamodule=stage)
        metrics = {
            name.removeprefix("child/"): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("child/validation_")
        }
    except FloatingPointError:  # a child that diverges is a bad child, and the search goes on
        metrics = {f"validation_{run.task.metric}": run.task.worst, "diverged": 1.0}
    cost = module.meter
    seconds = time.perf_counter() - started
    cost.add(CostMeter(seconds, seconds * trainer.world_size, 0, 0, 1, recipe.epochs))
    return metrics | child_cost(run.space, genotype, recipe.scale), cost


def measured(run: Candidates) -> frozenset[str]:
    """Returns the names of what `train_candidate` measures."""
    task = {f"validation_{name}" for name in (*run.task.names, "loss")}
    return frozenset({*task, "parameters", "multiply_adds"})


def stage_samples(stage: Stage, batch_size: int, epochs: int) -> int:
    """Returns the training samples of so many epochs of a stage."""
    return len(stage.train_dataloader()) * batch_size * epochs
