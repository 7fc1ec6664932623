"""The summary of a sweep: what varied, and mean and deviation over seeds."""

import csv
import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from omegaconf import OmegaConf

__all__ = ["ERROR_FILE", "failed_jobs", "summarise_sweep"]

ERROR_FILE = "error.txt"
FIGURES = {
    "search validation": ("search", "validation_accuracy"),
    "child test": ("child", "test_accuracy"),
    "parameters": ("child", "parameters"),
}

Groups = dict[tuple[str, ...], list[dict[str, Any]]]


def summarise_sweep(folder: Path) -> None:
    """Prints the table of a sweep and writes it as summary.csv and summary.md.

    Runs are grouped by every key that varied, except the seed. Runs without a result are named.
    A sweep that ended before its first run has no table.

    Args:
        folder: the sweep's folder, with one folder a run.
    """
    runs = _runs(folder)
    if not runs:
        return
    varied = [
        key
        for key in dict.fromkeys(key for own in runs.values() for key in own)
        if key != "seed" and len({own.get(key) for own in runs.values()}) > 1
    ]
    groups: Groups = {}
    for run, own in runs.items():
        results = groups.setdefault(tuple(own.get(key, "") for key in varied), [])
        if (run / "result.json").is_file():
            results.append(json.loads((run / "result.json").read_text()))
    header = [*varied, "runs", *FIGURES]
    rows = [
        [*key, str(len(group)), *map(_readable, _values(group))] for key, group in groups.items()
    ]
    _write_numbers(folder / "summary.csv", varied, groups)
    lines = [header, ["---"] * len(header), *rows]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    (folder / "summary.md").write_text(text, encoding="utf-8")
    print(_table(header, rows))
    print(f"sweep: {folder}")
    for run, own in runs.items():
        if not (run / "result.json").is_file():
            print(f"no result: {run} ({' '.join(f'{k}={v}' for k, v in own.items())})")


def failed_jobs(folder: Path) -> list[str]:
    """Returns what was typed for each job of a sweep that failed, with its number."""
    return [
        f"{run.name} ({' '.join(f'{k}={v}' for k, v in own.items())})"
        for run, own in _runs(folder).items()
        if (run / ERROR_FILE).is_file()
    ]


def _runs(folder: Path) -> dict[Path, dict[str, str]]:
    """Returns the runs of a sweep in their order, and the overrides of each."""
    runs = sorted((p.parent.parent for p in folder.glob("**/.hydra/overrides.yaml")), key=_order)
    return {run: _overrides(run) for run in runs}


def _order(run: Path) -> tuple[int, str]:
    return (int(run.name), "") if run.name.isdigit() else (1 << 30, str(run))


def _overrides(run: Path) -> dict[str, str]:
    listed = OmegaConf.to_container(OmegaConf.load(run / ".hydra" / "overrides.yaml"))
    pairs = [str(override).partition("=") for override in listed or []]
    return {key.lstrip("+~"): value for key, _, value in pairs}


def _values(group: list[dict[str, Any]]) -> list[list[float]]:
    """Returns the known values of each figure."""
    found = [[(r.get(part) or {}).get(name) for r in group] for part, name in FIGURES.values()]
    return [[value for value in values if value is not None] for values in found]


def _readable(values: list[float]) -> str:
    if not values:
        return "-"
    digits = 4 if max(values) <= 1 else 0
    spread = f" \u00b1 {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{spread}"


def _write_numbers(path: Path, varied: list[str], groups: Groups) -> None:
    """Writes means and deviations in full precision; the deviation of one run is left empty."""
    names = [f"{part}_{name}" for part, name in FIGURES.values()]
    header = [*varied, "runs", *(f"{n}_{kind}" for n in names for kind in ("mean", "std"))]
    rows = [
        [*key, len(group), *(number for values in _values(group) for number in _mean_std(values))]
        for key, group in groups.items()
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def _mean_std(values: list[float]) -> tuple[float | str, float | str]:
    return mean(values) if values else "", stdev(values) if len(values) > 1 else ""


def _table(header: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
