"""Which children of a bracket are trained further: rung by rung, or as soon as one is good enough.

Sources: Jamieson & Talwalkar, 2016 (arXiv:1502.07943), algorithm 1, for `WaitingRungs`; Li et al.,
ASHA, 2020 (arXiv:1810.05934), algorithm 2, for `RunningRungs`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from nas_lightning.core.strategy import Trial

__all__ = ["Place", "Rungs", "RunningRungs", "WaitingRungs"]


@dataclass(frozen=True)
class Place:
    """Where a child is trained: in a rung (0 is the lowest) of a bracket."""

    bracket: int
    rung: int
    before: Trial | None = None  # the trial in the rung below that it continues


class Rungs(ABC):
    """The children of all brackets so far.

    Args:
        brackets: children of the first rung and number of rungs of each bracket.
        eta: one child of so many is promoted.
    """

    def __init__(self, brackets: Sequence[tuple[int, int]], eta: int) -> None:
        self.brackets, self.eta = tuple(brackets), eta

    @property
    def is_waiting(self) -> bool:
        """Whether there is no place before another child is told; a hook."""
        return False

    @abstractmethod
    def take(self) -> Place:
        """Returns the place of the next child, which is then taken."""

    @abstractmethod
    def tell(self, trial: Trial, place: Place) -> list[int]:
        """Notes the reward of the child at a place; returns who is now never promoted."""

    def best(self, trials: Sequence[Trial]) -> list[Trial]:
        """Returns the best trials, one of `eta`, in order; of equal ones the first ones."""
        return sorted(trials, key=lambda t: (-t.told_reward, t.number))[: len(trials) // self.eta]


class WaitingRungs(Rungs):
    """One bracket after another, in turn; a rung is told as a whole before it promotes."""

    def __init__(self, brackets: Sequence[tuple[int, int]], eta: int) -> None:
        super().__init__(brackets, eta)
        self._bracket = self._rung = self._num_taken = 0
        self._promoted: list[Trial] = []  # to be continued in this rung
        self._told: list[Trial] = []  # of this rung

    @property
    def is_waiting(self) -> bool:
        """Whether all children of the rung have their place and some are not told."""
        return self._num_taken == self._size

    def take(self) -> Place:
        """Returns the place of a new child, or of the next one that was promoted."""
        number, self._num_taken = self._num_taken, self._num_taken + 1
        before = self._promoted[number] if self._rung else None
        return Place(self._bracket, self._rung, before)

    def tell(self, trial: Trial, place: Place) -> list[int]:
        """Notes a child; a full rung promotes its best ones or ends the bracket.

        Returns the numbers of the others.
        """
        self._told.append(trial)
        if len(self._told) < self._size:
            return []
        told, (_, rungs) = self._told, self.brackets[self._bracket]
        self._promoted = self.best(told)
        self._told, self._num_taken, self._rung = [], 0, self._rung + 1
        if self._rung == rungs or not self._promoted:
            self._promoted, self._rung = [], 0
            self._bracket = (self._bracket + 1) % len(self.brackets)
        return sorted({each.number for each in told} - {each.number for each in self._promoted})

    @property
    def _size(self) -> int:
        """The number of children in the rung."""
        return len(self._promoted) if self._rung else self.brackets[self._bracket][0]


class RunningRungs(Rungs):
    """A child is promoted once it is among the best of its rung so far; nobody waits.

    With several brackets, each has rungs of its own, and new children are shared out among the
    brackets in the numbers of the first rungs.
    """

    def __init__(self, brackets: Sequence[tuple[int, int]], eta: int) -> None:
        super().__init__(brackets, eta)
        self._told = [[list[Trial]() for _ in range(rungs)] for _, rungs in brackets]
        self._promoted = set[int]()  # numbers of the trials that were continued
        self._first = [index for index, (size, _) in enumerate(brackets) for _ in range(size)]
        self._num_new = 0

    def take(self) -> Place:
        """Returns the place above a child that may be promoted, in the highest rung, or a new one.

        Source: algorithm 2, get_job.
        """
        for bracket, rungs in enumerate(self._told):
            for rung in reversed(range(len(rungs) - 1)):
                for trial in self.best(rungs[rung]):
                    if trial.number not in self._promoted:
                        self._promoted.add(trial.number)
                        return Place(bracket, rung + 1, trial)
        bracket = self._first[self._num_new % len(self._first)]
        self._num_new += 1
        return Place(bracket, 0)

    def tell(self, trial: Trial, place: Place) -> list[int]:
        """Notes a child in its rung; returns its number in the highest one.

        In the others it may be promoted later, since a rung grows until the search ends.
        """
        rungs = self._told[place.bracket]
        rungs[place.rung].append(trial)
        return [trial.number] if place.rung == len(rungs) - 1 else []
