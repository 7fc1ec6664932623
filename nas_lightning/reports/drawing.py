"""Draws genotypes: one SVG picture, or readable text for a terminal."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from nas_lightning.core.graph import Edge, Graph
from nas_lightning.reports.colours import Paint, paints_of, tint
from nas_lightning.reports.layout import (
    LABEL_SIZE,
    NODE_SIZE,
    Box,
    inputs_of,
    lay_out,
    subscripted,
    text_width,
)
from nas_lightning.reports.templates import fill

__all__ = ["describe", "draw"]

GREY = "#a3adba"
MARGIN, BETWEEN, TITLE = 18.0, 40.0, 40.0
MOST_WIDTH = 1400.0
MOST_LINES = 24  # without an operation, that can still be followed by eye
ROW, COLUMN, CHIP = 26.0, 18.0, 20.0  # of a table
LEGEND = "a dot: the row reads the column"
CUT = "no path leads from an input to the output"
COLUMNS = 96

Paints = Mapping[str, Paint]


def draw(graphs: Sequence[Graph]) -> str:
    """Returns one SVG document with all graphs, beside each other as long as they fit.

    Inputs are at the top, the output at the bottom. A graph with too many edges to be followed is
    drawn as a table. Each graph is a nested `svg` element of the class "graph", so that a page can
    take them apart. The same graphs give the same bytes.

    Raises:
        ValueError: a graph's edges do not lead from a node to a later one, or two nodes have
            the same name.
    """
    paints = paints_of(edge.label for graph in graphs for edge in graph.edges if edge.label)
    placed = []
    x = y = MARGIN
    right = bottom = 0.0
    for graph in graphs:
        drawn = _drawn(graph, paints)
        if x > MARGIN and x + drawn["outer_width"] > MOST_WIDTH:
            x, y = MARGIN, bottom + BETWEEN
        placed.append(drawn | {"x": x, "y": y})
        right, bottom = max(right, x + drawn["outer_width"]), max(bottom, y + drawn["outer_height"])
        x += drawn["outer_width"] + BETWEEN
    size = {"width": right + MARGIN, "height": bottom + MARGIN}
    return fill("drawing.svg.jinja", graphs=placed, words=describe(graphs), **size)


def _drawn(graph: Graph, paints: Paints) -> dict[str, Any]:
    is_dense = sum(not edge.label for edge in graph.edges) > MOST_LINES
    inside = _table(graph, paints) if is_dense else _network(graph, paints)
    remark = "" if _is_connected(graph) else CUT
    widths = (inside["width"], text_width(graph.title, 15), text_width(remark, LABEL_SIZE))
    return inside | {
        "title": graph.title,
        "remark": remark,
        "is_dense": is_dense,
        "middle": max(widths) / 2,
        "shift": (max(widths) - inside["width"]) / 2,
        "outer_width": max(widths) + 2,
        "outer_height": inside["height"] + TITLE + 2,
    }


def _network(graph: Graph, paints: Paints) -> dict[str, Any]:
    layout, lines = lay_out(graph), []
    reached, roles = _reached(graph), dict.fromkeys(inputs_of(graph), "input")
    roles |= {graph.nodes[-1]: "output"} if graph.nodes else {}
    for edge, points in sorted(layout.routes, key=lambda route: bool(route.edge.label)):
        colour = paints[edge.label].colour if edge.label else GREY
        lines.append({"edge": edge, "way": _way(points), "tip": points[-1], "colour": colour})
    return {
        "lines": lines,
        "nodes": [
            {
                "box": box,
                "name": subscripted(box.name.replace("-", "\u2212")),
                "role": roles.get(box.name, "inner"),
                "is_idle": box.name not in reached,
            }
            for box in layout.nodes
        ],
        "labels": [_label(box, paints[box.name]) for box in layout.labels],
        "width": layout.width,
        "height": layout.height,
    }


def _way(points: Sequence[tuple[float, float]]) -> str:
    """Returns the line through points, bent between rows and straight within them."""
    parts = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for number, ((x, y), (next_x, next_y)) in enumerate(pairwise(points)):
        middle = f"{(y + next_y) / 2:g}"
        bend = f"C{x:g} {middle} {next_x:g} {middle} {next_x:g} {next_y:g}"
        parts.append(f"V{next_y:g}" if number % 2 else bend)
    return "".join(parts)


def _table(graph: Graph, paints: Paints) -> dict[str, Any]:
    """Returns a row and a column per node: operations stand in the row, other edges are dots.

    An operation names its source where that is not the node before.
    """
    names = graph.nodes
    heads = (text_width(n, LABEL_SIZE) - (i + 0.5) * ROW for i, n in enumerate(names[:-1]))
    top = max(0.0, *heads)
    y = {name: top + (number + 0.5) * ROW for number, name in enumerate(names)}
    ends = dict.fromkeys(names, max(text_width(name, NODE_SIZE) for name in names) + 10)
    labels = []
    for edge in (edge for edge in graph.edges if edge.label):
        is_next = names.index(edge.target) == names.index(edge.source) + 1
        text = edge.label if is_next else f"{edge.label} ({edge.source})"
        width = text_width(text, LABEL_SIZE) + 14
        box = Box(text, ends[edge.target] + width / 2, y[edge.target], width, CHIP)
        labels.append(_label(box, paints[edge.label]))
        ends[edge.target] += width + 10
    left = max(ends.values())
    x = {name: left + (number + 0.5) * COLUMN for number, name in enumerate(names)}
    return {
        "x_of": x,
        "y_of": y,
        "labels": labels,
        "dots": [edge for edge in graph.edges if not edge.label],
        "left": left,
        "legend": LEGEND,
        "width": max(left + (len(names) - 1) * COLUMN, text_width(LEGEND, LABEL_SIZE)),
        "height": top + len(names) * ROW + 2 * LABEL_SIZE,
    }


def _label(box: Box, paint: Paint) -> dict[str, Any]:
    return {"box": box, "colour": paint.colour, "fill": tint(paint.colour, 0.14)}


def describe(graphs: Sequence[Graph]) -> str:
    """Returns the graphs as text: a block per graph, a line per node.

    >>> edges = (Edge("a", "0", "conv_3x3"), Edge("a", "b", ""), Edge("0", "b", ""))
    >>> print(describe([Graph("tiny", ("a", "0", "b"), edges)]))
    tiny
      0 = conv_3x3(a)
      b = concat(a, 0)
    """
    return "\n\n".join(_described(graph) for graph in graphs)


def _described(graph: Graph) -> str:
    lines = [graph.title]
    fed = [name for name in graph.nodes if any(edge.target == name for edge in graph.edges)]
    widest = max(map(len, fed), default=0)
    for name in fed:
        head = f"  {name.ljust(widest)} = "
        text = head + _formula([edge for edge in graph.edges if edge.target == name])
        indent = " " * len(head)
        lines += textwrap.wrap(text, COLUMNS, subsequent_indent=indent, break_long_words=False)
    return "\n".join(lines if _is_connected(graph) else [*lines, f"  {CUT}"])


def _formula(into: Sequence[Edge]) -> str:
    if len(into) > 1 and not any(edge.label for edge in into):
        return f"concat({', '.join(edge.source for edge in into)})"
    terms = (f"{edge.label}({edge.source})" if edge.label else edge.source for edge in into)
    return " + ".join(terms)


def _is_connected(graph: Graph) -> bool:
    return set(graph.nodes[-1:]) <= _reached(graph)


def _reached(graph: Graph) -> set[str]:
    """Returns the nodes to which a path leads from an input."""
    reached = set(inputs_of(graph))
    for name in graph.nodes:
        if any(edge.target == name and edge.source in reached for edge in graph.edges):
            reached.add(name)
    return reached
