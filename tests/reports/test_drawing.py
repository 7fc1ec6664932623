import random
import re
from functools import cache
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from nas_lightning.core.graph import Edge, Graph
from nas_lightning.reports.drawing import describe, draw
from nas_lightning.reports.layout import text_width

SVG = "{http://www.w3.org/2000/svg}"
NODES = ("c_{k-2}", "c_{k-1}", "0", "1", "2", "3", "c_{k}")
OPS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
SHORT = {
    "m3": "max_pool_3x3",
    "a3": "avg_pool_3x3",
    "sk": "skip_connect",
    "s3": "sep_conv_3x3",
    "s5": "sep_conv_5x5",
    "d3": "dil_conv_3x3",
    "d5": "dil_conv_5x5",
}
PUBLISHED = {
    "darts_v1 normal": "s3:1 s3:0 sk:0 s3:1 sk:0 s3:1 s3:0 sk:2",
    "darts_v1 reduction": "m3:0 m3:1 sk:2 m3:0 m3:0 sk:2 sk:2 a3:0",
    "darts_v2 normal": "s3:0 s3:1 s3:0 s3:1 s3:1 sk:0 sk:0 d3:2",
    "darts_v2 reduction": "m3:0 m3:1 sk:2 m3:1 m3:0 sk:2 sk:2 m3:1",
    "pc_darts_cifar normal": "s3:1 sk:0 s3:0 d3:1 s5:0 s3:1 a3:0 d3:1",
    "pc_darts_cifar reduction": "s5:1 m3:0 s5:1 s5:2 s3:0 s3:3 s3:1 s3:2",
    "pc_darts_imagenet normal": "sk:1 s3:0 s3:0 sk:1 s3:1 s3:3 s3:1 d5:4",
    "pc_darts_imagenet reduction": "s3:0 sk:1 d5:2 m3:1 s3:2 s3:1 s5:0 s3:3",
    "gdas_v1 normal": "sk:0 sk:1 sk:0 s5:2 s3:3 sk:0 s5:4 s3:3",
    "gdas_v1 reduction": "s5:0 s3:1 s5:2 s5:1 d5:2 s3:1 s5:0 s5:1",
}


