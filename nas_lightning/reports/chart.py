"""One chart of lines or points in plain SVG: frame, ticks and curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, inf, isfinite, log10

from nas_lightning.reports.palette import Paint
from nas_lightning.reports.records import Points
from nas_lightning.reports.svg import element, number, picture, text, text_width

__all__ = ["Chart", "Curve", "draw_chart", "draw_legend", "ending", "thin", "ticks"]

_INK = "#1f2933"
_PALE = "#5b6673"
_GRID = "#e4e8ee"
_SIZE = 11.0


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
        label: what it shows.
        points: pairs (x, y), finite.
        paint: its colour and dashes.
        style: "line", "points", or "steps" (a value holds until the next one).
        width: of the line, in pixels.
    """

    label: str
    points: Points
    paint: Paint
    style: str = "line"
    width: float = 1.6


@dataclass(frozen=True)
class Chart:
    """What a chart shows beside its curves.

    Attributes:
        title: first line, bold.
        subtitle: second line, "" for none.
        key: names and how they are drawn: the second line instead of a subtitle.
        x_label: what x is.
        y_limits: lowest and highest y; None to take them from the curves.
        x_limits: lowest and highest x; None to take them from the curves.
        is_share: whether y is a share in [0, 1], written in percent.
        width: in pixels.
        height: in pixels.
    """

    title: str
    subtitle: str = ""
    key: tuple[tuple[str, Paint], ...] = ()
    x_label: str = ""
    y_limits: tuple[float, float] | None = None
    x_limits: tuple[float, float] | None = None
    is_share: bool = False
    width: float = 320.0
    height: float = 210.0


def draw_chart(chart: Chart, curves: Sequence[Curve]) -> str:
    """Returns a chart as an SVG document; the same input gives the same bytes."""
    points = [point for curve in curves for point in curve.points]
    x_limits = chart.x_limits or _limits([x for x, _ in points])
    y_ticks = ticks(*(chart.y_limits or _limits([y for _, y in points])), 3)
    marks = [_mark(y, y_ticks, chart.is_share) for y in y_ticks]
    left = 10 + max(text_width(mark, _SIZE) for mark in marks)
    top = 40 if chart.subtitle or chart.key else 24
    bottom = chart.height - (34 if chart.x_label else 20)
    scale = _Scale((left, chart.width - 12, *x_limits), (bottom, top + 6, y_ticks[0], y_ticks[-1]))
    parts = [text(chart.title, 2, 13, _SIZE + 1, fill=_INK, font_weight=600)]
    if chart.subtitle:
        parts.append(text(chart.subtitle, 2, 29, _SIZE, fill=_PALE))
    parts.append(draw_legend(chart.key, 2, 29)[0])
    parts += [_y_axis(scale, chart, y_ticks, marks), _x_axis(scale, chart, x_limits)]
    parts += [_draw_curve(scale, curve) for curve in curves]
    return picture(chart.width, chart.height, "".join(parts), _words(chart, curves))


def draw_legend(
    entries: Sequence[tuple[str, Paint]], x: float, y: float, width: float = inf
) -> tuple[str, float]:
    """Returns samples of lines with their names, and the height that they take, in pixels.

    Args:
        entries: names and how they are drawn.
        x: where the first one begins, in pixels.
        y: baseline of the first line, in pixels.
        width: entries beyond it go to a further line of 18 pixels.
    """
    parts = []
    left, line = x, y
    for name, paint in entries:
        if left > x and left + 26 + text_width(name, _SIZE) > x + width:
            left, line = x, line + 18
        parts.append(
            element(
                "path",
                d=f"M{number(left)} {number(line - 4)}h20",
                stroke=paint.colour,
                stroke_width=2.4,
                stroke_dasharray=paint.dash or "none",
            )
        )
        parts.append(text(name, left + 25, line, _SIZE, fill=_INK))
        left += 25 + text_width(name, _SIZE) + 14
    return "".join(parts), line - y + 18


def thin(points: Points, most: int) -> Points:
    """Returns at most `most` of the points, evenly chosen, with the first and the last one.

    >>> thin(((0, 5), (1, 6), (2, 7), (3, 8), (4, 9)), 3)
    ((0, 5), (2, 7), (4, 9))
    """
    if len(points) <= most:
        return points
    step = (len(points) - 1) / (most - 1)
    return tuple(points[round(index * step)] for index in range(most))


