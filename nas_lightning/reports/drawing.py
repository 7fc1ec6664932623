"""Draws genotypes: one SVG picture, or readable text for a terminal."""

import re
import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from nas_lightning.core.graph import Edge, Graph
from nas_lightning.reports.colours import TINT, paints_of, tint
from nas_lightning.reports.layout import LABEL_SIZE, NODE_SIZE, Box, inputs_of, lay_out, text_width
from nas_lightning.reports.templates import fill

__all__ = ["COLUMNS", "choice_name", "describe", "draw"]

MARGIN, BETWEEN, TITLE, MOST_WIDTH = 18.0, 40.0, 40.0, 1400.0
MOST_LINES = 24  # without an operation, that can still be followed by eye
ROW, COLUMN, CHIP = 26.0, 18.0, 20.0  # of a table
LEGEND = "a dot: the row reads the column"
CUT = "no path leads from an input to the output"
COLUMNS = 96
WORDS = {  # of some labels; "no" and "yes" are those of core.choices, which loads torch
    "": "{source}",
    "no": "{source} (left out)",
    "yes": "kept({source})",
}


def draw(graphs: Sequence[Graph], options: Sequence[str] = ()) -> str:
    """Returns one SVG document with all graphs, beside each other as long as they fit.

    Inputs are at the top, the output at the bottom. A graph with too many edges to be followed is
    drawn as a table. Each graph is a nested `svg` element of the class "graph", so that a page can
    take them apart. The same graphs give the same bytes. `options` are all of the space's: an
    option keeps its colour whichever others a genotype has.

    Raises: ValueError: an edge does not lead from a node to a later one, or two nodes share a name.
    """
    placed: list[dict[str, Any]] = []
    x = y = MARGIN
    right = bottom = 0.0
    for graph in graphs:
        drawn = _drawn(graph)
        if x > MARGIN and x + drawn["outer_width"] > MOST_WIDTH:
            x, y = MARGIN, bottom + BETWEEN
        placed.append(drawn | {"x": x, "y": y})
        x += drawn["outer_width"]
        right, bottom = max(right, x), max(bottom, y + drawn["outer_height"])
        x += BETWEEN
    labels = (edge.label for graph in graphs for edge in graph.edges if edge.label)
    paints = paints_of([*options, *labels])
    values: dict[str, Any] = {"graphs": placed, "words": describe(graphs), "paints": paints}
    values |= {"width": right + MARGIN, "height": bottom + MARGIN, "field": _field, "way": _way}
    return fill("drawing.svg.jinja", **values)


def _field(colour: str) -> str:
    return tint(colour, TINT)


def _drawn(graph: Graph) -> dict[str, Any]:
    is_dense = sum(not edge.label for edge in graph.edges) > MOST_LINES
    inside = _table(graph) if is_dense else _network(graph)
    remark = "" if _is_connected(graph) else CUT
    widest = max(inside["width"], text_width(graph.title, 15), text_width(remark, LABEL_SIZE))
    return inside | {
        "title": graph.title,
        "remark": remark,
        "is_dense": is_dense,
        "outer_width": widest + 2,
        "outer_height": inside["height"] + TITLE + 2,
    }


def _network(graph: Graph) -> dict[str, Any]:
    roles = dict.fromkeys(inputs_of(graph), "input") | dict.fromkeys(graph.nodes[-1:], "output")
    return lay_out(graph)._asdict() | {"roles": roles, "reached": _reached(graph)}


def _way(points: Sequence[tuple[float, float]]) -> str:
    """Returns the line through points, bent between rows and straight within them."""
    parts = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for number, ((x, y), (next_x, next_y)) in enumerate(pairwise(points)):
        middle = f"{(y + next_y) / 2:g}"
        bend = f"C{x:g} {middle} {next_x:g} {middle} {next_x:g} {next_y:g}"
        parts.append(f"V{next_y:g}" if number % 2 else bend)
    return "".join(parts)


