"""A Pareto front beside the table's own, and the hypervolume over evaluations."""

from collections.abc import Mapping, Sequence

import altair as alt
from altair.typing import ChartType

from nas_lightning.reports.colours import CYCLE
from nas_lightning.reports.rendering import beside, plot, quantity

__all__ = ["draw_front"]

BLUE, ORANGE = CYCLE[:2]
SIZE = {"width": 400, "height": 300}
FOUND, TRUE = "found (first seed)", "the table's"


def draw_front(
    names: Sequence[str],
    found: Sequence[Sequence[float]],
    true: Sequence[Sequence[float]],
    curve: Mapping[str, Sequence[float]],
    seeds: int,
) -> ChartType:
    """Returns both charts; a front is the best first value within reach of the second one.

    Args:
        names: of the two values; lower is better of the second one.
        found: the first search's front, a pair of values per child.
        true: the table's front.
        curve: "evaluations", "low", "median" and "high" (shares of the table's hypervolume).
        seeds: number of searches.
    """
    charts = [_draw_fronts(names, {TRUE: true, FOUND: found}), _draw_volume(curve, seeds)]
    return beside(charts, "Pareto fronts and their hypervolume")


def _draw_fronts(
    names: Sequence[str], fronts: Mapping[str, Sequence[Sequence[float]]]
) -> ChartType:
    first, second = (name.replace("_", " ") for name in names)
    rows = [
        {"front": front, "first": point[0], "second": point[1]}
        for front, points in fronts.items()
        for point in points
    ]
    colour = alt.Color("front:N", legend=alt.Legend(orient="bottom", title=None))
    chart: ChartType = (
        plot(rows)
        .mark_line(interpolate="step-after", strokeWidth=1, point={"size": 22})
        .encode(
            x=alt.X("second:Q", title=second).scale(zero=False),
            y=quantity("first", first),
            color=colour.scale(domain=list(fronts), range=[ORANGE, BLUE]),
        )
        .properties(title="Pareto fronts, beyond the reference point", **SIZE)
    )
    return chart


def _draw_volume(curve: Mapping[str, Sequence[float]], seeds: int) -> ChartType:
    rows = [dict(zip(curve, row, strict=True)) for row in zip(*curve.values(), strict=True)]
    base = plot(rows).encode(x=alt.X("evaluations:Q"))
    title = "hypervolume (share of the table's)"
    band = base.mark_area(color=BLUE, opacity=0.18).encode(y=quantity("low", title), y2="high:Q")
    line = base.mark_line(color=BLUE).encode(y=quantity("median", title))
    whole = plot([{}]).mark_rule(color=ORANGE, strokeDash=[5, 3])
    whole = whole.encode(y=alt.YDatum(1.0))
    words = f"median and quartiles of {seeds} {'search' if seeds == 1 else 'searches'}"
    return alt.layer(band, line, whole).properties(title=f"{words}; dashed: the table", **SIZE)
