"""A search on a benchmark table, charged the time that its trainings took, for many seeds.

Source of the protocol: Dong & Yang, NAS-Bench-201, 2020 (arXiv:2001.00326), section 5, and the
official code: the reward is the validation accuracy of the short schedule; a search ends before
the child whose training would pass the budget. Deliberate difference: the official code also
charges one pass over the validation set, which the packaged table does not know.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.objective import Objective
from nas_lightning.core.strategy import BlackBoxStrategy, Trial
from nas_lightning.evaluation.tabular import TabularEvaluation
from nas_lightning.evaluation.trials import best_trial, check_fit, with_reward

__all__ = ["Simulated", "simulate"]


@dataclass(frozen=True)
class Simulated:
    """One search on a table.

    Attributes:
        seed: seed of the strategy.
        trials: number of children that were looked up.
        spent_s: simulated seconds that they took.
        gains: (simulated seconds, genotype) whenever a better child was known; the last is what
            the search found.
        kept: all trials in order where the objective keeps several values apart, else none.
    """

    seed: int
    trials: int
    spent_s: float
    gains: tuple[tuple[float, Genotype], ...]
    kept: tuple[Trial, ...] = ()

    @property
    def found(self) -> Genotype:
        """The best genotype by its reward."""
        return self.gains[-1][1]


def simulate(
    strategy: BlackBoxStrategy,
    evaluation: TabularEvaluation,
    objective: Objective,
    budget_s: float | None,
) -> Simulated:
    """Runs one search until its budget or its trials are used up.

    Args:
        strategy: proposes genotypes.
        evaluation: looks them up.
        objective: makes rewards of what is found.
        budget_s: simulated seconds of training; None leaves the end to strategy.trials.

    Raises:
        ValueError: the first child alone would pass the budget, or the three do not fit.
    """
    check_fit(strategy, evaluation, objective)
    spent, number, best = 0.0, 0, None
    gains: list[tuple[float, Genotype]] = []
    kept: list[Trial] = []
    for trial in _trials(strategy, evaluation, objective):
        seconds = trial.measurements["train_time_s"]
        if budget_s is not None and spent + seconds > budget_s:
            break
        spent, number = spent + seconds, number + 1
        strategy.tell(trial)
        if len(objective.names) > 1:
            kept.append(trial)
        if objective.is_met(trial.measurements) and (
            best is None or best_trial([best, trial]) is trial
        ):
            best = trial
            gains.append((spent, trial.genotype))
    if not gains:
        raise ValueError(
            f"budget_s ({budget_s}) must allow a search to find a child that its objective "
            f"({objective.requirement()}) allows; it ended after {number} trials: raise it, or "
            "loosen the objective"
        )
    return Simulated(strategy.seed, number, spent, tuple(gains), tuple(kept))


def _trials(
    strategy: BlackBoxStrategy, evaluation: TabularEvaluation, objective: Objective
) -> Iterator[Trial]:
    """Yields what the strategy asks for, looked up; it has yet to be told."""
    for number in range(strategy.trials):
        trial = strategy.ask(number)
        values, cost = evaluation.evaluate(trial, strategy.seed)
        yield with_reward(trial, objective, values, cost.as_dict())
