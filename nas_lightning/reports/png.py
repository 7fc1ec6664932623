"""Pictures as pixels, for dashboards and files."""

from collections.abc import Callable
from math import sqrt
from xml.etree import ElementTree

import vl_convert

__all__ = ["FORMATS", "svg_to_png"]

MOST_PIXELS = 3_000_000


def svg_to_png(svg: str, zoom: float = 1.5) -> bytes:
    """Returns an SVG picture, which has a width and a height in pixels, as PNG.

    Very large pictures get fewer pixels than `zoom` (above 0) per pixel of the drawing.
    """
    size = ElementTree.fromstring(svg).attrib
    most = sqrt(MOST_PIXELS / (float(size["width"]) * float(size["height"])))
    return vl_convert.svg_to_png(svg, scale=min(zoom, most))


FORMATS: dict[str, Callable[[str], bytes]] = {  # by suffix, from SVG
    ".svg": str.encode,
    ".png": svg_to_png,
    ".pdf": vl_convert.svg_to_pdf,
}
