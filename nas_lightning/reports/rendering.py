"""The look that all charts share, and what they are turned into: SVG, PNG, JavaScript."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from math import floor, log10
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert
from altair.typing import ChartType

from nas_lightning.files import cache_folder
from nas_lightning.reports.colours import INK, PALE
from nas_lightning.reports.paper import coloured
from nas_lightning.reports.png import svg_to_png

__all__ = [
    "beside",
    "chart_parts",
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
    "background": "#ffffff",
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


def quantity(field: str, title: str, values: Sequence[float] = (), is_share: bool = False) -> alt.Y:
    """Returns a vertical axis of values, which need not show 0; () leaves their digits open."""
    return alt.Y(f"{field}:Q", title=title, axis=value_axis(values, is_share)).scale(zero=False)


def value_axis(values: Sequence[float], is_share: bool) -> alt.Axis:
    """Returns the marks of an axis of these values; shares are written in percent.

    They have as many digits as it takes to tell four marks apart. A single value has one mark.
    """
    if values and min(values) == max(values):
        return alt.Axis(values=[values[0]], format=".3~%" if is_share else ".3~g")
    if not is_share:
        return alt.Axis(tickCount=4)
    step = 100 * (max(values) - min(values)) / 8
    digits = max(0, -floor(log10(step)))
    return alt.Axis(tickCount=4, format=f".{digits}~%")


def hover(field: str, title: str, is_share: bool = False) -> alt.Tooltip:
    """Returns a line of what is told of a point, with four digits."""
    return alt.Tooltip(f"{field}:Q", title=title, format=".2%" if is_share else ",.4~g")


def whole_ticks(first: float, last: float, most: int) -> list[int]:
    """Returns at most about so many whole numbers from the first to the last one.

    >>> whole_ticks(0, 10, 5), whole_ticks(1, 3, 8)
    ([0, 3, 6, 9], [1, 2, 3])
    """
    return list(range(int(first), int(last) + 1, 1 + int(last - first) // most))


def chart_parts(chart: ChartType) -> dict[str, Any]:
    """Returns what a page shows of a chart: its specification, and its picture as SVG.

    The specification is not held against Vega-Lite's schema, which would take a third of a
    report's time: our tests do that.
    """
    spec = chart.to_dict(validate=False)
    return {"spec": spec, "picture": coloured(vl_convert.vegalite_to_svg(spec))}


def chart_svg(chart: ChartType) -> str:
    """Returns a chart as an SVG document; equal charts give equal bytes."""
    return vl_convert.vegalite_to_svg(chart.to_dict(validate=False))


def chart_png(chart: ChartType, zoom: float = 1.5) -> bytes:
    """Returns a chart as PNG."""
    return svg_to_png(chart_svg(chart), zoom)


@cache
def javascript() -> str:
    """Returns Vega, Vega-Lite and Vega-Embed as one script, which needs no network.

    To make it takes more than a second of each command, so it is kept where caches are.
    """
    path: Path | None = None
    try:
        path = cache_folder("charts") / f"vega-{version('vl-convert-python')}.js"
        if path.is_file():
            return path.read_text("utf-8")
    except OSError:
        path = None  # no home, or a cache that cannot be read
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    if path is not None:
        with suppress(OSError):  # a full disk, or somebody else's: it is made again next time
            path.parent.mkdir(parents=True, exist_ok=True)
            own = path.with_suffix(f".{os.getpid()}.tmp")  # commands may write side by side
            own.write_text(script, "utf-8")
            own.replace(path)
    return script
