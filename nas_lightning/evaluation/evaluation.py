"""Evaluations: how good one genotype is, and what it cost to find out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from nas_lightning.core.strategy import Trial
from nas_lightning.training.cost_meter import CostMeter

__all__ = ["Evaluation", "trained_epochs"]


class Evaluation(ABC):
    """Measures genotypes; it never sees the test set.

    Attributes:
        takes_budgets: whether it understands a trial's budget and parent.
        is_ordered: whether a trial's figures depend on the trials that were told before it was
            asked, through `settle`.
    """

    takes_budgets = False
    is_ordered = False

    @abstractmethod
    def measures(self) -> frozenset[str]:
        """Returns the names of what is measured, for an objective to choose from."""

    @abstractmethod
    def evaluate(self, trial: Trial, seed: int) -> tuple[dict[str, float], CostMeter]:
        """Returns every quantity of `measures`, accuracies as shares in [0, 1], and their cost.

        Args:
            trial: what to measure; with a budget and a parent if `takes_budgets`.
            seed: seed of the child's params and training; a parent's child has the same.
        """

    @abstractmethod
    def samples(self, budget: float = 1.0) -> int:
        """Returns the training samples that one evaluation of this budget processes in all."""

    def samples_of(self, trial: Trial) -> int:
        """Returns the training samples of a trial, without those of its parent's child."""
        begun = self.samples(trial.start) if trial.start > 0 else 0
        return self.samples(trial.budget) - begun

    def work(self, trial: Trial) -> float:
        """Returns the predicted work of a trial in any unit, above 0, always the same; a hook.

        By default it is the number of training samples.
        """
        return float(max(1, self.samples_of(trial)))

    def worst(self, trial: Trial) -> dict[str, float] | None:
        """Returns what is told of a child that cannot be evaluated; None ends the search; a hook.

        That is where its process dies again and again, for want of memory for example.
        """
        return None

    def prepare(self, trial: Trial, seed: int) -> None:  # noqa: B027 - most need none
        """Makes what a trial needs of the search, in its process, before it is evaluated; a hook.

        The arguments are those of `evaluate`.
        """

    def settle(  # noqa: B027 - nor this
        self, trial: Trial, told: int, in_flight: Sequence[Trial]
    ) -> None:
        """Takes over what a trial has learnt, just before its result is told; a hook.

        It is called in the search's process, again with the same arguments after a kill.

        Args:
            trial: with its result.
            told: the number of trials told before it.
            in_flight: the trials whose results are not told yet, without it.
        """

    def forget(self, numbers: Sequence[int]) -> None:  # noqa: B027 - nor this
        """Removes what trials have left for children that train further, if it is there; a hook.

        It is called in the search's process once the journal holds the result that ends them,
        and again where that is replayed.
        """

    def files(self, trial: Trial) -> tuple[list[str], list[str]]:
        """Returns the names of the files that a trial reads, and of those it writes; a hook.

        They are in the folder of the children. Workers that do not have it are sent those that
        exist, and send theirs back.
        """
        return [], []

    def check_budget(self, budget: float) -> None:
        """Raises a ValueError for a budget that it cannot spend, before any work; a hook."""
        assert budget == 1 or self.takes_budgets, "check_fit refuses the others"


def trained_epochs(budget: float, epochs: int) -> int:
    """Returns the epochs that a budget buys of a recipe's: at least 1, or 0 for no budget.

    >>> [trained_epochs(budget, 12) for budget in (0, 0.01, 1 / 3, 1)]
    [0, 1, 4, 12]
    """
    return max(1, round(budget * epochs)) if budget > 0 else 0
