"""Low fidelity: children are trained shorter, smaller, and on less."""

from dataclasses import replace
from random import Random

from nas_lightning.core.search_space import child_cost
from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.budgets import trained_epochs
from nas_lightning.evaluation.candidates import (
    Candidates,
    measured,
    stage_samples,
    train_candidate,
)
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.training.cost_meter import CostMeter

__all__ = ["LowFidelity"]


class LowFidelity(Evaluation):
    """Trains a reduced copy of every child (Zoph et al., NASNet, 2018, 1707.07012).

    Parameters and multiply-adds are those of the child at its full size.

    Args:
        run: what to train on and with.
        epochs: passes over the images; null takes the child recipe's.
        channels: channels of the reduced child; null takes the child's.
        cells: cells of the reduced child; null takes the child's.
        image_size: side of its images in pixels; null takes the data's.
        samples: training images, a stratified subset; null takes all.

    Raises:
        ValueError: a value is out of its range, or the reduced child cannot be built.
    """

    takes_budgets = True

    def __init__(
        self,
        run: Candidates,
        epochs: int | None = 5,
        channels: int | None = 8,
        cells: int | None = 3,
        image_size: int | None = None,
        samples: int | None = None,
    ) -> None:
        full = run.recipe
        epochs = full.epochs if epochs is None else epochs
        if epochs < 1:
            raise ValueError(f"evaluation.epochs ({epochs}) must be at least 1; use e.g. 5")
        if samples is not None and samples < 1:
            raise ValueError(f"evaluation.samples ({samples}) must be at least 1, or null")
        colours, height, width = full.scale.image()
        size = (height, width) if image_size is None else (image_size, image_size)
        scale = replace(
            full.scale,
            channels=full.scale.channels if channels is None else channels,
            cells=full.scale.cells if cells is None else cells,
            input_shape=(colours, *size),
        )
        self.run, self.full_scale = run, full.scale
        self.batch_size = full.batch_size or run.data.batch_size
        if samples is not None:
            self.batch_size = min(self.batch_size, samples)
        self.recipe = replace(full, epochs=epochs, scale=scale, batch_size=self.batch_size)
        self.stage = run.data.candidate(
            max_samples=samples,
            image_size=image_size,
            batch_size=self.batch_size,
            cutout=full.cutout,
        )
        child_cost(run.space, run.space.sample(Random(0)), scale)  # refuses an impossible scale

    def measures(self) -> frozenset[str]:
        """Returns the names of the child's validation metrics and size."""
        return measured(self.run)

    def evaluate(self, trial: Trial, seed: int) -> tuple[dict[str, float], CostMeter]:
        """Returns the reduced child's validation metrics, and what its training cost."""
        values, cost = train_candidate(self.run, self.recipe, self.stage, trial, seed)
        return values | child_cost(self.run.space, trial.genotype, self.full_scale), cost

    def samples(self, budget: float = 1.0) -> int:
        """Returns the training samples that one child of this budget processes."""
        epochs = trained_epochs(budget, self.recipe.epochs)
        return stage_samples(self.stage, self.batch_size, epochs)
