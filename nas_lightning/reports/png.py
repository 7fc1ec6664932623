"""Pictures as pixels, for dashboards and files."""

import re
from math import sqrt

import vl_convert

__all__ = ["svg_to_png"]

MOST_PIXELS = 3_000_000


def svg_to_png(svg: str, zoom: float = 1.5) -> bytes:
    """Returns an SVG picture as PNG.

    Args:
        svg: the document; its `svg` element has a width and a height.
        zoom: pixels of the PNG per pixel of the drawing, above 0; fewer for very large drawings.
    """
    head = svg[: svg.index(">", svg.index("<svg"))]
    width, height = (
        float(re.search(rf'\b{side}="([\d.]+)', head)[1]) for side in ("width", "height")
    )  # type: ignore[index]
    return vl_convert.svg_to_png(svg, scale=min(zoom, sqrt(MOST_PIXELS / (width * height))))
