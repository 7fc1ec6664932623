"""Charts of a benchmark: regret over simulated time, Pareto fronts, hypervolume."""

from collections.abc import Mapping, Sequence

import altair as alt
from altair.typing import ChartType

from nas_lightning.benchmark.simulation import Curve
from nas_lightning.reports.colours import CYCLE
from nas_lightning.reports.rendering import beside, plot, quantity, styled

__all__ = ["draw_front", "draw_regret"]

Points = Sequence[Sequence[float]]
BLUE, ORANGE = CYCLE[:2]
SIZE = {"width": 400, "height": 300}
FLOOR = 0.01  # points of regret at which the axis ends; an optimum lies on it


def draw_regret(curves: Mapping[str, Curve], data: str, seeds: int) -> ChartType:
    """Returns every strategy's regret (see `regret_curve`) over so many seeds each."""
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
    time = alt.X("seconds:Q", title="simulated seconds of training")
    base = plot(rows).encode(x=time, color=colour)
    title = "test accuracy below the best child (points)"
    axis = alt.Y("median:Q", title=title).scale(type="log", nice=False).axis(format="~g")
    line = base.mark_line().encode(y=axis)
    band = base.mark_area(opacity=0.18).encode(y=alt.Y("low:Q", title=title), y2="high:Q")
    chart = alt.layer(band, line).properties(width=620, height=360)
    return styled(chart, f"{data}: median and quartiles of {seeds} searches")


def draw_front(
    names: Sequence[str], reached: Points, table: Points, curve: Curve, seeds: int
) -> ChartType:
    """Returns the fronts (the best first value up to each second one), and the hypervolume.

    `names` are of the two values, lower being better of the second one; `reached` is the first
    search's front, a pair of values per child; `curve` is of all searches (`hypervolume_curve`).
    """
    fronts = _draw_fronts(names, {"the table's": table, "found (first seed)": reached})
    return beside([fronts, _draw_volume(curve, seeds)], "Pareto fronts and their hypervolume")


def _draw_fronts(names: Sequence[str], fronts: Mapping[str, Points]) -> ChartType:
    first, second = (name.replace("_", " ") for name in names)
    rows = [
        {"front": front, "first": point[0], "second": point[1]}
        for front, points in fronts.items()
        for point in points
    ]
    colour = alt.Color("front:N", legend=alt.Legend(orient="bottom", title=None))
    chart = plot(rows).mark_line(interpolate="step-after", strokeWidth=1, point={"size": 22})
    whole: ChartType = chart.encode(
        x=alt.X("second:Q", title=second).scale(zero=False),
        y=quantity("first", first),
        color=colour.scale(domain=list(fronts), range=[ORANGE, BLUE]),
    ).properties(title="Pareto fronts, beyond the reference point", **SIZE)
    return whole


def _draw_volume(curve: Curve, seeds: int) -> ChartType:
    rows = [dict(zip(curve, row, strict=True)) for row in zip(*curve.values(), strict=True)]
    base = plot(rows).encode(x=alt.X("evaluations:Q"))
    title = "hypervolume (share of the table's)"
    band = base.mark_area(color=BLUE, opacity=0.18).encode(y=quantity("low", title), y2="high:Q")
    line = base.mark_line(color=BLUE).encode(y=quantity("median", title))
    whole = plot([{}]).mark_rule(color=ORANGE, strokeDash=[5, 3]).encode(y=alt.YDatum(1.0))
    words = f"median and quartiles of {seeds} {'search' if seeds == 1 else 'searches'}"
    return alt.layer(band, line, whole).properties(title=f"{words}; dashed: the table", **SIZE)