def _table(graph: Graph) -> dict[str, Any]:
    """Returns a row and a column per node: operations stand in the row, other edges are dots.

    An operation names its source where that is not the node before.
    """
    names = graph.nodes
    heads = (text_width(n, LABEL_SIZE) - (i + 0.5) * ROW for i, n in enumerate(names[:-1]))
    top = max(0.0, *heads)
    y = {name: top + (number + 0.5) * ROW for number, name in enumerate(names)}
    ends = dict.fromkeys(names, max(text_width(name, NODE_SIZE) for name in names) + 10)
    labels = []
    for source, target, label in ((e.source, e.target, e.label) for e in graph.edges if e.label):
        remark = "" if names.index(target) == names.index(source) + 1 else f" ({source})"
        width = text_width(label + remark, LABEL_SIZE) + 14
        labels.append(Box(label, ends[target] + width / 2, y[target], width, CHIP, remark))
        ends[target] += width + 10
    left = max(ends.values())
    return {
        "x_of": {name: left + (number + 0.5) * COLUMN for number, name in enumerate(names)},
        "y_of": y,
        "labels": labels,
        "dots": [edge for edge in graph.edges if not edge.label],
        "left": left,
        "legend": LEGEND,
        "width": max(left + (len(names) - 1) * COLUMN, text_width(LEGEND, LABEL_SIZE)),
        "height": top + len(names) * ROW + 2 * LABEL_SIZE,
    }


def choice_name(choice: str, graphs: Sequence[Graph]) -> str:
    """Returns a choice's name for readers; an edge is named by its nodes, as in the drawing.

    >>> graphs = [Graph("normal cell", ("c_{k-2}", "c_{k-1}", "2", "c_{k}"), ())]
    >>> choice_name("normal/edge_0_2", graphs).replace("\u2192", "to")
    'c_{k-2} to 2'
    """
    cell, _, own = choice.rpartition("/")
    nodes = next((graph.nodes for graph in graphs if graph.title.startswith(cell)), ())
    if not (edge := re.fullmatch(r"edge_(\d+)_(\d+)", own)):
        return own.replace("_", " ")
    ends = (int(end) for end in edge.groups())
    source, target = (nodes[end].partition(" = ")[0] if end < len(nodes) else end for end in ends)
    return f"{source} \u2192 {target}"


def describe(graphs: Sequence[Graph], columns: int = COLUMNS) -> str:
    """Returns the graphs as text: a block per graph, a line per node.

    >>> edges = (Edge("a", "0", "conv_3x3"), Edge("a", "b", ""), Edge("0", "b", ""))
    >>> print(describe([Graph("tiny", ("a", "0", "b"), edges)]))
    tiny
      0 = conv_3x3(a)
      b = concat(a, 0)
    """
    return "\n\n".join(_described(graph, columns) for graph in graphs)


def _described(graph: Graph, columns: int) -> str:
    lines = [graph.title]
    into = {name: [edge for edge in graph.edges if edge.target == name] for name in graph.nodes}
    widest = max((len(name) for name in graph.nodes if into[name]), default=0)
    for name, edges in into.items():
        if edges:
            text = f"  {name.ljust(widest)} = {_formula(edges)}"
            indent = " " * (widest + 5)
            lines += textwrap.wrap(text, columns, subsequent_indent=indent, break_long_words=False)
    return "\n".join(lines if _is_connected(graph) else [*lines, f"  {CUT}"])


def _formula(into: Sequence[Edge]) -> str:
    if len(into) > 1 and not any(edge.label for edge in into):
        return f"concat({', '.join(edge.source for edge in into)})"
    return " + ".join(
        WORDS.get(e.label, "{label}({source})").format(label=e.label, source=e.source) for e in into
    )


def _is_connected(graph: Graph) -> bool:
    return set(graph.nodes[-1:]) <= _reached(graph)


def _reached(graph: Graph) -> set[str]:
    """Returns the nodes to which a path leads from an input."""
    reached = set(inputs_of(graph))
    for name in graph.nodes:
        if any(edge.target == name and edge.source in reached for edge in graph.edges):
            reached.add(name)
    return reached
