"""The short summary at the end of a run, as text for a terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["summary"]


def summary(result: Mapping[str, Any], cells: str, folder: Path) -> str:
    """Returns what was found, how good it is, what it cost, and where the files are.

    Args:
        result: the content of result.json.
        cells: the genotype as text.
        folder: the run's folder.
    """
    search, child = result.get("search"), result.get("child")
    baselines = result.get("baselines") or {}
    lines = ["", f"genotype {result['genotype_id']} of space {result['space']}", cells, ""]
    if search:
        lines.append(_row("search validation accuracy", _share(search["validation_accuracy"])))
    if child:
        lines.append(_row("child test accuracy", _share(child["test_accuracy"])))
        names = {
            "random_genotype": "random genotype, trained alike",
            "logistic_regression": "logistic regression",
        }
        for key, name in names.items():
            if key in baselines:
                lines.append(_row(f"  {name}", _share(baselines[key]["test_accuracy"])))
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


def _share(value: float) -> str:
    return f"{100 * value:.2f} %"
