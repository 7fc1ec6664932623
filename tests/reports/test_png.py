"""Our SVG pictures become pixels for dashboards that show no SVG."""

from io import BytesIO
from itertools import pairwise

import pytest
from PIL import Image

from nas_lightning.core.graph import Edge, Graph
from nas_lightning.reports.alpha_charts import draw_heat_map
from nas_lightning.reports.drawing import draw
from nas_lightning.reports.png import svg_to_png
from nas_lightning.reports.records import AlphaCurve
from nas_lightning.reports.rendering import chart_png

BLUE = (0, 104, 168)


def painted(svg: str, zoom: float = 1.0):
    return Image.open(BytesIO(svg_to_png(svg, zoom))).convert("RGB")


def square(width: int, height: int) -> str:
    rect = '<rect x="10" y="5" width="20" height="10" fill="#0068a8"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">{rect}</svg>'


def colours(image) -> set[tuple[int, int, int]]:
    return {colour for _, colour in image.getcolors(1 << 20)}


def test_an_image_has_the_zoomed_size_of_its_picture() -> None:
    assert painted(square(40, 20), zoom=1.5).size == (60, 30)


def test_a_very_large_picture_is_painted_smaller() -> None:
    width, height = painted(square(40_000, 10_000)).size
    assert width * height <= 3_010_000  # a share of a pixel may be added to either side
    assert width == pytest.approx(4 * height, rel=0.01)


def test_a_rectangle_is_filled_where_it_stands() -> None:
    assert painted(square(40, 20)).getpixel((20, 10)) == BLUE


def test_a_genotypes_drawing_is_painted_on_white() -> None:
    edges = (Edge("a", "0", "sep_conv_3x3"), Edge("0", "b", ""))
    image = painted(draw([Graph("cell", ("a", "0", "b"), edges)]), zoom=2.0)
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert BLUE in colours(image)


def test_a_graph_of_many_plain_edges_is_painted() -> None:
    names = tuple(map(str, range(12)))
    skips = tuple(Edge(a, b, "") for i, b in enumerate(names) for a in names[: i - 1])
    ops = tuple(Edge(a, b, "conv_3x3") for a, b in pairwise(names))
    assert len(colours(painted(draw([Graph("12 layers", names, (*ops, *skips))])))) > 10


def test_the_same_chart_gives_the_same_pixels() -> None:
    alphas = [AlphaCurve("g", "c", "skip", ((0, 0.5), (1, 1.0)))]
    assert chart_png(draw_heat_map(alphas)) == chart_png(draw_heat_map(alphas))
