"""The heat map of a search: the weight of every option over time, darker is larger."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nas_lightning.reports.chart import thin
from nas_lightning.reports.palette import tint
from nas_lightning.reports.plots import readable
from nas_lightning.reports.records import AlphaCurve
from nas_lightning.reports.svg import element, number, picture, text, text_width

__all__ = ["draw_heat_map"]

_INK = "#1f2933"
_PALE = "#5b6673"
_DARK = "#00365a"
_ROW = 13.0
_WIDE = 120.0
_GAP = 16.0
_MOST_FIELDS = 30_000
_MOST_COLUMNS = 60

Choices = dict[str, list[AlphaCurve]]


def draw_heat_map(alphas: Sequence[AlphaCurve], columns: int = 5) -> str:
    """Returns one small map a choice as one SVG document: a row an option, time to the right.

    All maps share one scale of shades, from 0 (white) to the largest weight. Long searches are
    thinned; the first and the last moment are always there.

    Args:
        alphas: the curves, at least one.
        columns: how many maps stand beside each other, at least 1.
    """
    most = max(2, min(_MOST_COLUMNS, _MOST_FIELDS // max(1, len(alphas))))
    cells: dict[str, Choices] = {}
    for curve in alphas:
        cell = cells.setdefault(curve.choice.rpartition("/")[0], {})
        cell.setdefault(curve.choice, []).append(replace(curve, points=thin(curve.points, most)))
    highest = max(y for curve in alphas for _, y in curve.points)
    labels = max(text_width(curve.option, 10) for curve in alphas) + 6
    width = columns * (labels + _WIDE + _GAP) + _GAP
    parts, bottom = [_scale(highest)], 40.0
    for name, choices in cells.items():
        parts.append(text(name, _GAP, bottom + 22, 15, fill=_INK, font_weight=600))
        maps, bottom = _draw_cell(choices, highest, labels, columns, bottom + 36)
        parts.append(maps)
    paper = element("rect", width=width, height=bottom, fill="#ffffff")
    words = "weights of the options over the search, darker is larger"
    return picture(width, bottom, paper + "".join(parts), words)


def _draw_cell(
    choices: Mapping[str, Sequence[AlphaCurve]],
    highest: float,
    labels: float,
    columns: int,
    top: float,
) -> tuple[str, float]:
    """Returns a cell's maps and where they end."""
    height = max(len(curves) for curves in choices.values()) * _ROW + 2 * _GAP
    parts = []
    for index, (name, curves) in enumerate(choices.items()):
        x = _GAP + index % columns * (labels + _WIDE + _GAP)
        y = top + index // columns * height
        shift = f"translate({number(x)} {number(y)})"
        parts.append(element("g", _draw_map(name, curves, highest, labels), transform=shift))
    return "".join(parts), top + -(-len(choices) // columns) * height


def _draw_map(name: str, curves: Sequence[AlphaCurve], highest: float, labels: float) -> str:
    title = readable(name.rpartition("/")[2])
    parts = [text(title, labels, 10, 12, fill=_INK, font_weight=600)]
    leader = max(curves, key=lambda curve: curve.points[-1][1])
    for row, curve in enumerate(curves):
        y = _GAP + row * _ROW
        ink = _INK if curve is leader else _PALE
        parts.append(text(curve.option, labels - 5, y + 10, 10, text_anchor="end", fill=ink))
        step = _WIDE / len(curve.points)
        parts += [
            _field(labels + step * column, y, step, weight / highest if highest > 0 else 0.0)
            for column, (_, weight) in enumerate(curve.points)
        ]
    height = len(curves) * _ROW
    frame = element(
        "rect", x=labels, y=_GAP, width=_WIDE, height=height, fill="none", stroke="#c3cad3"
    )
    return "".join(parts) + frame


def _field(x: float, y: float, width: float, share: float) -> str:
    shade = tint(_DARK, min(1.0, max(0.0, share)))
    return element("rect", x=x, y=y, width=width, height=_ROW, fill=shade)


def _scale(highest: float) -> str:
    """Returns what the shades mean."""
    parts = [text("weight", _GAP, 24, 11, fill=_INK), text("0", 66, 24, 11, fill=_PALE)]
    parts += [_field(78 + 6 * step, 13, 6, step / 19) for step in range(20)]
    parts.append(text(f"{highest:.2f}", 204, 24, 11, fill=_PALE))
    parts.append(text("time goes to the right", 250, 24, 11, fill=_PALE))
    return "".join(parts)
