"""The regret of searches over simulated time, as a PNG picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["draw_regret"]

COLOURS = ("#0068a8", "#cc4f0a", "#008f68", "#bb5d96", "#a36d00", "#6f4aa8", "#4b5563")
FLOOR = 0.01  # points of regret at which the axis ends; an optimum lies on it


def draw_regret(
    path: Path, curves: Mapping[str, Mapping[str, Sequence[float]]], data: str, seeds: int
) -> None:
    """Draws the median and the quartiles of every strategy.

    Args:
        path: the PNG file.
        curves: by strategy "seconds", "low", "median" and "high" (points of test accuracy).
        data: name of the data set.
        seeds: number of searches of each strategy.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.4), dpi=130, layout="constrained")
    axes = figure.subplots()
    for index, (name, curve) in enumerate(curves.items()):
        colour, seconds = COLOURS[index % len(COLOURS)], curve["seconds"]
        low, median, high = ([max(v, FLOOR) for v in curve[k]] for k in ("low", "median", "high"))
        axes.fill_between(seconds, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(seconds, median, color=colour, linewidth=1.8, label=name)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("simulated seconds of training")
    axes.set_ylabel("test accuracy below the best child (points)")
    axes.set_title(f"{data}: median and quartiles of {seeds} searches", fontsize=11)
    axes.grid(True, which="both", alpha=0.25, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, format="png")
