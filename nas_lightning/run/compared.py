"""Compares finished runs: what their children reach over seeds, beside chance, and at what cost."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from math import sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy.stats import t as student

from nas_lightning.evaluation.verdict import WORTH_IT
from nas_lightning.reports.comparison import comparison_html
from nas_lightning.reports.metric import MainMetric, metric_of, number_at
from nas_lightning.run.folder import RESULT, RunFolder
from nas_lightning.run.sweep import ERROR_FILE, by_key, runs_of, varied_keys

__all__ = ["Comparison", "compare", "listed_runs"]

CONFIDENCE = 0.95
UNEQUAL = 1.1  # costs that differ by more are pointed out
NAMED = ("search_space", "strategy", "data")  # told of every group, whether typed or not


@dataclass(frozen=True)
class Comparison:
    """Groups of runs that differ in more than the seed; a notebook shows the page.

    Attributes:
        tables: by question, what was asked on which data, a row per group, the best first: its
            name, its runs' folders, mean and std of the test metric, the mean difference to the
            random genotype and half the width of its 95 % interval, verdicts, sizes and costs.
        notes: what to know when reading it.
    """

    tables: dict[str, list[dict[str, Any]]]
    notes: tuple[str, ...]
    metrics: dict[str, MainMetric]

    @cached_property
    def html(self) -> str:
        """The comparison as one page, complete in itself."""
        return comparison_html(self.tables, self.metrics, self.notes)

    def _repr_html_(self) -> str:
        return self.html


def compare(runs: Iterable[Any], out: str | Path | None = None) -> Comparison:
    """Compares runs; `nas-report` as a call.

    Runs that differ in the seed alone are one group. The difference to the random genotype is
    taken run by run, so that a lucky seed counts for both; its interval is Student's.

    Args:
        runs: finished runs, folders of runs, and folders of sweeps, which stand for their runs.
        out: file of the page, e.g. "comparison.html"; None writes nothing.

    Raises: ValueError: a folder holds no run, or none of the runs is finished.
    """
    folders = runs_of([Path(getattr(run, "folder", run)).expanduser() for run in runs])
    results = {folder.path: _result(folder) for folder in folders}
    finished = [folder for folder in folders if results[folder.path] is not None]
    notes = [
        f"{folder.path} has no result yet; it is left out"
        for folder in folders
        if folder not in finished
    ]
    for folder in finished:
        if folder.command not in ("search", "train"):
            raise ValueError(
                f"{folder.path} is a run of nas-{folder.command}, whose result is no trained "
                "child; give runs of nas-search and nas-train"
            )
    if not finished:
        raise ValueError("there is no finished run to compare; " + "; ".join(notes))
    questions: dict[str, list[RunFolder]] = {}
    for folder in finished:
        questions.setdefault(_question(results[folder.path]), []).append(folder)
    tables, metrics = {}, {}
    for question, members in questions.items():
        metrics[question] = metric_of(results[members[0].path] or {})
        tables[question] = _rows(members, results, metrics[question])
        notes += _warnings(tables[question])
        read = [(results[member.path] or {}).get("data_identity") for member in members]
        if any(identity != read[0] for identity in read):
            notes.append(f"{question}: the runs did not read the same data, so they do not compare")
    if len(tables) > 1:
        notes.append("runs on different data, or of another metric, stand in a table each")
    comparison = Comparison(tables, tuple(dict.fromkeys(notes)), metrics)
    if out is not None:
        Path(out).write_text(comparison.html, encoding="utf-8")
    return comparison


def listed_runs(outputs: Path) -> list[dict[str, Any]]:
    """Returns the runs anywhere under a folder, the newest first: what each is, and its state."""
    rows = []
    for path in {file.parent.parent for file in outputs.glob("**/.hydra/overrides.yaml")}:
        folder = RunFolder(path)
        if not folder.is_whole:
            continue
        result, failed = _result(folder), (path / ERROR_FILE).is_file()
        metric = metric_of(result or {})
        value = ((result or {}).get("child") or {}).get(f"test_{metric.name}")
        rows.append(
            {
                "run": str(path),
                "started": datetime.fromtimestamp(folder.config_file.stat().st_mtime),
                "command": folder.command,
                "strategy": folder.choice("strategy") or "-",
                "data": folder.choice("data") or "-",
                "test": f"{metric.text(value)} {metric.words}" if value is not None else "-",
                "state": "finished" if result else "failed" if failed else "not finished",
            }
        )
    return sorted(rows, key=lambda row: row["started"], reverse=True)


def _result(folder: RunFolder) -> dict[str, Any] | None:
    path = folder / RESULT
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); remove it and resume the run") from None
    return content


def _question(result: dict[str, Any] | None) -> str:
    """Returns what a run was asked: the metric, and the data that it was measured on."""
    assert result is not None
    name = result.get("data_name") or result.get("data") or "data"
    return f"test {metric_of(result).words} on {name}"


def _rows(
    members: Sequence[RunFolder], results: dict[Path, dict[str, Any] | None], metric: MainMetric
) -> list[dict[str, Any]]:
    typed = {folder.path: by_key(folder.overrides) for folder in members}
    varied = [key for key in varied_keys(typed) if key not in ("seed", *NAMED)]
    varied = [key for key in varied if not key.startswith("hydra.")]
    groups: dict[str, list[dict[str, Any]]] = {}
    for folder in members:
        result = results[folder.path] or {}
        named = [str(result[key]) for key in ("strategy", "space") if result.get(key)]
        own = [f"{key}={typed[folder.path][key]}" for key in varied if key in typed[folder.path]]
        name = " ".join([" on ".join(named), *own])
        groups.setdefault(name, []).append(result | {"folder": folder.path})
    rows = [_row(name, group, metric) for name, group in groups.items()]
    sign = -1 if metric.is_higher_better else 1
    return sorted(rows, key=lambda row: (row["test"] is None, sign * (row["test"] or 0.0)))


def _row(name: str, group: Sequence[dict[str, Any]], metric: MainMetric) -> dict[str, Any]:
    """Returns the figures of one group; None stands for what its runs did not measure."""
    test = f"test_{metric.name}"
    tests = _numbers(group, "child", test)
    pairs = [
        (number_at(result, "child", test), number_at(result, "baselines", "random_genotype", test))
        for result in group
    ]
    gains = [own - other for own, other in pairs if own is not None and other is not None]
    scored = [result for result in group if number_at(result, "child", test) is not None]
    pick = max if metric.is_higher_better else min
    best = pick(scored, key=lambda r: r["child"][test]) if scored else group[0]
    return {
        "name": name,
        "runs": len(group),
        "seeds": sorted({result.get("seed") for result in group}),
        "test": _mean(tests),
        "test_std": stdev(tests) if len(tests) > 1 else None,
        "tests": tests,
        "gain": _mean(gains),
        "gain_interval": _half_width(gains),
        "worth_it": _worth_it(group),
        "parameters": _mean(_numbers(group, "child", "parameters")),
        "multiply_adds": _mean(_numbers(group, "child", "multiply_adds")),
        "samples": _mean(_numbers(group, "search", "cost", "training_samples")),
        "seconds": _mean(_numbers(group, "search", "cost", "wall_s")),
        "genotype": best.get("genotype_id"),
        "drawing": str(best["folder"] / "genotype.svg"),
        "folders": [str(result["folder"]) for result in group],
    }


def _worth_it(group: Iterable[dict[str, Any]]) -> str | None:
    """Returns how many runs have the verdict "worth it", e.g. "1 of 3"; None where none has any."""
    answers = [v["answer"] for v in (result.get("verdict") for result in group) if v]
    return f"{answers.count(WORTH_IT)} of {len(answers)}" if answers else None


def _warnings(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Returns what makes the rows of a table unlike."""
    samples = [row["samples"] for row in rows if row["samples"]]
    notes = []
    if len(samples) > 1 and max(samples) > UNEQUAL * min(samples):
        notes.append(
            f"the searches did not cost the same: {min(samples):,.0f} to {max(samples):,.0f} "
            "training samples; max_samples=N gives every strategy the same budget"
        )
    if len({len(row["seeds"]) for row in rows}) > 1:
        notes.append("the groups have different numbers of seeds")
    if any(row["runs"] == 1 for row in rows):
        notes.append("one run tells nothing of chance: repeat it, e.g. -m seed=0,1,2,3,4")
    return notes


def _half_width(values: Sequence[float]) -> float | None:
    """Returns half the width of Student's interval of a mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    quantile = float(student.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    return quantile * stdev(values) / sqrt(len(values))


def _mean(values: Sequence[float]) -> float | None:
    return mean(values) if values else None


def _numbers(group: Iterable[dict[str, Any]], *path: str) -> list[float]:
    values = (number_at(result, *path) for result in group)
    return [value for value in values if value is not None]
