"""The trials that were asked and not told yet, in the order in which they will be told.

Told as they arrive, results would depend on the speed of machines, and no search could be
repeated. Here every trial has a virtual finish time instead: the virtual time at which it was
asked, which is the finish of the trial told last, and its predicted work. The trial that
finishes first on this clock is told next, whoever arrives first. So the same seed with the same
number in flight asks and tells the same, whatever the number and speed of the workers; where the
prediction is wrong, a worker may wait for another one (`benchmarks/virtual_order.py`).
"""

from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from nas_lightning.core.strategy import BlackBoxStrategy, Trial
from nas_lightning.evaluation.evaluation import Evaluation

__all__ = ["Flight", "check_in_flight"]


@dataclass
class Flight:
    """Trials in flight, at most `most` at once.

    >>> from nas_lightning.core.genotype import Genotype
    >>> flight, genotype = Flight(2), Genotype.of("none", {})
    >>> flight.add(Trial(0, genotype), work=5.0)
    >>> flight.add(Trial(1, genotype), work=2.0)
    >>> flight.pop().number  # at the virtual time 2
    1
    >>> flight.add(Trial(2, genotype), work=3.0)  # finishes at 5 too: the lower number is first
    >>> [flight.pop().number for _ in range(2)]
    [0, 2]
    """

    most: int
    now: float = 0.0  # virtual time: when the trial that was told last finished
    _heap: list[tuple[float, int, Trial]] = field(default_factory=list)

    @property
    def trials(self) -> list[Trial]:
        """The trials in flight."""
        return [trial for _, _, trial in self._heap]

    @property
    def is_full(self) -> bool:
        """Whether no other trial may be asked."""
        return len(self._heap) >= self.most

    def add(self, trial: Trial, work: float) -> None:
        """Adds a trial of so much predicted work, that begins now."""
        heappush(self._heap, (self.now + work, trial.number, trial))

    def pop(self) -> Trial:
        """Removes and returns the trial that finishes first."""
        self.now, _, trial = heappop(self._heap)
        return trial

    def take(self, number: int) -> Trial:
        """Removes and returns the trial of a number, whose result is told out of order."""
        entry = next(entry for entry in self._heap if entry[1] == number)
        self._heap.remove(entry)
        heapify(self._heap)
        self.now = max(self.now, entry[0])
        return entry[2]

    def work(self, trial: Trial, evaluation: Evaluation) -> float:
        """Returns a trial's predicted work; 0 where the order does not depend on it."""
        return 0.0 if self.most == 1 else evaluation.work(trial)


def check_in_flight(strategy: BlackBoxStrategy, in_flight: int) -> None:
    """Checks that a strategy can be asked for so many trials before it is told.

    Raises: ValueError: it needs the reward of each trial to ask for the next.
    """
    if in_flight > 1 and strategy.needs_last_reward:
        raise ValueError(
            f"hardware.in_flight ({in_flight}) must be 1 for strategy {type(strategy).__name__}, "
            "in which every trial follows from the reward of the one before; use "
            "hardware.executor=serial, or a strategy such as evolution or random"
        )
