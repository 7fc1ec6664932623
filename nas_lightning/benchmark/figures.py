"""What many simulated searches found: figures by data set, and regret over time."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_lightning.benchmark.simulation import SimulatedSearch
from nas_lightning.evaluation.tabular import TabularEvaluation

__all__ = [
    "Curve",
    "Figures",
    "final_figures",
    "mean_and_std",
    "means_by_data",
    "quartiles",
    "regret_curve",
    "reported_data",
]

Figures = dict[str, dict[str, list[float]]]  # by data set and name, one per search
Curve = dict[str, list[float]]
POINTS = 200
QUANTILES = {"low": 0.25, "median": 0.5, "high": 0.75}


def reported_data(evaluation: TabularEvaluation) -> tuple[str, ...]:
    """Returns the data sets on which the best children are looked up, the searched one first.

    Those found on CIFAR-10 are looked up on the table's other data sets too: the literature
    transfers them.
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
    """Returns mean and standard deviation."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values))}


def regret_curve(searches: Sequence[SimulatedSearch], evaluation: TabularEvaluation) -> Curve:
    """Returns quartiles over the searches of the test regret of the best child so far.

    Returns:
        "seconds" (simulated), and "low", "median" and "high" in points of test accuracy below the
        best child of the table; it begins when every search has found a child.
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
