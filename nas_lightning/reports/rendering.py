"""The look that all charts share, and what they are turned into: SVG, PNG, JavaScript."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import altair as alt
import vl_convert
from altair.typing import ChartType

from nas_lightning.reports.colours import INK, PALE
from nas_lightning.reports.png import svg_to_png

__all__ = [
    "beside",
    "chart_png",
    "chart_svg",
    "hover",
    "javascript",
    "plot",
    "quantity",
    "styled",
    "value_axis",
    "whole_ticks",
]

TEXT = {"labelColor": PALE, "titleColor": PALE, "labelFontSize": 11, "titleFontWeight": "normal"}
LOOK: dict[str, Any] = {
    "font": "Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif",
    "background": "white",
    "padding": 8,
    "view": {"stroke": None},
    "axis": {**TEXT, "gridColor": "#e4e8ee", "domainColor": "#c3cad3", "ticks": False},
    "legend": {**TEXT, "labelColor": INK, "labelLimit": 220, "symbolStrokeWidth": 2.4},
    "header": {"labelColor": INK, "labelFontWeight": "bold", "labelAnchor": "start"},
    "title": {"color": INK, "fontSize": 13, "anchor": "start", "offset": 8},
}


def styled(chart: ChartType, title: str, words: str = "") -> ChartType:
    """Returns a whole chart, no part of another one, with its title and the common look, on white.

    `words` tells what it shows, and its last values, to those who cannot see it.
    """
    whole: ChartType = chart.properties(title=title, description=words or title).configure(**LOOK)
    return whole


def beside(charts: Sequence[ChartType], title: str, words: str = "") -> ChartType:
    """Returns charts beside each other as one, three in a row, each with colours of its own."""
    columns = min(3, len(charts))
    joined = alt.concat(*charts, columns=columns, spacing=30).resolve_scale(color="independent")
    return styled(joined, title, words)


def plot(rows: Sequence[Mapping[str, Any]]) -> alt.Chart:
    """Returns a chart of rows of data that is still to be given marks and axes."""
    return alt.Chart(alt.InlineData(values=rows))


def quantity(field: str, title: str, is_share: bool = False) -> alt.Y:
    """Returns a vertical axis of values, which need not show 0."""
    return alt.Y(f"{field}:Q", title=title, axis=value_axis(is_share)).scale(zero=False)


def value_axis(is_share: bool) -> alt.Axis:
    """Returns the marks of an axis; shares are written in percent."""
    return alt.Axis(tickCount=4, format=".3~%") if is_share else alt.Axis(tickCount=4)


def hover(field: str, title: str, is_share: bool = False) -> alt.Tooltip:
    """Returns a line of what is told of a point, with four digits."""
    return alt.Tooltip(f"{field}:Q", title=title, format=".2%" if is_share else ",.4~g")


def whole_ticks(last: float, most: int) -> list[int]:
    """Returns at most about so many whole numbers from 0 to the last one.

    >>> whole_ticks(10, 5)
    [0, 3, 6, 9]
    """
    return list(range(0, int(last) + 1, 1 + int(last) // most))


def chart_svg(chart: ChartType) -> str:
    """Returns a chart as an SVG document; equal charts give equal bytes."""
    return vl_convert.vegalite_to_svg(chart.to_dict())


def chart_png(chart: ChartType, zoom: float = 1.5) -> bytes:
    """Returns a chart as PNG."""
    return svg_to_png(chart_svg(chart), zoom)


@cache  # takes a second and is always the same
def javascript() -> str:
    """Returns Vega, Vega-Lite and Vega-Embed as one script, which needs no network."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
