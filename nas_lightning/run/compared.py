"""Compares finished runs: what their children reach over seeds, beside chance, and at what cost."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy.stats import t as student

from nas_lightning.evaluation.verdict import UNDECIDED, WORTH_IT
from nas_lightning.reports.comparison import COLUMNS, cells_of, comparison_html
from nas_lightning.reports.metric import MainMetric, metric_of, number_at
from nas_lightning.reports.terminal import columns_of, wrapped
from nas_lightning.reports.text_table import text_table
from nas_lightning.reports.usage import uses
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.groups import Member, asked, grouped, once_per_seed
from nas_lightning.run.state import BROKEN, RunState
from nas_lightning.run.sweep import runs_of

__all__ = ["PAGE", "Comparison", "compare"]

CONFIDENCE = 0.95
UNEQUAL = 1.1  # costs that differ by more are pointed out
PAGE, SUFFIXES = "comparison.html", (".html", ".htm")
FEW = 3  # runs of which the deviation says little
LONGEST = 20  # characters of a name within a table; longer ones stand below it


@dataclass(frozen=True, repr=False)
class Comparison:
    """Groups of runs that differ in more than the seed; a notebook shows the page, print a table.

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

    def __repr__(self) -> str:
        return self.text(columns_of(sys.stdout))

    def text(self, columns: int | None) -> str:
        """Returns the tables and notes as text of a terminal's columns; None wraps nothing."""
        lines = list[str]()
        for question, rows in self.tables.items():
            cells = [cells_of(row, self.metrics[question]) for row in rows]
            names = [row[0] for row in cells]
            is_long = max(map(len, names)) > LONGEST
            if is_long:
                cells = [[f"[{number}]", *row[1:]] for number, row in enumerate(cells, 1)]
            lines += [question, text_table(COLUMNS, cells, columns)]
            lines += [f"[{number}] {name}" for number, name in enumerate(names, 1) if is_long]
        lines += [wrapped(f"note: {note}", columns) for note in self.notes]
        return "\n".join(lines)


def compare(runs: Any, out: str | Path | None = None) -> Comparison:
    """Compares runs; `nas-report` as a call.

    Runs whose composed configuration differs in the seed alone are one group, in which a seed
    counts once: of several runs the latest finished one. The difference to the random genotype is
    taken run by run, so that a lucky seed counts for both; its interval is Student's.

    Args:
        runs: finished runs, folders of runs, and folders of sweeps, which stand for their runs;
            one of them, or several in a list.
        out: file of the page, e.g. "comparison.html"; None writes nothing.

    Raises: ValueError: a folder holds no run, none of the runs is finished, or `out` is no .html.
    """
    is_one = isinstance(runs, str | Path) or hasattr(runs, "folder")
    runs = [runs] if is_one else list(runs)
    if not runs:
        raise ValueError("runs ([]) must be one at least; give folders of runs or of sweeps")
    if out is not None and Path(out).suffix not in SUFFIXES:
        raise ValueError(f"out ({out}) must end in .html, as the page is HTML; use {PAGE}")
    paths = [Path(getattr(run, "folder", run)).expanduser() for run in runs]
    members, notes = _finished(runs_of(paths))
    times = Counter(path.resolve() for path in paths)
    notes += [
        f"{path} was given more than once; it counts once" for path in times if times[path] > 1
    ]
    tables, metrics = {}, {}
    for question, group in asked(members).items():
        metrics[question] = metric_of(group[0].result)
        tables[question], said = _table(group, metrics[question])
        notes += said
        read = [member.result.get("data_identity") for member in group]
        if any(identity != read[0] for identity in read):
            notes.append(f"{question}: the runs did not read the same data, so they do not compare")
    if len(tables) > 1:
        notes.append("runs on different data, or of another metric, stand in a table each")
    comparison = Comparison(tables, tuple(dict.fromkeys(notes)), metrics)
    if out is not None:
        Path(out).write_text(comparison.html, encoding="utf-8")
    return comparison


def _finished(folders: Sequence[RunFolder]) -> tuple[list[Member], list[str]]:
    """Returns the finished runs, and a note for each other one.

    Raises: ValueError: there is none, or a run trains no child.
    """
    members, notes = [], []
    for folder in folders:
        state = RunState.of(folder)
        if state.word != "finished":
            notes.append(state.told(folder.path))
        elif folder.command not in ("search", "train"):
            raise ValueError(
                f"{folder.path} is a run of nas-{folder.command}, whose result is no trained "
                "child; give runs of nas-search and nas-train"
            )
        else:
            try:
                members.append(Member.of(folder, state.result))
            except BROKEN as error:
                notes.append(RunState.broken(folder, error).told(folder.path))
    if not members:
        raise ValueError("there is no finished run to compare; " + "; ".join(notes))
    return members, notes


