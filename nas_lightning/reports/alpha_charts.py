"""What a search prefers over time: a line per option, or a heat map; a small chart per choice."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt

from nas_lightning.reports.colours import paints_of
from nas_lightning.reports.records import AlphaCurve, thin
from nas_lightning.reports.rendering import styled, whole_ticks

__all__ = ["draw_alphas", "draw_heat_map"]

MOST_POINTS, MOST_FIELDS = 12_000, 12_000
PANEL = {"width": 132, "height": 88}
COLUMNS = 6


def draw_alphas(alphas: Sequence[AlphaCurve]) -> alt.VConcatChart:
    """Returns the weight of every option over the epochs, all on the same axes.

    Below the name of a choice stands the option that leads at the end, if one does.
    """
    most = max(2, min(120, MOST_POINTS // max(1, len(alphas))))
    highest = max(y for curve in alphas for _, y in curve.points)
    lowest = min(y for curve in alphas for _, y in curve.points)
    paints = paints_of(curve.option for curve in alphas)
    shades, dashes = [p.colour for p in paints.values()], [p.dash for p in paints.values()]
    legend = alt.Legend(title="option", columns=1 + len(paints) // 25, symbolLimit=0)
    ticks = whole_ticks(max(curve.points[-1][0] for curve in alphas), 5)
    moment = alt.X("moment:Q", title="epochs done").axis(values=ticks, grid=False, format="d")
    weight = alt.Y("weight:Q").axis(tickCount=2).scale(domain=[min(0.0, lowest), highest], nice=2)
    parts = []
    for cell, curves in _by_cell(alphas).items():
        rows = [row for choice in curves.values() for row in _rows(choice, most)]
        lines = (
            alt.Chart()
            .mark_line(point=max(len(row["moment"]) for row in rows) == 1)
            .encode(
                x=moment,
                y=weight,
                color=alt.Color("option:N", legend=legend).scale(domain=[*paints], range=shades),
                strokeDash=alt.StrokeDash("option:N").scale(domain=[*paints], range=dashes),
                strokeWidth=alt.StrokeWidth("leads:O", legend=None).scale(
                    domain=[False, True], range=[1.3, 2.6]
                ),
            )
        )
        hover = (
            alt.Chart()
            .transform_pivot("option", value="weight", groupby=["choice", "moment"])
            .mark_rule(strokeWidth=6, opacity=0, tooltip={"content": "data"})
            .encode(x=moment)
        )
        chart = alt.layer(lines, hover).properties(**PANEL)
        parts.append(_panels(chart, rows, cell))
    return styled(alt.vconcat(*parts), "Weight of every option over the search")


def draw_heat_map(alphas: Sequence[AlphaCurve]) -> alt.VConcatChart:
    """Returns the weight of every option over time as shades, a row per option.

    All shades are of one scale, from 0 (white) to the largest weight. Long searches are thinned;
    the first and the last moment are always there.

    Args:
        alphas: the curves, at least one.
    """
    most = max(2, min(60, MOST_FIELDS // len(alphas)))
    legend = alt.Legend(type="symbol", symbolType="square", symbolSize=120, tickCount=5)
    highest = max(y for curve in alphas for _, y in curve.points)
    scale = {"domain": [0.0, max(highest, 1e-9)], "range": ["#ffffff", "#00365a"]}
    scale |= {"interpolate": "rgb", "clamp": True}
    parts = []
    for cell, curves in _by_cell(alphas).items():
        rows = [row for choice in curves.values() for row in _rows(choice, most)]
        height = 13 * max(len(choice) for choice in curves.values())
        fields = (
            alt.Chart()
            .mark_rect()
            .encode(
                x=alt.X("moment:O", title="time", axis=alt.Axis(labels=False)),
                y=alt.Y("option:N", title=None, sort=None),
                color=alt.Color("weight:Q", legend=legend).scale(**scale),
                tooltip=["choice:N", "option:N", "moment:Q", alt.Tooltip("weight:Q", format=".3f")],
            )
            .properties(width=120, height=height)
        )
        parts.append(_panels(fields, rows, cell).resolve_scale(x="independent", y="independent"))
    return styled(alt.vconcat(*parts), "Weight of every option over time, darker is larger")


def _by_cell(alphas: Iterable[AlphaCurve]) -> dict[str, dict[str, list[AlphaCurve]]]:
    """Returns the curves by cell, what stands before the "/" of a choice, and by choice."""
    cells: dict[str, dict[str, list[AlphaCurve]]] = {}
    for curve in alphas:
        cell, _, choice = curve.choice.rpartition("/")
        cells.setdefault(cell, {}).setdefault(choice, []).append(curve)
    return cells


def _rows(curves: Sequence[AlphaCurve], most: int) -> list[dict[str, Any]]:
    """Returns a choice's curves as data; one leads if it alone is highest of those that last."""
    end = max(curve.points[-1][0] for curve in curves)
    last = {curve.option: curve.points[-1][1] for curve in curves if curve.points[-1][0] == end}
    highest = max(last.values())
    leaders = [option for option, weight in last.items() if weight == highest]
    leader = leaders[0] if len(leaders) == 1 else ""
    name = _readable(curves[0].choice.rpartition("/")[2])
    rows = []
    for curve in curves:
        points = thin(curve.points, most)
        rows.append(
            {
                "choice": f"{name}\n{leader} {highest:.2f}" if leader else name,
                "option": curve.option,
                "leads": curve.option == leader,
                "moment": [x for x, _ in points],
                "weight": [round(y, 4) for _, y in points],
            }
        )
    return rows


def _panels(chart: Any, rows: Sequence[dict[str, Any]], title: str) -> alt.FacetChart:
    """Returns a small chart per choice in the order of the rows."""
    header = alt.Header(title=None, labelExpr="split(datum.label, '\\n')")
    order = list(dict.fromkeys(row["choice"] for row in rows))
    facet = alt.Facet("choice:N", header=header, sort=order)
    columns = min(COLUMNS, len(order))
    return chart.facet(
        facet, data=alt.Data(values=rows), columns=columns, title=title
    ).transform_flatten(["moment", "weight"])


def _readable(choice: str) -> str:
    """Returns the name of a choice as it stands over its chart.

    >>> _readable("edge_0_2").replace("\u2192", "to")
    'edge 0 to 2'
    """
    edge = re.fullmatch(r"edge_([^_]+)_([^_]+)", choice)
    return f"edge {edge[1]} \u2192 {edge[2]}" if edge else choice.replace("_", " ")
