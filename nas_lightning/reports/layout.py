"""Where the parts of a genotype's drawing stand: in rows, from the inputs down to the output.

Source of the layered method: Sugiyama, Tagawa and Toda, 1981, "Methods for visual understanding
of hierarchical system structures". Different here: an edge keeps one column, its lane, in all rows
that it passes, and its label stands in the last of them. Lines bend between rows only. So a line
meets no box but those at its ends, and nothing is drawn over a label.
"""

from collections.abc import Sequence
from itertools import pairwise, takewhile
from typing import NamedTuple

from nas_lightning.core.graph import Edge, Graph
from nas_lightning.reports.placement import Placement

__all__ = ["Box", "Layout", "Route", "inputs_of", "lay_out", "subscripted", "text_width"]

NODE_SIZE, LABEL_SIZE = 13.0, 11.0  # of the fonts, in pixels
NODE_HEIGHT, LABEL_HEIGHT = 28.0, 21.0
NODE_MARGIN, LABEL_MARGIN, LANE_MARGIN = 11.0, 4.5, 5.5  # left free to either side
PORT = 10.0  # between two lines that end at one node
MOST_LABELS = 4  # in a row, where nodes can as well go further down

Way = Sequence[tuple[int, int]]  # an edge's rows and what it meets there: source, lane, target


class Box(NamedTuple):
    """A node or a label: its text, its centre and its size in pixels."""

    name: str
    x: float
    y: float
    width: float
    height: float


class Route(NamedTuple):
    """An edge's line: (x, y) where it leaves a row or enters one, in turn, from the top down."""

    edge: Edge
    points: tuple[tuple[float, float], ...]


class Layout(NamedTuple):
    """A graph in the plane, its upper left corner at (0, 0), in pixels."""

    width: float
    height: float
    nodes: tuple[Box, ...]
    labels: tuple[Box, ...]
    routes: tuple[Route, ...]


def lay_out(graph: Graph) -> Layout:
    """Returns where to draw a graph; the same graph always gives the same layout.

    Raises:
        ValueError: a node is named twice, or an edge does not lead from an earlier node of
            `graph.nodes` to a later one.
    """
    _check(graph)
    grid = _Grid(graph)
    return grid.layout(Placement(grid.reaches, grid.lines, len(inputs_of(graph))).places())


