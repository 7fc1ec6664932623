"""Our SVG pictures become pixels for dashboards that show no SVG."""

from itertools import pairwise

import pytest

from nas_lightning.core.graph import Edge, Graph
from nas_lightning.reports.drawing import draw
from nas_lightning.reports.raster import rasterise
from nas_lightning.reports.svg import element, picture, rich_text, text

BLUE, WHITE, INK = (0, 0, 255), (255, 255, 255), (0, 0, 0)


def painted(content: str, width: int = 40, height: int = 20):
    return rasterise(picture(width, height, content, ""), zoom=1)


def dark(image) -> list[int]:
    """Returns the columns of an image that are not all white."""
    return [
        x for x in range(image.width) if min(image.crop((x, 0, x + 1, image.height)).tobytes()) < 99
    ]


def test_an_image_has_the_zoomed_size_of_its_picture() -> None:
    assert rasterise(picture(40, 20, "", ""), zoom=1.5).size == (60, 30)


def test_a_very_large_picture_is_painted_smaller() -> None:
    width, height = rasterise(picture(40_000, 10_000, "", "")).size
    assert width * height <= 3_000_000
    assert width == pytest.approx(4 * height, rel=0.01)


def test_a_rectangle_is_filled_where_it_stands() -> None:
    image = painted(element("rect", x=10, y=5, width=20, height=10, fill="#0000ff"))
    assert [image.getpixel(place) for place in ((5, 10), (20, 10), (35, 10))] == [
        WHITE,
        BLUE,
        WHITE,
    ]


def test_groups_and_nested_pictures_move_what_is_in_them() -> None:
    square = element("rect", x=0, y=0, width=4, height=4, fill="#0000ff")
    nested = element("svg", square, x=10, y=5, width=9, height=9, viewBox="-1 -1 9 9")
    image = painted(element("g", nested, transform="translate(8 3)"))
    assert [image.getpixel(place) for place in ((18, 10), (20, 10), (22, 12))] == [
        WHITE,
        BLUE,
        BLUE,
    ]


def test_a_path_follows_straight_pieces_and_curves() -> None:
    way = {"fill": "none", "stroke": "#000000", "stroke_width": 2}
    image = painted(element("path", d="M5 2V10C5 18 30 18 30 10H38", **way))
    assert [image.getpixel(place) for place in ((5, 6), (17, 16), (35, 10))] == [INK] * 3
    assert image.getpixel((17, 10)) == WHITE


def test_a_dashed_line_has_gaps() -> None:
    line = {"fill": "none", "stroke": "#000000", "stroke_width": 2, "stroke_dasharray": "4 4"}
    image = painted(element("path", d="M0 10H40", **line))
    assert [image.getpixel((x, 10)) for x in (2, 6, 10, 14)] == [INK, WHITE, INK, WHITE]


@pytest.mark.parametrize(("anchor", "side"), [("start", "right"), ("end", "left")])
def test_a_text_stands_on_the_side_that_its_anchor_says(anchor: str, side: str) -> None:
    columns = dark(painted(text("llll", 20, 15, 12, text_anchor=anchor, fill="#000000")))
    assert columns
    assert all(x >= 19 if side == "right" else x <= 21 for x in columns)


def test_a_subscript_follows_its_stem() -> None:
    alone = dark(painted(rich_text("c", "", 20, 12, 12, "#000000")))
    both = dark(painted(rich_text("c", "k\u22121", 20, 12, 12, "#000000")))
    assert max(both) - min(both) > max(alone) - min(alone) + 4


def test_a_genotypes_drawing_can_be_painted() -> None:
    edges = (Edge("a", "0", "sep_conv_3x3"), Edge("0", "b", ""))
    image = rasterise(draw([Graph("cell", ("a", "0", "b"), edges)]))
    assert (0, 104, 168) in {colour for _, colour in image.getcolors(1 << 20)}  # the convolution's


def test_a_circle_is_filled_around_its_centre() -> None:
    image = painted(element("circle", cx=20, cy=10, r=5, fill="#0000ff"))
    assert [image.getpixel(place) for place in ((14, 10), (16, 10), (20, 14), (24, 14))] == [
        WHITE,
        BLUE,
        BLUE,
        WHITE,
    ]


def test_text_that_is_turned_reads_upwards() -> None:
    turned = text("mmmm", 0, 0, 8, transform="translate(20 30) rotate(-90)", fill="#000000")
    lying, standing = painted(text("mmmm", 2, 20, 8, fill="#000000")), painted(turned, 40, 40)
    assert max(dark(standing)) - min(dark(standing)) < 8 < max(dark(lying)) - min(dark(lying))
    assert max(dark(standing)) <= 20  # the baseline
    rows = dark(standing.rotate(-90))
    assert max(rows) - min(rows) == pytest.approx(max(dark(lying)) - min(dark(lying)), abs=1)


def test_a_graph_of_many_plain_edges_is_painted() -> None:
    names = tuple(map(str, range(12)))
    skips = tuple(Edge(a, b, "") for i, b in enumerate(names) for a in names[: i - 1])
    ops = tuple(Edge(a, b, "conv_3x3") for a, b in pairwise(names))
    assert len(dark(rasterise(draw([Graph("12 layers", names, (*ops, *skips))])))) > 100
