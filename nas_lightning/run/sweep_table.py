"""The table of a sweep: what varied, and mean and deviation over seeds."""

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from nas_lightning.reports.metric import MainMetric, metric_of
from nas_lightning.reports.terminal import columns_of
from nas_lightning.run.sweep import named, overrides_of_jobs, varied_keys

__all__ = ["summarise_sweep"]

Result = dict[str, Any]
Groups = dict[tuple[str, ...], list[Result]]


@dataclass(frozen=True)
class Figure:
    """One column of the table: a number of result.json.

    Attributes:
        path: its keys, the outermost first.
        title: the column's head, without a unit.
        is_share: whether the number is a share in [0, 1], to be read in percent.
        is_shown: whether readers see it; the CSV file has it in any case.
    """

    path: tuple[str, ...]
    title: str
    is_share: bool = False
    is_shown: bool = True

    def values(self, results: Iterable[Result]) -> list[float]:
        """Returns the number of every result that has it."""
        found = [_select(result, self.path) for result in results]
        return [float(value) for value in found if isinstance(value, int | float)]

    def readable(self, results: Iterable[Result]) -> str:
        """Returns mean and deviation for a reader; "-" without a number."""
        values = self.values(results)
        if not values:
            return "-"
        if self.is_share:
            values = [100 * value for value in values]
        is_count = all(value.is_integer() for value in values)
        digits = 2 if self.is_share else 0 if is_count or max(map(abs, values)) >= 100 else 4
        spread = f" \u00b1 {stdev(values):,.{digits}f}" if len(values) > 1 else ""
        return f"{mean(values):,.{digits}f}{spread}"


def summarise_sweep(folder: Path) -> None:
    """Prints the table of a sweep and writes it as summary.csv and summary.md.

    Runs are grouped by every key that varied, except the seed. Runs without a result are named.
    A sweep that ended before its first run has no table.
    """
    runs = overrides_of_jobs(folder)
    if not runs:
        return
    varied = [key for key in varied_keys(runs) if key != "seed"]
    groups: Groups = {}
    for run, own in runs.items():
        results = groups.setdefault(tuple(own.get(key, "") for key in varied), [])
        if (run / "result.json").is_file():
            results.append(json.loads((run / "result.json").read_text(encoding="utf-8")))
    _write(folder, varied, groups)
    print(f"sweep: {folder}")
    for run, own in runs.items():
        if not (run / "result.json").is_file():
            print(f"no result: {named(str(run), own, runs)}")


def _write(folder: Path, varied: list[str], groups: Groups) -> None:
    figures = _figures([result for group in groups.values() for result in group])
    shown = [figure for figure in figures if figure.is_shown]
    heads = [f"{figure.title} %" if figure.is_share else figure.title for figure in shown]
    header = [*varied, "runs", *heads]
    rows = [
        [*key, str(len(group)), *(figure.readable(group) for figure in shown)]
        for key, group in groups.items()
    ]
    _write_numbers(folder / "summary.csv", varied, groups, figures)
    cells = [[each.replace("|", "\\|") for each in line] for line in [header, *rows]]
    cells.insert(1, ["---"] * len(header))
    text = "".join(f"| {' | '.join(line)} |\n" for line in cells)
    (folder / "summary.md").write_text(text, encoding="utf-8")
    print(_table(header, rows, columns_of(sys.stdout)))


def _figures(results: Sequence[Result]) -> list[Figure]:
    """Returns the columns: what a search validated, a child was tested for, and their prices."""
    measure = metric_of(results[0]) if results else MainMetric()
    parts = {
        "search": (("search",), "validation_"),
        "child": (("child",), "test_"),
        "random genotype": (("baselines", "random_genotype"), "test_"),
    }
    judged = []
    for title, (path, prefix) in parts.items():
        present = [part for result in results if isinstance(part := _select(result, path), dict)]
        names = dict.fromkeys(name for part in present for name in part)
        for name in (name for name in names if name.startswith(prefix)):
            words = name.removesuffix("_accuracy").replace("_", " ")  # "test" alone means accuracy
            is_shown = name == f"{prefix}{measure.name}"
            judged.append(Figure((*path, name), f"{title} {words}", measure.is_share, is_shown))
    others = [
        Figure(("validation_accuracy", "mean"), "validation", is_share=True),
        Figure(("test_accuracy", "mean"), "test", is_share=True),
        Figure(("child", "parameters"), "parameters"),
        Figure(("search", "cost", "training_samples"), "search samples"),
    ]
    return [*judged, *(each for each in others if each.values(results))]


def _select(content: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def _write_numbers(
    path: Path, varied: list[str], groups: Groups, figures: Sequence[Figure]
) -> None:
    """Writes means and deviations in full precision; the deviation of one run is left empty."""
    keys = ["_".join(part for part in f.path if part != "baselines") for f in figures]
    header = [*varied, "runs", *(f"{key}_{kind}" for key in keys for kind in ("mean", "std"))]
    rows = [
        [*key, len(group), *(number for f in figures for number in _mean_std(f.values(group)))]
        for key, group in groups.items()
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def _mean_std(values: list[float]) -> tuple[float | str, float | str]:
    return mean(values) if values else "", stdev(values) if len(values) > 1 else ""


def _table(header: list[str], rows: list[list[str]], columns: int | None) -> str:
    """Returns a line per row; where the terminal is too narrow for one, a block per row."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    if max(map(len, lines)) <= (columns or inf):
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
    widest = max(map(len, header))
    blocks = (zip(header, row, strict=True) for row in rows)
    return "\n\n".join(
        "\n".join(f"{head:{widest}}  {cell}" for head, cell in block) for block in blocks
    )