class _Grid:
    """A graph in rows. Its items are its nodes, then the lanes of edges that pass rows."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.rows = graph, _rows(graph)
        self.widths = [_node_width(graph, name) for name in graph.nodes]
        self.reaches = [
            {self.rows[name]: width / 2 + NODE_MARGIN}
            for name, width in zip(graph.nodes, self.widths, strict=True)
        ]
        self.ways = [self._way(edge) for edge in graph.edges]
        self.lines = [
            (row, upper, lower) for way in self.ways for (row, upper), (_, lower) in pairwise(way)
        ]

    def _way(self, edge: Edge) -> Way:
        ends = [self.graph.nodes.index(name) for name in (edge.source, edge.target)]
        passed = range(self.rows[edge.source], self.rows[edge.target] + 1)
        lane = [len(self.widths)] * (len(passed) - 2)
        if lane:
            width = text_width(edge.label, LABEL_SIZE) + 8 if edge.label else 0.0
            label = {passed[-2]: width / 2 + LABEL_MARGIN} if edge.label else {}
            self.widths.append(width)
            self.reaches.append(dict.fromkeys(passed[1:-1], LANE_MARGIN) | label)
        return list(zip(passed, [ends[0], *lane, ends[1]], strict=True))

    def layout(self, places: Sequence[float]) -> Layout:
        """Returns the layout with the items at places."""
        halves = [width / 2 for width in self.widths]
        left = min((at - half for at, half in zip(places, halves, strict=True)), default=0.0)
        x = [round(at - left, 1) for at in places]
        right = max((at + half for at, half in zip(x, halves, strict=True)), default=0.0)
        bands = self._bands(x)
        nodes = [
            _box(name, x[item], self.widths[item], bands[self.rows[name]])
            for item, name in enumerate(self.graph.nodes)
        ]
        labels, routes = [], []
        for edge, way, ends in zip(self.graph.edges, self.ways, self._ends(x), strict=True):
            passed = [(x[item], y) for row, item in way[1:-1] for y in bands[row]]
            start, end = (ends[0], bands[way[0][0]][1]), (ends[1], bands[way[-1][0]][0])
            routes.append(Route(edge, (start, *passed, end)))
            if edge.label:
                row, lane = way[-2]
                labels.append(_box(edge.label, x[lane], self.widths[lane], bands[row]))
        height = bands[-1][1] if bands else 0.0
        return Layout(right, height, tuple(nodes), tuple(labels), tuple(routes))

    def _ends(self, x: Sequence[float]) -> list[list[float]]:
        """Returns where each edge leaves its source and enters its target, side by side."""
        ends = [[0.0, 0.0] for _ in self.ways]
        for end, beside in ((0, 1), (-1, -2)):
            for node, width in enumerate(self.widths[: len(self.graph.nodes)]):
                here = [n for n, way in enumerate(self.ways) if way[end][1] == node]
                here.sort(key=lambda n: x[self.ways[n][beside][1]])
                step = min(PORT, (width - 16) / max(1, len(here) - 1))
                for place, number in enumerate(here):
                    ends[number][end] = round(x[node] + (place - (len(here) - 1) / 2) * step, 1)
        return ends

    def _bands(self, x: Sequence[float]) -> list[tuple[float, float]]:
        """Returns top and bottom of each row; the further lines go aside, the more is between."""
        aside = dict.fromkeys(range(max(self.rows.values(), default=-1) + 1), 0.0)
        for row, upper, lower in self.lines:
            aside[row] = max(aside[row], abs(x[upper] - x[lower]))
        bands, top = [], 0.0
        for row, widest in aside.items():
            bottom = top + (NODE_HEIGHT if row in self.rows.values() else LABEL_HEIGHT)
            bands.append((top, bottom))
            top = round(bottom + 14 + min(34, 0.16 * widest), 1)
        return bands


def _box(name: str, x: float, width: float, band: tuple[float, float]) -> Box:
    top, bottom = band
    return Box(name, x, (top + bottom) / 2, width, bottom - top)


def _check(graph: Graph) -> None:
    order = {name: position for position, name in enumerate(graph.nodes)}
    if len(order) < len(graph.nodes):
        twice = next(name for name in graph.nodes if graph.nodes.count(name) > 1)
        raise ValueError(f"node names of '{graph.title}' must differ; '{twice}' is there twice")
    for edge in graph.edges:
        if order.get(edge.source, len(order)) >= order.get(edge.target, -1):
            raise ValueError(
                f"edges of '{graph.title}' must lead from a node to a later one of "
                f"{', '.join(graph.nodes)}; got '{edge.source}' to '{edge.target}'"
            )


def _rows(graph: Graph) -> dict[str, int]:
    """Returns the row of each node; between them are rows for labels where there are any."""
    *earlier, output = graph.nodes or ("",)
    ranks = dict.fromkeys(inputs_of(graph), 0)
    loads: dict[int, int] = {}
    for name in earlier[len(ranks) :]:
        into = [edge for edge in graph.edges if edge.target == name]
        load = max(1, sum(bool(edge.label) for edge in into))
        rank = max((ranks[edge.source] for edge in into), default=0) + 1
        while loads.get(rank, 0) and loads[rank] + load > MOST_LABELS:
            rank += 1
        loads[rank] = loads.get(rank, 0) + load
        ranks[name] = rank
    ranks[output] = max(ranks.values(), default=-1) + 1
    labels = {2 * ranks[edge.target] - 1 for edge in graph.edges if edge.label}
    levels = sorted(labels | {2 * rank for rank in ranks.values()})
    return {name: levels.index(2 * ranks[name]) for name in graph.nodes}


def inputs_of(graph: Graph) -> tuple[str, ...]:
    """Returns the inputs of a graph: its first nodes, as long as no edge feeds them."""
    fed = {edge.target for edge in graph.edges}
    return tuple(takewhile(lambda name: name not in fed, graph.nodes[:-1]))


def subscripted(name: str) -> tuple[str, str]:
    """Returns a node's name and its subscript, "" if it has none.

    >>> subscripted("c_{k-2}"), subscripted("3")
    (('c', 'k-2'), ('3', ''))
    """
    stem, mark, rest = name.partition("_{")
    return (stem, rest[:-1]) if mark and rest.endswith("}") else (name, "")


def text_width(line: str, size: float) -> float:
    """Returns about how wide a text in a sans-serif font is, in pixels, rather too wide."""
    narrow, wide = "fijlrt.,:;'|!()[]{}I -/", "mwMW@%"
    return size * sum(0.36 if c in narrow else 0.9 if c in wide else 0.6 for c in line)


def _node_width(graph: Graph, name: str) -> float:
    stem, below = subscripted(name)
    text = text_width(stem, NODE_SIZE) + text_width(below, 0.75 * NODE_SIZE) + 16
    ends = [(edge.source == name, edge.target == name) for edge in graph.edges]
    lines = max((sum(side) for side in zip(*ends, strict=True)), default=0)
    return max(34.0, text, min(160.0, PORT * (lines - 1) + 20))
