"""Searches on a benchmark table, each charged the time that its trainings took: the figures.

Source of the protocol: Dong & Yang, NAS-Bench-201, 2020 (arXiv:2001.00326), section 5, and the
official code: the reward is the validation accuracy of the short schedule; a search ends before
the child whose training would exceed the budget. Deliberate difference: the official code also
charges one pass over the validation set, which the packaged table does not know.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.objective import Objective
from nas_lightning.core.strategy import BlackBoxStrategy, Trial
from nas_lightning.evaluation.tabular import TabularEvaluation
from nas_lightning.evaluation.trials import best_trial, check_fit, with_reward

__all__ = [
    "Benchmark",
    "Curve",
    "Figures",
    "SimulatedSearch",
    "final_figures",
    "mean_and_std",
    "means_by_data",
    "quartiles",
    "regret_curve",
    "reported_data",
    "simulate",
]

Figures = dict[str, dict[str, list[float]]]  # by data set and name, one per search
Curve = dict[str, list[float]]
POINTS = 200
QUANTILES = {"low": 0.25, "median": 0.5, "high": 0.75}


@dataclass(frozen=True)
class Benchmark:
    """What is run: one strategy on one table, for many seeds.

    Attributes:
        make_strategy: makes it for a seed.
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
    for number in range(strategy.trials):
        trial = strategy.ask(number)
        values, cost = evaluation.evaluate(trial, strategy.seed)
        trial = with_reward(trial, objective, values, cost.as_dict())
        seconds = trial.measurements["train_time_s"]
        if budget_s is not None and spent_s + seconds > budget_s:
            break
        spent_s, num_trials = spent_s + seconds, num_trials + 1
        strategy.tell(trial)
        if len(objective.names) > 1:
            trials.append(trial)
        is_better = best is None or best_trial([best, trial]) is trial
        if objective.is_met(trial.measurements) and is_better:
            best = trial
            gains.append((spent_s, trial.genotype))
    if not gains:
        raise ValueError(
            f"budget_s ({budget_s}) must allow a search to find a child that its objective "
            f"({objective.requirement()}) allows; it ended after {num_trials} trials: raise it, or "
            "loosen the objective"
        )
    return SimulatedSearch(strategy.seed, num_trials, spent_s, tuple(gains), tuple(trials))


def reported_data(evaluation: TabularEvaluation) -> tuple[str, ...]:
    """Returns the data sets on which the best children are looked up, the searched one first.

    Those of CIFAR-10 are looked up on the table's other data sets too, as in the literature.
    """
    others = [data for data in evaluation.table.schedules if data != evaluation.data]
    return (evaluation.data, *(others if evaluation.data == "cifar10" else ()))


def final_figures(searches: Sequence[SimulatedSearch], evaluation: TabularEvaluation) -> Figures:
    """Returns the final figures of each search's best child."""
    figures: Figures = {}
    for data in reported_data(evaluation):
        rows = [evaluation.final(search.best, data) for search in searches]
        figures[data] = {name: [row[name] for row in rows] for name in rows[0]}
    return figures


def means_by_data(figures: Figures, evaluation: TabularEvaluation) -> dict[str, Any]:
    """Returns means and deviations of the searched data set and of those transferred to."""
    means = {
        data: {name: mean_and_std(values) for name, values in columns.items()}
        for data, columns in figures.items()
    }
    searched = means.pop(evaluation.data)
    return {**searched, "best_in_table": evaluation.optimum(evaluation.data), "transfer": means}


def mean_and_std(values: Sequence[float]) -> dict[str, float]:
    """Returns "mean" and "std", the standard deviation."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values))}


def regret_curve(searches: Sequence[SimulatedSearch], evaluation: TabularEvaluation) -> Curve:
    """Returns quartiles over the searches of the test regret of the best child so far.

    The regret at "seconds" (simulated) is in points of test accuracy below the best child of the
    table; the curve begins when every search has found a child.
    """
    data, optimum = evaluation.data, evaluation.optimum(evaluation.data)
    start = max(search.gains[0][0] for search in searches)
    end = max(search.spent_s for search in searches)
    seconds = np.linspace(start, end, POINTS)
    rows = []
    for search in searches:
        times = [time for time, _ in search.gains]
        tests = [evaluation.final(genotype, data)["test_accuracy"] for _, genotype in search.gains]
        latest = np.searchsorted(times, seconds, side="right") - 1
        rows.append((100 * (optimum - np.array(tests)[latest])).tolist())
    return {"seconds": seconds.tolist(), **quartiles(rows)}


def quartiles(rows: Sequence[Sequence[float]]) -> Curve:
    """Returns the quartiles of each column over the rows: "low", "median" and "high"."""
    return {name: np.quantile(rows, q, axis=0).tolist() for name, q in QUANTILES.items()}
