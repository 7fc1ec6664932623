"""Full training: every child is trained with the final child's own recipe."""

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

__all__ = ["FullTraining"]


class FullTraining(Evaluation):
    """Trains every child at the final child's size and length (Zoph & Le, 2017, 1611.01578).

    Args:
        run: what to train on and with.
    """

    takes_budgets = True

    def __init__(self, run: Candidates) -> None:
        self.run = run
        recipe = run.recipe
        self.batch_size = recipe.batch_size or run.data.batch_size
        self.stage = run.data.candidate(batch_size=self.batch_size, cutout=recipe.cutout)

    def measures(self) -> frozenset[str]:
        """Returns the names of the child's validation metrics and size."""
        return measured(self.run)

    def evaluate(self, trial: Trial, seed: int) -> tuple[dict[str, float], CostMeter]:
        """Returns the child's validation metrics and size, and what its training cost."""
        return train_candidate(self.run, self.run.recipe, self.stage, trial, seed)

    def samples(self, budget: float = 1.0) -> int:
        """Returns the training samples that one child of this budget processes."""
        epochs = trained_epochs(budget, self.run.recipe.epochs)
        return stage_samples(self.stage, self.batch_size, epochs)
