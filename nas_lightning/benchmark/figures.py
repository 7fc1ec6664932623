"""What many simulated searches found: figures by data set, regret over time, published rows."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.benchmark.simulation import Simulated
from nas_lightning.evaluation.table_file import FOLDER
from nas_lightning.evaluation.tabular import TabularEvaluation

__all__ = [
    "final_figures",
    "published_rows",
    "quartiles",
    "read_benchmark",
    "regret_csv",
    "regret_curve",
    "reported_data",
    "runs_csv",
    "summarised",
]

Figures = dict[str, dict[str, list[float]]]
Curve = dict[str, list[float]]
POINTS = 200
QUANTILES = {"low": 0.25, "median": 0.5, "high": 0.75}


def final_figures(searches: Sequence[Simulated], evaluation: TabularEvaluation) -> Figures:
    """Returns what the found children are worth: by data set, by figure, one a search."""
    found: Figures = {}
    for data in reported_data(evaluation):
        rows = [evaluation.final(search.found, data) for search in searches]
        found[data] = {name: [row[name] for row in rows] for name in rows[0]}
    return found


def reported_data(evaluation: TabularEvaluation) -> tuple[str, ...]:
    """Returns the data sets on which what was found is looked up, the searched one first.

    What was found on CIFAR-10 is looked up on the table's others too, as the literature transfers
    it.
    """
    others = [data for data in evaluation.table.schedules if data != evaluation.data]
    return (evaluation.data, *(others if evaluation.data == "cifar10" else ()))


def summarised(columns: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """Returns mean and standard deviation of every column."""
    return {
        name: {"mean": float(np.mean(values)), "std": float(np.std(values))}
        for name, values in columns.items()
    }


def runs_csv(searches: Sequence[Simulated], figures: Figures) -> str:
    """Returns one row a search: seed, children, simulated seconds, genotype, figures."""
    columns = [(data, name) for data, own in figures.items() for name in own]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"{data}/{name}" for data, name in columns]
    writer.writerow(["seed", "trials", "spent_s", "genotype_id", *names])
    for index, search in enumerate(searches):
        values = [figures[data][name][index] for data, name in columns]
        start = [search.seed, search.trials, f"{search.spent_s:.3f}", search.found.id]
        writer.writerow([*start, *values])
    return text.getvalue()


def regret_curve(searches: Sequence[Simulated], evaluation: TabularEvaluation) -> Curve:
    """Returns quartiles over the searches of the test regret of the best child known so far.

    Returns:
        "seconds" (simulated), and "low", "median" and "high" in points of test accuracy below the
        best child of the table; it begins when every search knows a child.
    """
    data, best = evaluation.data, evaluation.optimum(evaluation.data)
    start = max(search.gains[0][0] for search in searches)
    end = max(search.spent_s for search in searches)
    seconds = np.linspace(start, end, POINTS)
    rows = []
    for search in searches:
        times = [time for time, _ in search.gains]
        tests = [evaluation.final(genotype, data)["test_accuracy"] for _, genotype in search.gains]
        known = np.searchsorted(times, seconds, side="right") - 1
        rows.append((100 * (best - np.array(tests)[known])).tolist())
    return {"seconds": seconds.tolist(), **quartiles(rows)}


def quartiles(rows: Sequence[Sequence[float]]) -> Curve:
    """Returns the quartiles of each column over the rows: "low", "median" and "high"."""
    return {name: np.quantile(rows, q, axis=0).tolist() for name, q in QUANTILES.items()}


def regret_csv(curve: Curve) -> str:
    """Returns a regret curve as CSV."""
    rows = zip(*curve.values(), strict=True)
    lines = [",".join(curve), *(",".join(f"{value:.6g}" for value in row) for row in rows)]
    return "\n".join(lines) + "\n"


def read_benchmark(folder: Path) -> dict[str, Any]:
    """Returns the result of an earlier benchmark, its test figures and its regret curve too.

    Raises:
        ValueError: the folder holds no finished benchmark.
    """
    folder = folder.expanduser()
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        runs = _columns(folder / "runs.csv")
        tests = [float(value) for value in runs[f"{result['data']}/test_accuracy"]]
        curve = {
            k: [float(v) for v in column] for k, column in _columns(folder / "regret.csv").items()
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"compare: '{folder}' must be the folder of a finished nas-benchmark run ({error})"
        ) from error
    return {**result, "folder": str(folder), "test_figures": tests, "regret": curve}


def published_rows(
    table: str, strategy: str, data: str, budget_s: float | None, epochs: int
) -> dict[str, Any] | None:
    """Returns a strategy's published figures, or None unless this is the published protocol."""
    path = FOLDER / f"{table}_published.json"
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    protocol = (content["searched"], content["budget_s"], content["epochs"])
    return content["rows"].get(strategy) if (data, budget_s, epochs) == protocol else None


def _columns(path: Path) -> dict[str, list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