def ticks(low: float, high: float, count: int) -> tuple[float, ...]:
    """Returns round values at equal distances that enclose a range.

    Args:
        low: lower end of the range, finite.
        high: upper end of the range, finite, not below `low`.
        count: about how many steps.

    >>> ticks(0.02, 0.33, 3)
    (0.0, 0.2, 0.4)
    """
    if high <= low:
        low, high = low - (abs(low) or 1) / 10, high + (abs(high) or 1) / 10
    rough = (high - low) / count
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    digits = max(0, 2 - floor(log10(step)))
    return tuple(round(index * step, digits) for index in range(first, last + 1))


class _Scale:
    def __init__(
        self, x: tuple[float, float, float, float], y: tuple[float, float, float, float]
    ) -> None:
        self.x_pixels, self.x_values = x[:2], x[2:]
        self.y_pixels, self.y_values = y[:2], y[2:]

    def x(self, value: float) -> float:
        return _between(value, self.x_values, self.x_pixels)

    def y(self, value: float) -> float:
        return _between(value, self.y_values, self.y_pixels)


def _between(value: float, values: tuple[float, float], pixels: tuple[float, float]) -> float:
    share = (value - values[0]) / (values[1] - values[0]) if values[1] > values[0] else 0.5
    return pixels[0] + share * (pixels[1] - pixels[0])


def _limits(values: Sequence[float]) -> tuple[float, float]:
    good = [value for value in values if isfinite(value)]
    return (min(good), max(good)) if good else (0.0, 1.0)


def _mark(value: float, values: Sequence[float], is_share: bool) -> str:
    step = (values[1] - values[0]) * (100 if is_share else 1)
    digits = next((d for d in range(7) if abs(round(step, d) - step) < 1e-3 * step), 7)
    if not is_share and 0 < step < 1e-3:
        return f"{value:.1e}" if value else "0"
    return f"{value * 100:.{digits}f} %" if is_share else f"{value:,.{digits}f}"


def _y_axis(scale: _Scale, chart: Chart, values: Sequence[float], marks: Sequence[str]) -> str:
    left, right = scale.x_pixels
    parts = []
    for value, mark in zip(values, marks, strict=True):
        y = scale.y(value)
        parts.append(
            element("path", d=f"M{number(left)} {number(y)}H{number(right)}", stroke=_GRID)
        )
        parts.append(text(mark, left - 5, y + 3.8, _SIZE, text_anchor="end", fill=_PALE))
    return "".join(parts)


def _x_axis(scale: _Scale, chart: Chart, limits: tuple[float, float]) -> str:
    bottom = scale.y_pixels[0]
    room = max(2, int((scale.x_pixels[1] - scale.x_pixels[0]) / 55))
    inside = [x for x in ticks(*limits, room) if limits[0] <= x <= limits[1] and x == int(x)]
    parts = [
        text(f"{x:,.0f}", scale.x(x), bottom + 15, _SIZE, text_anchor="middle", fill=_PALE)
        for x in inside
    ]
    if chart.x_label:
        middle = sum(scale.x_pixels) / 2
        parts.append(
            text(chart.x_label, middle, bottom + 30, _SIZE, text_anchor="middle", fill=_PALE)
        )
    return "".join(parts)


def _draw_curve(scale: _Scale, curve: Curve) -> str:
    places = [(number(scale.x(x)), number(scale.y(y))) for x, y in curve.points]
    colour = curve.paint.colour
    if curve.style == "points" or len(places) == 1:
        return "".join(
            element("circle", cx=x, cy=y, r=3, fill=colour, fill_opacity=0.7) for x, y in places
        )
    if not places:
        return ""
    joints = [f"H{x}V{y}" if curve.style == "steps" else f"L{x} {y}" for x, y in places[1:]]
    return element(
        "path",
        d=f"M{places[0][0]} {places[0][1]}" + "".join(joints),
        fill="none",
        stroke=colour,
        stroke_width=curve.width,
        stroke_linejoin="round",
        stroke_dasharray=curve.paint.dash or "none",
    )


def ending(curves: Sequence[Curve]) -> list[Curve]:
    """Returns the curves that reach the last x of all; an option that was dropped does not."""
    drawn = [curve for curve in curves if curve.points]
    end = max((curve.points[-1][0] for curve in drawn), default=0.0)
    return [curve for curve in drawn if curve.points[-1][0] == end]


def _words(chart: Chart, curves: Sequence[Curve]) -> str:
    last = [f"{curve.label}: {curve.points[-1][1]:.4g}" for curve in ending(curves)]
    return f"{chart.title}. Last values: {'; '.join(last)}" if last else chart.title
