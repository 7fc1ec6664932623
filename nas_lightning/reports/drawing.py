"""Draws genotypes: one SVG picture, or readable text for a terminal."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import pairwise

from nas_lightning.core.graph import Edge, Graph
from nas_lightning.reports.lattice import LABEL_SIZE, NODE_SIZE, inputs_of, shown
from nas_lightning.reports.layout import Box, Layout, Route, lay_out
from nas_lightning.reports.matrix import draw_matrix, is_dense
from nas_lightning.reports.palette import Paint, palette, tint
from nas_lightning.reports.svg import element, number, picture, rich_text, text, text_width

__all__ = ["describe", "draw"]

_INK = "#1f2933"
_LINE = "#a3adba"
_MARGIN = 18.0
_TITLE = 40.0
_BETWEEN = 40.0
_MAX_WIDTH = 1400.0
_COLUMNS = 96


def draw(graphs: Sequence[Graph]) -> str:
    """Returns one SVG document with all graphs, beside each other as long as they fit.

    Inputs are at the top, the output at the bottom. Each graph is a nested `svg` element of the
    class "graph", so that a page can take them apart. The same graphs give the same bytes.

    Raises:
        ValueError: a graph's edges do not lead from a node to a later one, or two nodes have
            the same name.
    """
    paints = palette(edge.label for graph in graphs for edge in graph.edges if edge.label)
    parts = []
    x = y = _MARGIN
    width = bottom = 0.0
    for graph in graphs:
        content, size = _draw_graph(graph, paints)
        if x > _MARGIN and x + size[0] > _MAX_WIDTH:
            x, y = _MARGIN, bottom + _BETWEEN
        parts.append(_nested(content, x, y, size))
        width, bottom = max(width, x + size[0]), max(bottom, y + size[1])
        x += size[0] + _BETWEEN
    paper = element(
        "rect", width=width + _MARGIN, height=bottom + _MARGIN, fill="#ffffff", class_="paper"
    )
    return picture(width + _MARGIN, bottom + _MARGIN, paper + "".join(parts), describe(graphs))


def describe(graphs: Sequence[Graph]) -> str:
    """Returns the graphs as text, a block each, a line a node.

    >>> edges = (Edge("a", "0", "conv_3x3"), Edge("a", "b", ""), Edge("0", "b", ""))
    >>> print(describe([Graph("tiny", ("a", "0", "b"), edges)]))
    tiny
      0 = conv_3x3(a)
      b = concat(a, 0)
    """
    return "\n\n".join(_describe_graph(graph) for graph in graphs)


def _describe_graph(graph: Graph) -> str:
    lines = [graph.title]
    targets = [name for name in graph.nodes if any(edge.target == name for edge in graph.edges)]
    widest = max(map(len, targets), default=0)
    for name in targets:
        into = [edge for edge in graph.edges if edge.target == name]
        head = f"  {name.ljust(widest)} = "
        lines += textwrap.wrap(
            head + _formula(into),
            _COLUMNS,
            subsequent_indent=" " * len(head),
            break_long_words=False,
            drop_whitespace=True,
        )
    if not _is_connected(graph):
        lines.append("  no path leads from an input to the output")
    return "\n".join(lines)


def _formula(into: Sequence[Edge]) -> str:
    if len(into) > 1 and not any(edge.label for edge in into):
        return f"concat({', '.join(edge.source for edge in into)})"
    return " + ".join(
        f"{edge.label}({edge.source})" if edge.label else edge.source for edge in into
    )


def _is_connected(graph: Graph) -> bool:
    return not graph.nodes or graph.nodes[-1] in _reached(graph)


def _reached(graph: Graph) -> set[str]:
    reached = set(inputs_of(graph))
    for name in graph.nodes:
        if any(edge.target == name and edge.source in reached for edge in graph.edges):
            reached.add(name)
    return reached


def _draw_graph(graph: Graph, paints: Mapping[str, Paint]) -> tuple[str, tuple[float, float]]:
    content, (inner, height) = _draw_inside(graph, paints)
    remark = "" if _is_connected(graph) else "no path leads from an input to the output"
    width = max(inner, text_width(graph.title, 15), text_width(remark, LABEL_SIZE))
    parts = [text(graph.title, width / 2, 15, 15, text_anchor="middle", fill=_INK, font_weight=600)]
    if remark:
        parts.append(text(remark, width / 2, 30, LABEL_SIZE, text_anchor="middle", fill="#a33a00"))
    shift = f"translate({number((width - inner) / 2)} {number(_TITLE)})"
    parts.append(element("g", content, transform=shift))
    return "".join(parts), (width + 2, height + _TITLE + 2)


def _draw_inside(graph: Graph, paints: Mapping[str, Paint]) -> tuple[str, tuple[float, float]]:
    if is_dense(graph):
        return draw_matrix(graph, paints)
    layout = lay_out(graph)
    return _draw_layout(layout, graph, paints), (layout.width, layout.height)


def _draw_layout(layout: Layout, graph: Graph, paints: Mapping[str, Paint]) -> str:
    plain_first = sorted(layout.routes, key=lambda route: bool(route.edge.label))
    lines = "".join(_draw_route(route, paints) for route in plain_first)
    return lines + "".join(_draw_box(box, graph, paints) for box in layout.boxes)


def _draw_route(route: Route, paints: Mapping[str, Paint]) -> str:
    edge = route.edge
    colour = paints[edge.label].colour if edge.label else _LINE
    way = _way(route.passages)
    x, y = (number(value) for value in route.passages[-1][:2])
    ends = {"data_source": edge.source, "data_target": edge.target}
    return (
        element("path", d=way, fill="none", stroke="#ffffff", stroke_width=5)
        + element(
            "path", d=way, fill="none", stroke=colour, stroke_width=1.8, class_="edge", **ends
        )
        + element("path", d=f"M{x} {y}l-3.6 -7h7.2z", fill=colour, class_="tip")
    )


def _way(passages: Sequence[tuple[float, float, float]]) -> str:
    parts = [f"M{number(passages[0][0])} {number(passages[0][1])}"]
    for (x, _, bottom), (next_x, top, next_bottom) in pairwise(passages):
        middle = number((bottom + top) / 2)
        parts.append(
            f"C{number(x)} {middle} {number(next_x)} {middle} {number(next_x)} {number(top)}"
        )
        if next_bottom > top:
            parts.append(f"V{number(next_bottom)}")
    return "".join(parts)


def _draw_box(box: Box, graph: Graph, paints: Mapping[str, Paint]) -> str:
    is_label = box.item.kind == "label"
    is_idle = not is_label and box.item.name not in _reached(graph)
    if is_label:
        colour = paints[box.item.name].colour
        fill, stroke, ink = tint(colour, 0.14), colour, _INK
    elif box.item.name == graph.nodes[-1]:
        fill, stroke, ink = _INK, _INK, "#ffffff"
    elif box.item.name in inputs_of(graph):
        fill, stroke, ink = "#e4e8ee", "#6b7785", _INK
    else:
        fill, stroke, ink = "#ffffff", _INK, _INK
    frame = element(
        "rect",
        x=box.x - box.width / 2,
        y=box.y - box.height / 2,
        width=box.width,
        height=box.height,
        rx=box.height / 2 if is_label else 7,
        fill=fill,
        stroke=stroke,
        stroke_width=1.2 if is_label else 1.5,
        class_=box.item.kind,
        stroke_dasharray="4 3" if is_idle else "none",
    )
    return frame + _box_text(box, ink)


def _box_text(box: Box, ink: str) -> str:
    if box.item.kind == "label":
        return text(box.item.name, box.x, box.y + 3.8, LABEL_SIZE, text_anchor="middle", fill=ink)
    stem, below = (part.replace("-", "\u2212") for part in shown(box.item.name))
    return rich_text(stem, below, box.x, box.y + 4.5, NODE_SIZE, ink)


def _nested(content: str, x: float, y: float, size: tuple[float, float]) -> str:
    width, height = size
    view = f"-1 -1 {number(width)} {number(height)}"
    return element(
        "svg",
        content,
        x=x,
        y=y,
        width=width,
        height=height,
        viewBox=view,
        class_="graph",
        overflow="visible",
    )
