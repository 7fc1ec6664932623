"""The heat map shows the weight of every option over time."""

from xml.etree import ElementTree

from nas_lightning.reports.heat_map import draw_heat_map
from nas_lightning.reports.records import AlphaCurve

SVG = "{http://www.w3.org/2000/svg}"
ALPHAS = (
    AlphaCurve("normal/node_2", "normal/edge_0_2", "skip_connect", ((0, 0.5), (1, 0.2))),
    AlphaCurve("normal/node_2", "normal/edge_0_2", "sep_conv_3x3", ((0, 0.5), (1, 0.8))),
    AlphaCurve("reduction/node_2", "reduction/edge_1_2", "<none>", ((0, 0.5), (1, 0.0))),
)


def shades(alphas) -> list[str]:
    """Returns the colours of the fields, those of the scale left out."""
    maps = ElementTree.fromstring(draw_heat_map(alphas)).iter(f"{SVG}g")
    rects = [rect for part in maps for rect in part.iter(f"{SVG}rect")]
    return [rect.attrib["fill"] for rect in rects if rect.attrib["fill"] != "none"]


def test_each_choice_has_a_map_with_its_options_in_its_cell() -> None:
    drawing = ElementTree.fromstring(draw_heat_map(ALPHAS))
    texts = [part.text for part in drawing.iter(f"{SVG}text")]
    assert texts[4:] == [
        "normal",
        "edge 0 \u2192 2",
        "skip_connect",
        "sep_conv_3x3",
        "reduction",
        "edge 1 \u2192 2",
        "<none>",
    ]


def test_the_largest_weight_is_the_darkest_and_zero_is_white() -> None:
    assert shades(ALPHAS)[3] == "#00365a"
    assert shades(ALPHAS)[5] == "#ffffff"


def test_equal_weights_have_equal_shades() -> None:
    assert shades(ALPHAS)[0] == shades(ALPHAS)[2] == shades(ALPHAS)[4]


def test_weights_that_are_all_zero_are_drawn_white() -> None:
    assert set(shades([AlphaCurve("g", "c", "o", ((0, 0.0), (1, 0.0)))])) == {"#ffffff"}


def test_a_long_search_is_drawn_with_few_fields() -> None:
    long = tuple((float(epoch), 0.5) for epoch in range(5000))
    assert len(shades([AlphaCurve("g", "c", "o", long)])) == 60
