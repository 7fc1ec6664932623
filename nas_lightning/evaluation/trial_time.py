"""How many trials fit into the time of a black-box search."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from nas_lightning.core.strategy import BlackBoxStrategy, Trial
from nas_lightning.core.units import LATE, too_short

__all__ = ["TrialTime"]


@dataclass
class TrialTime:
    """The seconds that a search may take: its trials' costs, and what their proposals took.

    It belongs to one search, whose `trials` only grow: each of them is counted once.

    Attributes:
        seconds: seconds of all trials together.
        key: their name as the user writes it.
        most: most trials; None for any number.
        share: of the seconds under `key` that `seconds` are.
        at_once: trials that are evaluated at once, by which their seconds are divided.
    """

    seconds: float
    key: str = "max_seconds"
    most: int | None = None
    share: float = 1.0
    at_once: int = 1
    _counted: int = field(default=0, init=False)  # trials, of which are the sums
    _evaluating_s: float = field(default=0.0, init=False)
    _asking_s: float = field(default=0.0, init=False)
    _evaluations: float = field(default=0.0, init=False)  # whole ones

    def plan(self, strategy: BlackBoxStrategy, trials: Sequence[Trial]) -> None:
        """Sets a strategy's trials to what fits at the mean speed so far, at least one more.

        It follows from the trials alone, so that a replayed search plans the same. A strategy
        whose trials take no time keeps its own.

        Raises: ValueError: the first trial takes longer than the time.
        """
        spent = self._spent(trials)
        if not self._evaluating_s:
            return
        if len(trials) == 1 and spent > LATE * self.seconds:
            cure = "make trials shorter, e.g. by child.epochs"
            raise too_short(self.key, self.seconds, self.share, spent, "trial", cure)
        more = max(1, int((self.seconds - spent) * len(trials) / spent))
        strategy.trials = len(trials) + more
        if self.most is not None:
            strategy.trials = min(self.most, strategy.trials)

    def allows(
        self, trial: Trial, trials: Sequence[Trial], in_flight: Sequence[Trial] = ()
    ) -> bool:
        """Returns whether a trial fits, at the mean speed per whole evaluation; the first does.

        Those `in_flight` are not told yet, and take time as well.
        """
        if not trials:
            return True
        spent = self._spent(trials)
        each = self._evaluating_s / self._evaluations if self._evaluations else 0.0
        own = each * (trial.budget - trial.start)
        others = each * sum(other.budget - other.start for other in in_flight)
        expected = max(own, (own + others) / self.at_once)
        return spent + trial.asking_s + expected <= self.seconds

    def _spent(self, trials: Sequence[Trial]) -> float:
        """Returns the seconds of all trials, at least one; adds those that are new to the sums."""
        for trial in trials[self._counted :]:
            self._evaluating_s += trial.cost["wall_s"]
            self._asking_s += trial.asking_s
            self._evaluations += trial.budget - trial.start
        self._counted = len(trials)
        return self._evaluating_s / min(self.at_once, self._counted) + self._asking_s
