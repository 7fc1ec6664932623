"""Searches on a benchmark table, each charged the time that its trainings took.

Source of the protocol: Dong & Yang, NAS-Bench-201, 2020 (arXiv:2001.00326), section 5, and the
official code: the reward is the validation accuracy of the short schedule; a search ends before
the child whose training would exceed the budget. Deliberate difference: the official code also
charges one pass over the validation set, which the packaged table does not know.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.objective import Objective
from nas_lightning.core.strategy import BlackBoxStrategy, Trial
from nas_lightning.evaluation.tabular import TabularEvaluation
from nas_lightning.evaluation.trials import best_trial, check_fit, with_reward

__all__ = ["Benchmark", "SimulatedSearch", "simulate"]


@dataclass(frozen=True)
class Benchmark:
    """What is run: one strategy on one table, for many seeds.

    Attributes:
        strategy: name of the strategy.
        make_strategy: makes it for a seed.
        evaluation: looks genotypes up.
        objective: makes rewards.
        seeds: one per search.
        budget_s: simulated seconds of each search; None sets no limit.
    """

    strategy: str
    make_strategy: Callable[[int], BlackBoxStrategy]
    evaluation: TabularEvaluation
    objective: Objective
    seeds: range
    budget_s: float | None


@dataclass(frozen=True)
class SimulatedSearch:
    """One search on a table.

    Attributes:
        seed: seed of the strategy.
        num_trials: number of children that were looked up.
        spent_s: simulated seconds that they took.
        gains: (simulated seconds, genotype) each time that a better child was found.
        trials: all trials in order where the objective keeps several values apart, else none.
    """

    seed: int
    num_trials: int
    spent_s: float
    gains: tuple[tuple[float, Genotype], ...]
    trials: tuple[Trial, ...] = ()

    @property
    def best(self) -> Genotype:
        """The best genotype by its reward."""
        return self.gains[-1][1]


def simulate(
    strategy: BlackBoxStrategy,
    evaluation: TabularEvaluation,
    objective: Objective,
    budget_s: float | None,
) -> SimulatedSearch:
    """Runs one search until its budget in simulated seconds or its trials are used up.

    Raises: ValueError: the first child alone would exceed the budget, or the three do not fit.
    """
    check_fit(strategy, evaluation, objective)
    spent_s, num_trials, best = 0.0, 0, None
    gains, trials = list[tuple[float, Genotype]](), list[Trial]()
    for trial in _asked(strategy, evaluation, objective):
        seconds = trial.measurements["train_time_s"]
        if budget_s is not None and spent_s + seconds > budget_s:
            break
        spent_s, num_trials = spent_s + seconds, num_trials + 1
        strategy.tell(trial)
        if len(objective.names) > 1:
            trials.append(trial)
        if not objective.is_met(trial.measurements):
            continue
        if best is None or best_trial([best, trial]) is trial:
            best = trial
            gains.append((spent_s, trial.genotype))
    if not gains:
        raise ValueError(
            f"budget_s ({budget_s}) must allow a search to find a child that its objective "
            f"({objective.requirement()}) allows; it ended after {num_trials} trials: raise it, or "
            "loosen the objective"
        )
    return SimulatedSearch(strategy.seed, num_trials, spent_s, tuple(gains), tuple(trials))


def _asked(
    strategy: BlackBoxStrategy, evaluation: TabularEvaluation, objective: Objective
) -> Iterator[Trial]:
    """Yields the trials that the strategy asks for, looked up but not yet told."""
    for number in range(strategy.trials):
        trial = strategy.ask(number)
        values, cost = evaluation.evaluate(trial, strategy.seed)
        yield with_reward(trial, objective, values, cost.as_dict())
