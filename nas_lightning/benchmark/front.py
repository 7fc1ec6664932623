"""A Pareto front beside the table's own, and the hypervolume over evaluations, as PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["draw_front"]

FOUND, TRUE = "#0068a8", "#cc4f0a"


def draw_front(
    path: Path,
    names: Sequence[str],
    found: Sequence[Sequence[float]],
    true: Sequence[Sequence[float]],
    curve: Mapping[str, Sequence[float]],
    seeds: int,
) -> None:
    """Draws both panels; a front is the best first value within reach of the second one.

    Args:
        path: the PNG file.
        names: of the two values; lower is better of the second one.
        found: the first search's front, a pair of values a child.
        true: the table's front.
        curve: "evaluations", "low", "median" and "high" (shares of the table's hypervolume).
        seeds: number of searches.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 4.2), dpi=130, layout="constrained")
    front, volume = figure.subplots(1, 2)
    for points, colour, label in (
        (true, TRUE, "the table's"),
        (found, FOUND, "found (first seed)"),
    ):
        ordered = sorted(points, key=lambda point: point[1])
        first, second = [p[0] for p in ordered], [p[1] for p in ordered]
        style = {"markersize": 3.5, "linewidth": 1, "drawstyle": "steps-post"}
        front.plot(second, first, "o-", color=colour, label=label, **style)
    front.set_xlabel(names[1].replace("_", " "))
    front.set_ylabel(names[0].replace("_", " "))
    front.set_title("Pareto fronts, beyond the reference point", fontsize=11)
    count, low, high = curve["evaluations"], curve["low"], curve["high"]
    volume.fill_between(count, low, high, color=FOUND, alpha=0.18, linewidth=0)
    volume.plot(count, curve["median"], color=FOUND, linewidth=1.8, label="median, quartiles")
    volume.axhline(1.0, color=TRUE, linewidth=1, linestyle="--", label="the table's front")
    volume.set_xlabel("evaluations")
    volume.set_ylabel("hypervolume (share of the table's)")
    volume.set_title(f"{seeds} {'search' if seeds == 1 else 'searches'}", fontsize=11)
    for axes in (front, volume):
        axes.grid(True, alpha=0.25, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    figure.savefig(path, format="png")
