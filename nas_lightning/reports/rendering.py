"""The look that all charts share, and what they are turned into: SVG, PNG, JavaScript."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import altair as alt
import vl_convert

from nas_lightning.reports.colours import INK, PALE
from nas_lightning.reports.png import svg_to_png

__all__ = [
    "beside",
    "chart_png",
    "chart_svg",
    "hover",
    "javascript",
    "quantity",
    "styled",
    "whole_ticks",
]

FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"
GRID = "#e4e8ee"


def styled(chart: Any, title: str, words: str = "") -> Any:
    """Returns a whole chart with its title and the common look, on white.

    Args:
        chart: any chart of Altair that is no part of another one.
        title: what it shows.
        words: the same and its last values, for those who cannot see it.
    """
    text = {"labelFont": FONT, "titleFont": FONT, "labelFontSize": 11, "titleFontSize": 11}
    colours = {"labelColor": PALE, "titleColor": PALE, "titleFontWeight": "normal"}
    return (
        chart.properties(title=title, background="white", description=words or title)
        .configure(font=FONT, padding=8)
        .configure_view(stroke=None)
        .configure_axis(**text, **colours, gridColor=GRID, domainColor="#c3cad3", ticks=False)
        .configure_legend(
            **text,
            labelColor=INK,
            titleColor=PALE,
            titleFontWeight="normal",
            labelLimit=220,
            symbolStrokeWidth=2.4,
        )
        .configure_title(font=FONT, color=INK, fontSize=13, anchor="start", offset=8)
        .configure_header(
            labelFont=FONT,
            titleFont=FONT,
            labelColor=INK,
            labelFontSize=11,
            labelFontWeight="bold",
            labelAnchor="start",
        )
    )


def beside(charts: Sequence[Any], title: str, words: str = "") -> alt.ConcatChart:
    """Returns charts beside each other as one, three in a row, each with colours of its own."""
    columns = min(3, len(charts))
    joined = alt.concat(*charts, columns=columns, spacing=30).resolve_scale(color="independent")
    chart: alt.ConcatChart = styled(joined, title, words)
    return chart


def quantity(field: str, title: str, is_share: bool = False) -> alt.Y:
    """Returns an axis of values, which need not show 0; shares are written in percent."""
    axis = {"format": ".3~%"} if is_share else {}
    return alt.Y(f"{field}:Q", title=title).scale(zero=False).axis(tickCount=4, **axis)


def hover(field: str, title: str, is_share: bool = False) -> alt.Tooltip:
    """Returns a line of what is told of a point, with four digits."""
    return alt.Tooltip(f"{field}:Q", title=title, format=".2%" if is_share else ",.4~g")


def whole_ticks(last: float, most: int) -> list[int]:
    """Returns at most about so many whole numbers from 0 to the last one.

    >>> whole_ticks(10, 5)
    [0, 3, 6, 9]
    """
    return list(range(0, int(last) + 1, 1 + int(last) // most))


def chart_svg(chart: Any) -> str:
    """Returns a chart as an SVG document; equal charts give equal bytes."""
    return vl_convert.vegalite_to_svg(chart.to_dict())


def chart_png(chart: Any, zoom: float = 1.5) -> bytes:
    """Returns a chart as PNG."""
    return svg_to_png(chart_svg(chart), zoom)


@cache  # takes a second and is always the same
def javascript() -> str:
    """Returns Vega, Vega-Lite and Vega-Embed as one script, which needs no network."""
    return vl_convert.javascript_bundle()
