"""Paints the SVG pictures of this package as pixels, for dashboards that show no SVG."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil, hypot, sqrt
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["rasterise"]

_SVG = "{http://www.w3.org/2000/svg}"
_FINER = 2  # painted so much larger, then reduced: smooth edges
_MOST_PIXELS = 12_000_000  # of the larger picture
_PIECES = 12  # straight pieces of a curve
_UNKNOWN = str.maketrans({"\u2212": "-", "\u2192": ">"})  # to Pillow's own font

Point = tuple[float, float]


def rasterise(svg: str, zoom: float = 1.5) -> "Image":
    """Returns a picture of this package as an RGB image on white.

    It knows what our own drawings use: rectangles, circles, paths of M, L, H, V, C, h, l and z,
    text with subscripts, text that is translated and read upwards, translated groups and nested
    pictures.

    Args:
        svg: the document.
        zoom: pixels of the image for one of the drawing, above 0; less for very large drawings.
    """
    from PIL import Image

    root = ElementTree.fromstring(svg)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    scale = min(zoom * _FINER, sqrt(_MOST_PIXELS / (width * height)))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = Image.new("RGB", size, "white")
    _Painter(image, scale).paint(root, (0.0, 0.0))
    small = (max(1, size[0] // _FINER), max(1, size[1] // _FINER))
    return image.resize(small, Image.Resampling.BOX)


class _Painter:
    """Paints elements on an image.

    Args:
        image: what is painted on.
        scale: its pixels for one of the drawing.
    """

    def __init__(self, image: "Image", scale: float) -> None:
        from PIL import ImageDraw

        self.canvas, self.scale = ImageDraw.Draw(image), scale
        self.fonts: dict[int, Any] = {}

    def paint(self, element: ElementTree.Element, origin: Point) -> None:
        """Paints an element and what is in it; `origin` is where its coordinates begin."""
        name, given = element.tag.removeprefix(_SVG), element.attrib
        if name in ("svg", "g"):
            inside = _moved(name, given, origin)
            for child in element:
                self.paint(child, inside)
        elif name == "rect":
            self._rectangle(given, origin)
        elif name == "circle":
            self._circle(given, origin)
        elif name == "path":
            self._path(given, origin)
        elif name == "text" and "transform" in given:
            self._upward_text(element, origin)
        elif name == "text":
            self._text(element, origin)
        else:
            assert name == "title", f"our pictures hold no {name}"

    def _rectangle(self, given: dict[str, str], origin: Point) -> None:
        x, y = (float(given.get(key, 0)) for key in ("x", "y"))
        right, bottom = x + float(given["width"]), y + float(given["height"])
        box = [*self._pixel((x, y), origin), *self._pixel((right, bottom), origin)]
        stroke, radius = _paint(given, "stroke"), float(given.get("rx", 0)) * self.scale
        if given.get("stroke-dasharray", "none") == "none":
            width = self._width(given) if stroke else 0
            if radius:
                self.canvas.rounded_rectangle(box, radius, _paint(given, "fill"), stroke, width)
            else:
                self.canvas.rectangle(box, _paint(given, "fill"), stroke, width)
            return
        self.canvas.rounded_rectangle(box, radius, _paint(given, "fill"))
        corners = [(x, y), (right, y), (right, bottom), (x, bottom), (x, y)]
        self._line(corners, given, origin)

    def _circle(self, given: dict[str, str], origin: Point) -> None:
        x, y = self._pixel((float(given["cx"]), float(given["cy"])), origin)
        radius = float(given["r"]) * self.scale
        box = (x - radius, y - radius, x + radius, y + radius)
        self.canvas.ellipse(box, _paint(given, "fill"))

    def _path(self, given: dict[str, str], origin: Point) -> None:
        for points in _polylines(given["d"]):
            if fill := _paint(given, "fill"):
                self.canvas.polygon([self._pixel(p, origin) for p in points], fill)
            if _paint(given, "stroke"):
                self._line(points, given, origin)

    def _line(self, points: Sequence[Point], given: dict[str, str], origin: Point) -> None:
        dashes = given.get("stroke-dasharray", "none")
        pattern = [] if dashes == "none" else [float(number) for number in dashes.split()]
        for piece in _dashed(points, pattern) if pattern else [points]:
            pixels = [self._pixel(point, origin) for point in piece]
            self.canvas.line(pixels, _paint(given, "stroke"), self._width(given), joint="curve")

    def _text(self, element: ElementTree.Element, origin: Point) -> None:
        given = element.attrib
        size, x, y = (float(given[key]) for key in ("font-size", "x", "y"))
        parts = [(_known(element), size, y)]
        for below in element:
            smaller, down = (float(below.attrib[key]) for key in ("font-size", "dy"))
            parts.append((_known(below), smaller, y + down))
        length = sum(self._font(size).getlength(string) for string, size, _ in parts)
        share = {"middle": 0.5, "end": 1.0}.get(given.get("text-anchor", ""), 0.0)
        left = (origin[0] + x) * self.scale - share * length
        bold = size * self.scale / 40 if given.get("font-weight") == "600" else 0
        for string, size, baseline in parts:
            place = (left, (origin[1] + baseline) * self.scale)
            font = self._font(size)
            self.canvas.text(
                place, string, _paint(given, "fill"), font, anchor="ls", stroke_width=bold
            )
            left += font.getlength(string)

    def _upward_text(self, element: ElementTree.Element, origin: Point) -> None:
        """Paints a text that was turned by -90 degrees where it was translated to."""
        from PIL import Image, ImageDraw

        given, string = element.attrib, _known(element)
        x, y, turn = (float(number) for number in re.findall(r"-?[\d.]+", given["transform"]))
        assert turn == -90, f"our pictures turn text by -90 degrees, not by {turn}"
        font = self._font(float(given["font-size"]))
        above, below = font.getmetrics()
        length = ceil(font.getlength(string))
        mask = Image.new("L", (length, above + below))
        ImageDraw.Draw(mask).text((0, above), string, 255, font, anchor="ls")
        left, bottom = self._pixel((x, y), origin)
        place = (round(left - above), round(bottom - length))
        self.canvas.bitmap(place, mask.rotate(90, expand=True), _paint(given, "fill"))

    def _font(self, size: float) -> Any:
        from PIL import ImageFont

        pixels = max(1, round(size * self.scale))
        if pixels not in self.fonts:
            self.fonts[pixels] = ImageFont.load_default(pixels)
        return self.fonts[pixels]

    def _pixel(self, point: Point, origin: Point) -> Point:
        return (origin[0] + point[0]) * self.scale, (origin[1] + point[1]) * self.scale

    def _width(self, given: dict[str, str]) -> int:
        return max(1, round(float(given.get("stroke-width", 1)) * self.scale))


def _moved(name: str, given: dict[str, str], origin: Point) -> Point:
    """Returns where the coordinates inside a nested picture or a group begin."""
    x, y = float(given.get("x", 0)), float(given.get("y", 0))
    if name == "g":
        x, y = (float(number) for number in re.findall(r"-?[\d.]+", given["transform"]))
    view = [float(number) for number in given.get("viewBox", "0 0").split()]
    return origin[0] + x - view[0], origin[1] + y - view[1]


def _known(element: ElementTree.Element) -> str:
    return (element.text or "").translate(_UNKNOWN)


def _paint(given: dict[str, str], name: str) -> str | None:
    colour = given.get(name, "none")
    return None if colour == "none" else colour


def _polylines(way: str) -> Iterator[list[Point]]:
    """Yields the lines of a path, curves in straight pieces."""
    points: list[Point] = []
    for command, numbers in re.findall(r"([A-Za-z])([^A-Za-z]*)", way):
        values = [float(number) for number in re.findall(r"-?[\d.]+", numbers)]
        if command == "M":
            if points:
                yield points
            points = [(values[0], values[1])]
        else:
            points += _continued(points, command, values)
    yield points


def _continued(points: list[Point], command: str, values: list[float]) -> list[Point]:
    x, y = points[-1]
    match command:
        case "C":
            ends = [(x, y), *zip(values[::2], values[1::2], strict=True)]
            return [_bezier(ends, step / _PIECES) for step in range(1, _PIECES + 1)]
        case "H":
            return [(values[0], y)]
        case "V":
            return [(x, values[0])]
        case "h":
            return [(x + values[0], y)]
        case "l":
            return [(x + values[0], y + values[1])]
        case "L":
            return [(values[0], values[1])]
    assert command == "z", f"our paths hold no {command}"
    return [points[0]]


def _bezier(ends: Sequence[Point], share: float) -> Point:
    rest = 1 - share
    weights = (rest**3, 3 * rest**2 * share, 3 * rest * share**2, share**3)
    x, y = (sum(w * end[axis] for w, end in zip(weights, ends, strict=True)) for axis in (0, 1))
    return x, y


def _dashed(points: Sequence[Point], pattern: Sequence[float]) -> Iterator[list[Point]]:
    """Yields the dashes of a line; `pattern` holds the lengths of dash and gap."""
    index, left, dash = 0, pattern[0], [points[0]]
    for (x, y), (end_x, end_y) in pairwise(points):
        length = hypot(end_x - x, end_y - y)
        done = 0.0
        while length - done > left:
            done += left
            place = (x + (end_x - x) * done / length, y + (end_y - y) * done / length)
            if index % 2 == 0:
                yield [*dash, place]
            index += 1
            left, dash = pattern[index % len(pattern)], [place]
        left -= length - done
        dash.append((end_x, end_y))
    if index % 2 == 0:
        yield dash
