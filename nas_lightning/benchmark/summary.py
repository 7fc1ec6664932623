"""The result of a benchmark as text for a terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["benchmark_text"]

UNCHECKED = "*"
PUBLISHED = ("published validation", "published test")
CAVEAT = "* quoted from memory of the paper, not checked"


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
    lines = [
        "",
        f"{result['strategy']} on table {result['table']}, searched on {result['data']}: "
        f"{result['seeds']} {searches}{limit}, {result['trials']:.1f} children each "
        f"({result['wall_s']:.1f} s)",
        "",
        _row("accuracy in %", "validation", "test", *(PUBLISHED if published else ())),
    ]
    for data, figures in {result["data"]: result, **result["transfer"]}.items():
        row = (published or {}).get(data, {})
        ours = [_figure(figures[f"{part}_accuracy"]) for part in ("validation", "test")]
        theirs = [_published(row.get(part)) for part in ("validation", "test")]
        lines.append(_row(data, *ours, *theirs))
    if any(UNCHECKED in line for line in lines):
        lines.append(CAVEAT)
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


def _row(name: str, *rest: str) -> str:
    return f"{name:16}" + "".join(f"{cell:>22}" for cell in rest).rstrip()


def _figure(figure: Mapping[str, float]) -> str:
    return f"{100 * figure['mean']:.2f} +- {100 * figure['std']:.2f}"


def _published(figure: Sequence[float] | None) -> str:
    if figure is None:
        return ""
    mean, std, is_checked = figure
    return f"{mean:.2f} +- {std:.2f}{' ' if is_checked else UNCHECKED}"
