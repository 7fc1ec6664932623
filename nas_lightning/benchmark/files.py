"""The files of a benchmark: written, and read again to compare with."""

import csv
import io
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas_lightning.benchmark.figures import Curve, Figures, mean_and_std
from nas_lightning.benchmark.front import draw_front
from nas_lightning.benchmark.hypervolume import ReferenceFront, hypervolume_curve
from nas_lightning.benchmark.regret import draw_regret
from nas_lightning.benchmark.simulation import SimulatedSearch
from nas_lightning.core.objective import Objective
from nas_lightning.evaluation.pareto import pareto_front
from nas_lightning.evaluation.table_file import FOLDER
from nas_lightning.files import replacing, write_text
from nas_lightning.reports.rendering import chart_png

__all__ = ["read_benchmark", "read_published", "write_front", "write_regret", "write_runs"]


def write_runs(folder: Path, searches: Sequence[SimulatedSearch], figures: Figures) -> None:
    """Writes runs.csv, a row per search: seed, children, simulated seconds, genotype, figures."""
    columns = {f"{data}/{n}": v for data, values in figures.items() for n, v in values.items()}
    rows = [
        [search.seed, search.num_trials, f"{search.spent_s:.3f}", search.best.id, *values]
        for search, *values in zip(searches, *columns.values(), strict=True)
    ]
    header = ["seed", "trials", "spent_s", "genotype_id", *columns]
    write_text(folder / "runs.csv", _csv(header, rows))


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
    with replacing(folder / "front.png") as path:
        chart = draw_front(objective.names, points, best, curve, len(searches))
        path.write_bytes(chart_png(chart))
    median = statistics.median(shares)
    return {"median": median, **mean_and_std(shares), "reference": list(reference.point)}


def read_benchmark(folder: Path) -> dict[str, Any]:
    """Returns the result of an earlier benchmark, its test figures and its regret curve too.

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
    """Returns a strategy's published figures, or None unless this is the published protocol."""
    path = FOLDER / f"{table}_published.json"
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    protocol = (content["searched"], content["budget_s"], content["epochs"])
    return content["rows"].get(strategy) if (data, budget_s, epochs) == protocol else None


def _write_curve(path: Path, curve: Curve) -> None:
    rows = zip(*curve.values(), strict=True)
    write_text(path, _csv(curve, ([f"{value:.6g}" for value in row] for row in rows)))


def _csv(header: Iterable[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[*header], *rows])
    return text.getvalue()


def _read_columns(path: Path) -> dict[str, list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
