"""What a search prefers over time: a line per option, or a heat map; a small chart per choice."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
from altair.typing import ChartType

from nas_lightning.reports.colours import CYCLE, PALE, paints_of
from nas_lightning.reports.records import AlphaCurve, thin
from nas_lightning.reports.rendering import hover, styled, whole_ticks

__all__ = ["draw_alphas", "draw_heat_map"]

MOST_POINTS = 12_000
COLUMNS = 6

Rows = list[dict[str, Any]]
Choices = Mapping[str, Mapping[str, str]]


def draw_alphas(
    alphas: Sequence[AlphaCurve], choices: Choices | None = None, options: Sequence[str] = ()
) -> ChartType:
    """Returns the weight of every option over the epochs, of one curve or more, on shared axes.

    Below the name of a choice stands the option that was taken, else that leads at the end.

    Args:
        alphas: of one search.
        choices: "choices" of a result: the names for readers, and the option taken, if any. Those
            with one are shaded and have a tick.
        options: all of the space's, whose colours the drawing has too; () takes the curves'.
    """
    cells = _rows_by_cell(alphas, 120, choices or {})
    low, high = (extreme(y for a in alphas for _, y in a.points) for extreme in (min, max))
    shown = dict.fromkeys(curve.option for curve in alphas)
    every = paints_of([*options, *shown])
    paints = {option: every[option] for option in shown}
    shades, dashes = zip(*((paint.colour, paint.dash) for paint in paints.values()), strict=True)
    legend = alt.Legend(title="option", columns=1 + len(paints) // 25, symbolLimit=0)
    last = max(curve.points[-1][0] for curve in alphas)
    axis = alt.Axis(values=whole_ticks(0, last, 5), grid=False, format="d")
    moment = alt.X("moment:Q", title="epochs done", axis=axis)
    weight = alt.Y("weight:Q").axis(tickCount=2).scale(domain=[min(0.0, low), high], nice=2)
    widths = alt.Scale(domain=[False, True], range=[1.3, 2.6])
    is_start = all(len(curve.points) == 1 for curve in alphas)
    lines = (
        alt.Chart()
        .mark_line(point=is_start)
        .encode(
            x=moment,
            y=weight,
            color=alt.Color("option:N", legend=legend).scale(domain=[*paints], range=shades),
            strokeDash=alt.StrokeDash("option:N").scale(domain=[*paints], range=dashes),
            strokeWidth=alt.StrokeWidth("leads:O", legend=None, scale=widths),
        )
    )
    rules = alt.Chart().mark_rule(strokeWidth=6, color=PALE, opacity=0, tooltip={"content": "data"})
    rules = rules.transform_pivot("option", value="weight", groupby=["choice", "moment"])
    all_options = rules.encode(x=moment)
    taken = alt.Chart().transform_filter("datum.taken")
    taken = taken.transform_aggregate(curves="count()", groupby=["choice"])  # one field per choice
    shaded = taken.mark_rect(color=CYCLE[0], opacity=0.1)
    chart = alt.layer(shaded, lines, all_options)
    return _panels(chart.properties(width=132, height=88), cells)


def draw_heat_map(alphas: Sequence[AlphaCurve], choices: Choices | None = None) -> ChartType:
    """Returns the weight of every option over time as shades, a row per curve, of one or more.

    All shades are of one scale, from 0 (white) to the largest weight. Long searches are thinned;
    the first and the last moment are always there. For `choices` see `draw_alphas`.
    """
    highest = max(1e-9, *(y for curve in alphas for _, y in curve.points))
    scale = alt.Scale(domain=[0.0, highest], range=["#ffffff", "#00365a"], interpolate="rgb")
    # a legend of a gradient would be numbered by all that the process has drawn before
    legend = alt.Legend(type="symbol", symbolType="square", symbolSize=120, format=".2f")
    rows = max(Counter(curve.choice for curve in alphas).values())
    base = alt.Chart(width=120, height=13 * rows).mark_rect()
    fields = base.encode(
        x=alt.X("moment:O", title="time", axis=alt.Axis(labels=False)),
        y=alt.Y("option:N", title=None, sort=None),
        color=alt.Color("weight:Q", legend=legend, scale=scale),
        tooltip=["choice:N", "option:N", "moment:Q", hover("weight", "weight")],
    )
    return _panels(fields, _rows_by_cell(alphas, 60, choices or {}), is_shared=False)


def _rows_by_cell(alphas: Sequence[AlphaCurve], most: int, known: Choices) -> dict[str, Rows]:
    """Returns a row per curve under what stands before the "/" of its choice."""
    most = max(2, min(most, MOST_POINTS // len(alphas)))
    choices: dict[str, list[AlphaCurve]] = {}
    for curve in alphas:
        choices.setdefault(curve.choice, []).append(curve)
    cells: dict[str, Rows] = {}
    for choice, curves in choices.items():
        facts = known.get(choice, {})
        taken = next((curve for curve in curves if curve.option == facts.get("taken")), None)
        leader = taken or _leader(curves)
        title = facts.get("name") or _readable(choice.rpartition("/")[2])
        title = f"\u2713 {title}" if taken else title
        title += f"\n{leader.option} {leader.points[-1][1]:.2f}" if leader else ""
        for curve in curves:
            moments, weights = zip(*thin(curve.points, most), strict=True)
            row = {"choice": title, "option": curve.option, "leads": curve is leader}
            row |= {"taken": taken is not None, "moment": moments}
            row |= {"weight": [round(weight, 4) for weight in weights]}
            cells.setdefault(choice.rpartition("/")[0], []).append(row)
    return cells


def _leader(curves: Sequence[AlphaCurve]) -> AlphaCurve | None:
    """Returns the curve that alone is the highest of those that last until the end."""
    end = max(curve.points[-1][0] for curve in curves)
    left = [curve for curve in curves if curve.points[-1][0] == end]
    highest = max(curve.points[-1][1] for curve in left)
    first, *others = (curve for curve in left if curve.points[-1][1] == highest)
    return None if others else first


def _panels(chart: Any, cells: Mapping[str, Rows], is_shared: bool = True) -> ChartType:
    """Returns a chart for each choice, cell by cell; their axes are shared or each choice's own."""
    two_lines = "slice(split(datum.label + '\\n ', '\\n'), 0, 2)"  # so that all are equally high
    header = alt.Header(title=None, labelExpr=two_lines)
    axes: Any = "shared" if is_shared else "independent"
    parts, leaders = [], []
    for cell, rows in cells.items():
        choices = list(dict.fromkeys(row["choice"] for row in rows))
        leaders += [choice.replace("\n", ": ") for choice in choices]
        facet = alt.Facet("choice:N", header=header, sort=choices)
        columns = min(COLUMNS, len(choices))
        part = chart.facet(facet, data=alt.InlineData(values=rows), columns=columns, title=cell)
        parts.append(part.transform_flatten(["moment", "weight"]).resolve_scale(x=axes, y=axes))
    title = "Weight of every option over the search"
    return styled(alt.vconcat(*parts), title, f"{title}. At the end: {'; '.join(leaders)}")


def _readable(choice: str) -> str:
    """Returns the name of a choice as it stands over its chart.

    >>> _readable("edge_0_2").replace("\u2192", "to")
    'edge 0 to 2'
    """
    edge = re.fullmatch(r"edge_([^_]+)_([^_]+)", choice)
    return f"edge {edge[1]} \u2192 {edge[2]}" if edge else choice.replace("_", " ")
