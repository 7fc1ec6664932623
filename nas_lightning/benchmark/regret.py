"""The regret of searches over simulated time."""

from collections.abc import Mapping, Sequence

import altair as alt
from altair.typing import ChartType

from nas_lightning.reports.colours import CYCLE
from nas_lightning.reports.rendering import plot, styled

__all__ = ["draw_regret"]

FLOOR = 0.01  # points of regret at which the axis ends; an optimum lies on it


def draw_regret(
    curves: Mapping[str, Mapping[str, Sequence[float]]], data: str, seeds: int
) -> ChartType:
    """Returns the median and the quartiles of every strategy.

    Args:
        curves: by strategy "seconds", "low", "median" and "high" (points of test accuracy).
        data: name of the data set.
        seeds: number of searches of each strategy.
    """
    rows = [
        {
            "strategy": strategy,
            "seconds": seconds,
            **{name: max(curve[name][i], FLOOR) for name in ("low", "median", "high")},
        }
        for strategy, curve in curves.items()
        for i, seconds in enumerate(curve["seconds"])
    ]
    colour = alt.Color("strategy:N").scale(domain=list(curves), range=list(CYCLE))
    base = plot(rows).encode(
        x=alt.X("seconds:Q", title="simulated seconds of training"), color=colour
    )
    title = "test accuracy below the best child (points)"
    axis = alt.Y("median:Q", title=title).scale(type="log", nice=False).axis(format="~g")
    line = base.mark_line().encode(y=axis)
    band = base.mark_area(opacity=0.18).encode(y=alt.Y("low:Q", title=title), y2="high:Q")
    chart = alt.layer(band, line).properties(width=620, height=360)
    return styled(chart, f"{data}: median and quartiles of {seeds} searches")
