"""Evaluations: how good one genotype is, and what it cost to find out."""

from abc import ABC, abstractmethod

from nas_lightning.core.strategy import Trial
from nas_lightning.training.cost_meter import CostMeter

__all__ = ["Evaluation"]


class Evaluation(ABC):
    """Measures genotypes; it never sees the test set.

    Attributes:
        takes_budgets: whether it understands a trial's budget and parent.
    """

    takes_budgets = False

    @abstractmethod
    def measures(self) -> frozenset[str]:
        """Returns the names of what is measured, for an objective to choose from."""

    @abstractmethod
    def evaluate(self, trial: Trial, seed: int) -> tuple[dict[str, float], CostMeter]:
        """Returns what was measured of a trial's genotype, and the cost of it.

        Args:
            trial: what to measure; with a budget and a parent if `takes_budgets`.
            seed: seed of the child's params and training; a parent's child has the same.

        Returns:
            Every quantity of `measures`; accuracies are shares in [0, 1].
        """

    @abstractmethod
    def samples(self, budget: float = 1.0) -> int:
        """Returns the training samples that one evaluation of this budget processes in all."""

    def check_budget(self, budget: float) -> None:
        """Refuses a budget that it cannot spend, before any work; a hook.

        Raises:
            ValueError: it cannot.
        """
        assert budget == 1 or self.takes_budgets, "check_fit has refused others"
