"""The result of a benchmark: its files, read again to compare with, and its text."""

import csv
import io
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas_lightning.benchmark.benchmark_charts import draw_front, draw_regret
from nas_lightning.benchmark.hypervolume import ReferenceFront, hypervolume_curve
from nas_lightning.benchmark.simulation import Curve, Figures, SimulatedSearch, mean_and_std
from nas_lightning.core.objective import Objective
from nas_lightning.evaluation.pareto import pareto_front
from nas_lightning.evaluation.table_file import FOLDER
from nas_lightning.files import replacing, write_text
from nas_lightning.reports.rendering import chart_png

__all__ = [
    "benchmark_text",
    "read_benchmark",
    "read_published",
    "write_front",
    "write_regret",
    "write_runs",
]


def write_runs(folder: Path, searches: Sequence[SimulatedSearch], figures: Figures) -> None:
    """Writes runs.csv, a row per search: seed, children, simulated seconds, genotype, figures."""
    columns: dict[str, Sequence[object]] = {
        "seed": [search.seed for search in searches],
        "trials": [search.num_trials for search in searches],
        "spent_s": [f"{search.spent_s:.3f}" for search in searches],
        "genotype_id": [search.best.id for search in searches],
    }
    for data, values in figures.items():
        columns |= {f"{data}/{name}": column for name, column in values.items()}
    _write_columns(folder / "runs.csv", columns)


def write_regret(folder: Path, curves: Mapping[str, Curve], data: str, num_searches: int) -> None:
    """Writes the first strategy's regret.csv, and regret.png of all strategies."""
    _write_curve(folder / "regret.csv", next(iter(curves.values())))
    with replacing(folder / "regret.png") as path:
        path.write_bytes(chart_png(draw_regret(curves, data, num_searches)))


def write_front(
    folder: Path,
    searches: Sequence[SimulatedSearch],
    objective: Objective,
    reference: ReferenceFront,
) -> dict[str, Any]:
    """Writes the first search's Pareto front and the hypervolume; returns the latter's figures."""
    front = pareto_front(searches[0].trials, objective)
    write_text(folder / "pareto.json", json.dumps(front, indent=2) + "\n")
    curve, shares = hypervolume_curve(searches, reference)
    _write_curve(folder / "hypervolume.csv", curve)
    points = reference.counted([tuple(child["values"].values()) for child in front["front"]])
    best = reference.counted(reference.front)
    chart = draw_front(objective.names, points, best, curve, len(searches))
    with replacing(folder / "front.png") as path:
        path.write_bytes(chart_png(chart))
    median = statistics.median(shares)
    return {"median": median, **mean_and_std(shares), "reference": list(reference.point)}


def read_benchmark(folder: Path) -> dict[str, Any]:
    """Returns the result of an earlier benchmark, with its test figures and its regret curve.

    Raises: ValueError: the folder holds no finished benchmark.
    """
    folder = folder.expanduser()
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        runs = _read_columns(folder / "runs.csv")
        tests = [float(value) for value in runs[f"{result['data']}/test_accuracy"]]
        regret = _read_columns(folder / "regret.csv")
        curve = {name: [float(value) for value in column] for name, column in regret.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"compare: '{folder}' must be the folder of a finished nas-benchmark run ({error})"
        ) from error
    return {**result, "folder": str(folder), "test_figures": tests, "regret": curve}


def read_published(
    table: str, strategy: str, data: str, budget_s: float | None, epochs: int
) -> dict[str, Any] | None:
    """Returns a strategy's published figures by data set under "rows", and their "source".

    None stands for a strategy of which none were read, and for another than the published protocol.
    """
    path = FOLDER / f"{table}_published.json"
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    protocol = (content["searched"], content["budget_s"], content["epochs"])
    if strategy not in content["rows"] or (data, budget_s, epochs) != protocol:
        return None
    return {"source": content["source"], "rows": content["rows"][strategy]}


def benchmark_text(
    result: Mapping[str, Any],
    published: Mapping[str, Any] | None,
    comparisons: Sequence[str],
    folder: Path,
) -> str:
    """Returns a table of a result's figures beside the published ones, and the comparisons."""
    budget = result["budget_s"]
    limit = "" if budget is None else f" of {budget:,.0f} simulated seconds"
    searches = "search" if result["seeds"] == 1 else "searches"
    headings = ("published validation", "published test") if published else ()
    lines = [
        "",
        f"{result['strategy']} on table {result['table']}, searched on {result['data']}: "
        f"{result['seeds']} {searches}{limit}, {result['trials']:.1f} children each "
        f"({result['wall_s']:.1f} s)",
        "",
        _row("accuracy in %", "validation", "test", *headings),
    ]
    for data, figures in {result["data"]: result, **result["transfer"]}.items():
        row = published["rows"].get(data, {}) if published else {}
        measured = [figures[f"{part}_accuracy"] for part in ("validation", "test")]
        ours = [f"{100 * figure['mean']:.2f} +- {100 * figure['std']:.2f}" for figure in measured]
        theirs = [_published(row.get(part)) for part in ("validation", "test")]
        lines.append(_row(data, *ours, *theirs))
    if published:
        lines.append(f"published: {published['source']}")
    best = f"{100 * result['best_in_table']:.2f}"
    lines += ["", f"the best child of the table has {best} on {result['data']}'s test set"]
    if volume := result.get("hypervolume"):
        lines.append(
            f"hypervolume: {100 * volume['median']:.2f} % of the table's front (median), reference "
            f"{', '.join(f'{value:g}' for value in volume['reference'])}"
        )
    lines += ["", *comparisons] if comparisons else []
    front = [f"front {folder / 'front.png'}"] if volume else []
    lines += ["", f"files {folder}", f"regret {folder / 'regret.png'}", *front]
    return "\n".join(lines)


def _write_curve(path: Path, curve: Curve) -> None:
    _write_columns(path, {name: [f"{v:.6g}" for v in values] for name, values in curve.items()})


def _write_columns(path: Path, columns: Mapping[str, Sequence[object]]) -> None:
    text = io.StringIO()
    rows = zip(*columns.values(), strict=True)
    csv.writer(text, lineterminator="\n").writerows([[*columns], *rows])
    write_text(path, text.getvalue())


def _read_columns(path: Path) -> dict[str, list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def _row(name: str, *rest: str) -> str:
    return f"{name:16}" + "".join(f"{cell:>22}" for cell in rest).rstrip()


def _published(figure: Sequence[float] | None) -> str:
    if figure is None:
        return ""
    mean, std = figure
    return f"{mean:.2f} +- {std:.2f}"
