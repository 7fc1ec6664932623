"""Draws a graph of many plain edges as a table: a row a node, a dot where it reads another."""

from collections.abc import Mapping, Sequence

from nas_lightning.core.graph import Edge, Graph
from nas_lightning.reports.lattice import LABEL_SIZE, NODE_SIZE
from nas_lightning.reports.palette import Paint, tint
from nas_lightning.reports.svg import element, text, text_width

__all__ = ["draw_matrix", "is_dense"]

_INK = "#1f2933"
_FAINT = "#52606d"
_GRID = "#d5dbe3"
_LEGEND = "a dot: the row reads the column"
_MOST = 24  # plain edges that can still be followed by eye
_ROW = 26.0
_COLUMN = 18.0
_CHIP = 20.0
_GAP = 10.0


def is_dense(graph: Graph) -> bool:
    """Returns whether a graph has too many plain edges to be followed as lines."""
    return sum(not edge.label for edge in graph.edges) > _MOST


def draw_matrix(graph: Graph, paints: Mapping[str, Paint]) -> tuple[str, tuple[float, float]]:
    """Returns the table as markup, and its width and height.

    Args:
        graph: nodes are rows from top to bottom and columns from left to right; an edge with an
            operation is a chip in its target's row, which names its source where that is not the
            node before.
        paints: the colour of each operation.
    """
    names = graph.nodes
    rows = [_chips(graph, index) for index in range(len(names))]
    left = max(text_width(name, NODE_SIZE) for name in names) + _GAP
    right = left + max(sum(_chip_width(label) + _GAP for _, label in chips) for chips in rows)
    heads = [text_width(n, LABEL_SIZE) - (i + 0.5) * _ROW for i, n in enumerate(names[:-1])]
    top = max(0.0, *heads)
    parts = [_grid(names, right, top)]
    for index, (name, chips) in enumerate(zip(names, rows, strict=True)):
        y = top + (index + 0.5) * _ROW
        parts.append(text(name, 0, y + 4.5, NODE_SIZE, font_weight=600, fill=_INK, class_="node"))
        x = left
        for edge, label in chips:
            parts.append(_draw_chip(label, x, y, paints[edge.label].colour))
            x += _chip_width(label) + _GAP
    parts += [_dot(edge, names, right, top) for edge in graph.edges if not edge.label]
    bottom = top + len(names) * _ROW
    parts.append(text(_LEGEND, 0, bottom + LABEL_SIZE, LABEL_SIZE, fill=_FAINT))
    width = max(right + (len(names) - 1) * _COLUMN, text_width(_LEGEND, LABEL_SIZE))
    return "".join(parts), (width, bottom + 2 * LABEL_SIZE)


def _chips(graph: Graph, index: int) -> list[tuple[Edge, str]]:
    into = [e for e in graph.edges if e.label and e.target == graph.nodes[index]]
    before = graph.nodes[index - 1] if index else ""
    return [(e, e.label if e.source == before else f"{e.label} ({e.source})") for e in into]


def _chip_width(label: str) -> float:
    return text_width(label, LABEL_SIZE) + 14


def _draw_chip(label: str, x: float, y: float, colour: str) -> str:
    width = _chip_width(label)
    frame = element(
        "rect",
        x=x,
        y=y - _CHIP / 2,
        width=width,
        height=_CHIP,
        rx=_CHIP / 2,
        fill=tint(colour, 0.14),
        stroke=colour,
        stroke_width=1.2,
        class_="label",
    )
    return frame + text(label, x + width / 2, y + 3.8, LABEL_SIZE, text_anchor="middle", fill=_INK)


def _grid(names: Sequence[str], left: float, top: float) -> str:
    """Returns a line across each row and down each column, as far as edges can be, and heads."""
    parts = []
    bottom = top + (len(names) - 0.5) * _ROW
    for index, name in enumerate(names[:-1]):
        x, y = left + (index + 0.5) * _COLUMN, top + (index + 1.5) * _ROW
        parts.append(element("path", d=f"M{left} {y}H{x}V{bottom}", stroke=_GRID, fill="none"))
        turn = f"translate({x + 3.8} {y - _ROW + 8}) rotate(-90)"
        parts.append(text(name, 0, 0, LABEL_SIZE, transform=turn, fill=_INK))
    return "".join(parts)


def _dot(edge: Edge, names: Sequence[str], left: float, top: float) -> str:
    return element(
        "circle",
        cx=left + (names.index(edge.source) + 0.5) * _COLUMN,
        cy=top + (names.index(edge.target) + 0.5) * _ROW,
        r=4.5,
        fill=_INK,
        class_="edge",
        data_source=edge.source,
        data_target=edge.target,
    )