def _cell(title: str, pairs: list[tuple[str, int]]) -> Graph:
    edges = [Edge(NODES[i], NODES[2 + k // 2], op) for k, (op, i) in enumerate(pairs)]
    edges += [Edge(node, NODES[-1], "") for node in NODES[2:-1]]
    return Graph(title, NODES, tuple(edges))


def _published(name: str) -> Graph:
    words = [word.split(":") for word in PUBLISHED[name].split()]
    return _cell(name, [(SHORT[op], int(index)) for op, index in words])


def _random_cell(seed: int) -> Graph:
    draws = random.Random(seed)
    inputs = [index for node in range(2, 6) for index in draws.sample(range(node), 2)]
    return _cell(f"random {seed}", [(draws.choice(OPS), index) for index in inputs])


def _chain() -> Graph:
    names = ("image", *map(str, range(24)), "head")
    edges = [Edge(a, b, "conv 3x3") for a, b in pairwise(names[:-1])]
    edges += [Edge(names[i], names[i + 5], "skip") for i in range(0, 19, 2)]
    return Graph("chain", names, (*edges, Edge("23", "head", "")))


GRAPHS = [
    *(_published(name) for name in PUBLISHED),
    *(_random_cell(seed) for seed in range(30)),
    _chain(),
    Graph("tiny", ("in", "0", "out"), (Edge("in", "0", "conv"), Edge("0", "out", ""))),
    Graph("twice", ("a", "b"), (Edge("a", "b", "conv"), Edge("a", "b", "conv"))),
    Graph("plain twice", ("a", "b", "c"), (Edge("a", "c", ""), Edge("a", "c", ""))),
    Graph("no edges", ("a", "b", "c"), ()),
]
every_graph = pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.title)

Rect = tuple[float, float, float, float]
Point = tuple[float, float]


@cache
def _drawn(graph: Graph) -> str:
    return draw([graph])


def _rects(drawing: str, kind: str) -> list[Rect]:
    rects = []
    for part in ElementTree.fromstring(drawing).iter(f"{SVG}rect"):
        if part.get("class") == kind:
            x, y, width, height = (float(part.attrib[k]) for k in ("x", "y", "width", "height"))
            rects.append((x, y, x + width, y + height))
    return rects


def _edges(drawing: str) -> list[tuple[str, list[Point]]]:
    parts = ElementTree.fromstring(drawing).iter(f"{SVG}path")
    return [(p.attrib["data-target"], _points(p.attrib["d"])) for p in parts if _is_edge(p)]


def _is_edge(part: ElementTree.Element) -> bool:
    return part.get("class") == "edge"


def _points(way: str) -> list[Point]:
    points: list[Point] = []
    for command, text in re.findall(r"([MCV])([^MCV]*)", way):
        numbers = [float(value) for value in text.split()]
        if command == "M":
            points.append((numbers[0], numbers[1]))
        elif command == "V":
            x, y = points[-1]
            points += [(x, y + (numbers[0] - y) * step / 10) for step in range(1, 11)]
        else:
            points += _bezier(points[-1], numbers)
    return points


def _bezier(start: Point, numbers: list[float]) -> list[Point]:
    xs, ys = (start[0], *numbers[::2]), (start[1], *numbers[1::2])
    return [(_cubic(xs, step / 20), _cubic(ys, step / 20)) for step in range(1, 21)]


def _cubic(values: tuple[float, ...], t: float) -> float:
    a, b, c, d = values
    return a * (1 - t) ** 3 + 3 * b * t * (1 - t) ** 2 + 3 * c * t * t * (1 - t) + d * t**3


def _is_inside(point: Point, rect: Rect) -> bool:
    x, y = point
    return rect[0] < x < rect[2] and rect[1] + 0.1 < y < rect[3] - 0.1


def _overlap(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@every_graph
def test_no_edge_runs_through_a_node(graph: Graph) -> None:
    drawing = _drawn(graph)
    nodes = _rects(drawing, "node")
    hits = [r for _, way in _edges(drawing) for p in way for r in nodes if _is_inside(p, r)]
    assert hits == []


@every_graph
def test_an_edge_runs_through_its_own_label_only(graph: Graph) -> None:
    drawing = _drawn(graph)
    labels = _rects(drawing, "label")
    ways = [way for _, way in _edges(drawing)]
    hits = [sum(any(_is_inside(p, r) for p in way) for r in labels) for way in ways]
    crossed = [sum(any(_is_inside(p, r) for p in way) for way in ways) for r in labels]
    assert sorted(hits) == sorted(bool(edge.label) for edge in graph.edges)
    assert crossed == [1] * len(labels)


@every_graph
def test_boxes_do_not_overlap(graph: Graph) -> None:
    boxes = _rects(_drawn(graph), "node") + _rects(_drawn(graph), "label")
    pairs = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if _overlap(a, b)]
    assert len(boxes) == len(graph.nodes) + sum(bool(edge.label) for edge in graph.edges)
    assert pairs == []


@every_graph
def test_edges_lead_downwards_and_end_at_their_targets(graph: Graph) -> None:
    drawing = _drawn(graph)
    nodes = dict(zip(graph.nodes, _rects(drawing, "node"), strict=True))
    for target, way in _edges(drawing):
        x, y = way[-1]
        assert y == pytest.approx(nodes[target][1], abs=0.02)
        assert nodes[target][0] < x < nodes[target][2]
        assert [y for _, y in way] == sorted(y for _, y in way)


@every_graph
def test_everything_lies_within_the_picture(graph: Graph) -> None:
    drawing = _drawn(graph)
    inner = ElementTree.fromstring(drawing).find(f"{SVG}svg")
    assert inner is not None
    width, height = float(inner.attrib["width"]), float(inner.attrib["height"])
    for left, top, right, bottom in _rects(drawing, "node") + _rects(drawing, "label"):
        assert left >= -1
        assert top >= -1
        assert right <= width - 1
        assert bottom <= height
    for _, way in _edges(drawing):
        assert all(0 <= x <= width for x, _ in way)


def test_labels_fit_their_boxes() -> None:
    drawing = draw([_published("darts_v2 normal")])
    narrowest = min(right - left for left, _, right, _ in _rects(drawing, "label"))
    assert narrowest > text_width("skip_connect", 11)


def test_the_same_graphs_give_the_same_bytes() -> None:
    graphs = [_published("darts_v2 normal"), _published("darts_v2 reduction")]
    assert draw(graphs) == draw(list(graphs))


def test_graphs_stand_beside_each_other() -> None:
    drawing = draw([_random_cell(1), _random_cell(2)])
    first, second = ElementTree.fromstring(drawing).findall(f"{SVG}svg")
    assert first.attrib["y"] == second.attrib["y"]
    assert float(second.attrib["x"]) > float(first.attrib["x"]) + float(first.attrib["width"])


def test_more_graphs_than_fit_beside_each_other_go_below() -> None:
    drawing = draw([_random_cell(seed) for seed in range(5)])
    tops = {part.attrib["y"] for part in ElementTree.fromstring(drawing).findall(f"{SVG}svg")}
    assert len(tops) > 1


def test_names_are_escaped() -> None:
    edges = (Edge("<a>", "b&\x00", "<script>"),)
    drawing = draw([Graph('"</svg>', ("<a>", "b&\x00"), edges)])
    texts = [part.text for part in ElementTree.fromstring(drawing).iter(f"{SVG}text")]
    assert texts == ['"</svg>', "<a>", "b&\ufffd", "<script>"]


def test_a_graph_without_a_path_says_so() -> None:
    graph = Graph("cut", ("a", "0", "b"), (Edge("a", "0", "conv"),))
    assert "no path leads from an input to the output" in draw([graph])
    assert "no path leads from an input to the output" in describe([graph])


def test_no_graph_gives_an_empty_picture() -> None:
    assert ElementTree.fromstring(draw([])).findall(f"{SVG}svg") == []


def test_text_names_operations_and_inputs_of_each_node() -> None:
    assert describe([_published("darts_v2 normal")]) == "\n".join(
        (
            "darts_v2 normal",
            "  0     = sep_conv_3x3(c_{k-2}) + sep_conv_3x3(c_{k-1})",
            "  1     = sep_conv_3x3(c_{k-2}) + sep_conv_3x3(c_{k-1})",
            "  2     = sep_conv_3x3(c_{k-1}) + skip_connect(c_{k-2})",
            "  3     = skip_connect(c_{k-2}) + dil_conv_3x3(0)",
            "  c_{k} = concat(0, 1, 2, 3)",
        )
    )


def test_what_may_be_left_out_is_told_in_words() -> None:
    edges = (Edge("in", "last", "no"), Edge("last", "inner", "yes"), Edge("inner", "out", ""))
    assert describe([Graph("mine", ("in", "last", "inner", "out"), edges)]) == (
        "mine\n  last  = in (left out)\n  inner = kept(last)\n  out   = inner"
    )


def test_long_lines_of_the_text_are_wrapped() -> None:
    names = ("in", *map(str, range(30)), "out")
    edges = tuple(Edge("in", "29", f"operation_{index}") for index in range(20))
    lines = describe([Graph("wide", names, edges)]).splitlines()
    assert max(map(len, lines)) <= 96
    assert len(lines) > 4


def test_an_edge_to_an_earlier_node_is_refused() -> None:
    graph = Graph("cell", ("a", "b", "c"), (Edge("c", "b", "conv"),))
    with pytest.raises(ValueError, match=r"'cell' must lead .* a, b, c; got 'c' to 'b'"):
        draw([graph])


def test_an_edge_from_an_unknown_node_is_refused() -> None:
    with pytest.raises(ValueError, match="got 'x' to 'b'"):
        draw([Graph("cell", ("a", "b"), (Edge("x", "b", "conv"),))])


def test_a_node_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' is there twice"):
        draw([Graph("cell", ("a", "a", "b"), ())])
