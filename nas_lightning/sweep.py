"""The summary of a sweep: what varied, and mean and deviation over seeds."""

import csv
import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from omegaconf import OmegaConf

__all__ = ["summarise_sweep"]

FIGURES = {
    "search validation": ("search", "validation_accuracy"),
    "child test": ("child", "test_accuracy"),
    "parameters": ("child", "parameters"),
}


def summarise_sweep(folder: Path) -> None:
    """Prints the table of a sweep and writes it as summary.csv and summary.md.

    Runs are grouped by every key that varied, except the seed. Runs without a result are named.

    Args:
        folder: the sweep's folder, with one folder a run.
    """
    runs = sorted((p.parent.parent for p in folder.glob("*/.hydra/overrides.yaml")), key=_order)
    overrides = {run: _overrides(run) for run in runs}
    varied = [
        key
        for key in dict.fromkeys(key for own in overrides.values() for key in own)
        if key != "seed" and len({own.get(key) for own in overrides.values()}) > 1
    ]
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    failed = []
    for run, own in overrides.items():
        results = groups.setdefault(tuple(own.get(key, "") for key in varied), [])
        if (run / "result.json").is_file():
            results.append(json.loads((run / "result.json").read_text()))
        else:
            failed.append(run)
    header = [*varied, "runs", *FIGURES]
    rows = [[*key, str(len(results)), *_figures(results)] for key, results in groups.items()]
    _write(folder, header, rows)
    print(_table(header, rows))
    print(f"sweep: {folder}")
    for run in failed:
        print(f"no result: {run} ({' '.join(f'{k}={v}' for k, v in overrides[run].items())})")


def _order(run: Path) -> tuple[int, str]:
    return (int(run.name), "") if run.name.isdigit() else (1 << 30, run.name)


def _overrides(run: Path) -> dict[str, str]:
    listed = OmegaConf.to_container(OmegaConf.load(run / ".hydra" / "overrides.yaml"))
    pairs = [str(override).partition("=") for override in listed or []]
    return {key.lstrip("+~"): value for key, _, value in pairs}


def _figures(results: list[dict[str, Any]]) -> list[str]:
    return [
        _mean([(r.get(part) or {}).get(name) for r in results]) for part, name in FIGURES.values()
    ]


def _mean(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    digits = 4 if max(known) <= 1 else 0
    spread = f" ± {stdev(known):.{digits}f}" if len(known) > 1 else ""
    return f"{mean(known):.{digits}f}{spread}"


def _write(folder: Path, header: list[str], rows: list[list[str]]) -> None:
    with (folder / "summary.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    lines = [header, ["---"] * len(header), *rows]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    (folder / "summary.md").write_text(text, encoding="utf-8")


def _table(header: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