def _table(members: Sequence[Member], metric: MainMetric) -> tuple[list[dict[str, Any]], list[str]]:
    """Returns a row per group, the best first, and what to know of them."""
    rows, notes = [], []
    for name, group in grouped(members).items():
        counted, repeated = once_per_seed(group)
        rows.append(_row(name, counted, metric))
        if repeated:
            seeds = ", ".join(map(str, sorted({each.result.get("seed") or 0 for each in repeated})))
            notes.append(
                f"{name}: runs of one seed are not independent, so that a seed counts once, by "
                f"the run that finished last; of seed {seeds}, {len(repeated)} left out: "
                f"{', '.join(str(each.path) for each in repeated)}"
            )
        notes += _untrained(name, counted)
        samples = _numbers(counted, "search", "cost", "training_samples")
        if _differ(samples):
            notes.append(
                f"{name}: its runs did not cost the same, {_ends(samples)} training samples: their "
                "deviation is not chance alone"
            )
    sign = -1 if metric.is_higher_better else 1
    rows.sort(key=lambda row: (row["test"] is None, sign * (row["test"] or 0.0)))
    return rows, notes + _warnings(rows)


def _untrained(name: str, group: Sequence[Member]) -> list[str]:
    """Returns how to train the networks of searches that trained none."""
    left = [member for member in group if not member.result.get("child")]
    if not left:
        return []
    [(_, line)] = uses(left[0].path, left[0].result)
    if len(left) == 1:
        return [f"{name}: its network was not trained, so nothing was tested; train it: {line}"]
    return [f"{name}: {len(left)} networks were not trained or tested; train each, e.g.: {line}"]


def _row(name: str, group: Sequence[Member], metric: MainMetric) -> dict[str, Any]:
    """Returns the figures of one group; None stands for what its runs did not measure."""
    test = f"test_{metric.name}"
    tests = _numbers(group, "child", test)
    pairs = [
        (
            number_at(member.result, "child", test),
            number_at(member.result, "baselines", "random_genotype", test),
        )
        for member in group
    ]
    gains = [value - other for value, other in pairs if value is not None and other is not None]
    scored = [member for member in group if number_at(member.result, "child", test) is not None]
    pick = max if metric.is_higher_better else min
    best = pick(scored, key=lambda each: each.result["child"][test]) if scored else group[0]
    return {
        "name": name,
        "runs": len(group),
        "seeds": [member.result.get("seed") for member in group],
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
        "genotype": best.result.get("genotype_id"),
        "drawing": str(best.path / "genotype.svg"),
        "folders": [str(member.path) for member in group],
    }


def _worth_it(group: Sequence[Member]) -> str | None:
    """Returns how many runs have the verdict "worth it"; None where none has any.

    Undecided ones are named, e.g. "1 of 3, 2 undecided", or "undecided" of a single run.
    """
    answers = [v["answer"] for v in (member.result.get("verdict") for member in group) if v]
    if answers == [UNDECIDED]:
        return UNDECIDED
    open_ = answers.count(UNDECIDED)
    words = f"{answers.count(WORTH_IT)} of {len(answers)}"
    return words + (f", {open_} undecided" if open_ else "") if answers else None


def _warnings(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Returns what makes the rows of a table unlike."""
    samples = [row["samples"] for row in rows if row["samples"] is not None]
    notes = []
    if _differ(samples):
        notes.append(
            f"the searches did not cost the same: {_ends(samples)} training samples; "
            "max_samples=N gives every strategy the same budget"
        )
    if len({len(row["seeds"]) for row in rows}) > 1:
        notes.append("the groups have different numbers of seeds")
    if any(row["runs"] == 1 for row in rows):
        notes.append("one run tells nothing of chance: repeat it, e.g. -m seed=0,1,2,3,4")
    if any(1 < row["runs"] < FEW for row in rows):
        notes.append("two runs tell little of chance: run more seeds, e.g. -m seed=0,1,2,3,4")
    return notes


def _differ(costs: Sequence[float]) -> bool:
    return len(costs) > 1 and max(costs) > UNEQUAL * min(costs)


def _ends(costs: Sequence[float]) -> str:
    return f"{min(costs):,.0f} to {max(costs):,.0f}"


def _half_width(values: Sequence[float]) -> float | None:
    """Returns half the width of Student's interval of a mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    quantile = float(student.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    return quantile * stdev(values) / sqrt(len(values))


def _mean(values: Sequence[float]) -> float | None:
    return mean(values) if values else None


def _numbers(group: Iterable[Member], *path: str) -> list[float]:
    values = (number_at(member.result, *path) for member in group)
    return [value for value in values if value is not None]
