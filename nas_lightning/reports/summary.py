"""The short summary at the end of a run, as text for a terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas_lightning.reports.metric import MainMetric, metric_of, rewards_differ

__all__ = ["summary"]

NAMES = {"random_genotype": "random genotype, trained alike"}


def summary(result: Mapping[str, Any], cells: str, folder: Path) -> str:
    """Returns what was found, how good it is, what it cost, and where the files are.

    Args:
        result: the content of result.json.
        cells: the genotype as text.
        folder: the run's folder.
    """
    search, child = result.get("search"), result.get("child")
    baselines = result.get("baselines") or {}
    metric = metric_of(result)
    validation, test = f"validation_{metric.name}", f"test_{metric.name}"
    lines = ["", f"genotype {result['genotype_id']} of space {result['space']}", cells, ""]
    if search:
        lines.append(_row(f"search validation {metric.words}", metric.text(search[validation])))
        if (path := f"discretized_{validation}") in search:
            lines.append(_row("  of the found path alone", metric.text(search[path])))
        if rewards_differ(result):
            lines.append(_row(f"search reward ({result['objective']})", f"{search['reward']:,.4g}"))
    if child:
        lines.append(_row(f"child test {metric.words}", metric.text(child[test])))
        for key, figures in baselines.items():
            name = NAMES.get(key, key.replace("_", " "))
            lines.append(_row(f"  {name}", metric.text(figures[test]) + _size(figures)))
        lines += _companions(child, metric)
        lines.append(_row("parameters", f"{child['parameters']:,}"))
        lines.append(_row("multiply-adds per image", f"{child['multiply_adds']:,}"))
    if search:
        cost = search["cost"]
        lines.append(
            _row(
                "cost of the search",
                f"{cost['wall_s']:.0f} s, "
                f"{cost['training_samples']:,} training samples, "
                f"{cost['gradient_steps']:,} gradient steps",
            )
        )
    lines += [f"note: {note}" for note in result.get("notes") or ()]
    lines += ["", _row("files", str(folder)), _row("report", str(folder / "report.html"))]
    return "\n".join(lines)


def _row(name: str, value: str) -> str:
    return f"{name:34} {value}"


def _size(figures: Mapping[str, Any]) -> str:
    """Returns how large a network is, where that is known."""
    return f", {figures['parameters']:,} parameters" if "parameters" in figures else ""


def _companions(child: Mapping[str, Any], metric: MainMetric) -> list[str]:
    """Returns the child's other test metrics."""
    names = [n for n in child if n.startswith("test_") and n != f"test_{metric.name}"]
    return [_row(f"child {name.replace('_', ' ')}", metric.text(child[name])) for name in names]
