"""Where the parts of a genotype's drawing stand: in rows, from the inputs down to the output.

Source of the layered method: Sugiyama, Tagawa and Toda, 1981, "Methods for visual understanding
of hierarchical system structures". Different here: an edge keeps one column, its lane, in all rows
that it passes, and its label stands in the last of them; and the order within rows is found
together with the places, by annealing. Lines bend between rows only. So a line meets no box but
those at its ends, and nothing is drawn over a label.
"""

from collections.abc import Sequence
from itertools import combinations, pairwise, takewhile
from math import inf
from random import Random
from typing import NamedTuple

from nas_lightning.core.graph import Edge, Graph

__all__ = ["Box", "Layout", "inputs_of", "lay_out", "text_width"]

NODE_SIZE, LABEL_SIZE = 13.0, 11.0  # of the fonts, in pixels
NODE_HEIGHT, LABEL_HEIGHT = 28.0, 21.0
NODE_MARGIN, LABEL_MARGIN, LANE_MARGIN = 11.0, 4.5, 5.5  # left free to either side
PORT = 10.0  # between two lines that end at one node
MOST_LABELS = 4  # in a row, where nodes can as well go further down
STARTS, ROUNDS, NOISE = 5, 80, 50.0  # of the annealing; the noise is in pixels
LARGE = 2000  # so many items all starts together may have

Ways = Sequence[Sequence[tuple[int, int]]]  # of each edge: its rows and the item it meets there
Lines = Sequence[tuple[int, int, int]]  # from a row to the next: the row, upper and lower item
Places = Sequence[float]  # the x of each item


class Box(NamedTuple):
    """A node or a label: its text, its centre and its size in pixels, and what follows the text."""

    name: str
    x: float
    y: float
    width: float
    height: float
    remark: str = ""


class Layout(NamedTuple):
    """A graph in the plane, its upper left corner at (0, 0), in pixels.

    A route is an edge's line: (x, y) where it enters or leaves a row, in turn, from the top down.
    """

    width: float
    height: float
    nodes: tuple[Box, ...]
    labels: tuple[Box, ...]
    routes: tuple[tuple[Edge, tuple[tuple[float, float], ...]], ...]


class _Item(NamedTuple):
    """A node, or the lane of an edge: its width and the room it needs to either side, by row."""

    width: float
    room: dict[int, float]


Items = Sequence[_Item]


def lay_out(graph: Graph) -> Layout:
    """Returns where to draw a graph; the same graph always gives the same layout.

    Raises: ValueError: an edge does not lead from a node to a later one, or two nodes share a name.
    """
    _check(graph)
    if not graph.nodes:
        return Layout(0.0, 0.0, (), (), ())
    rows = _rows(graph)
    items = [_node(graph, name, rows[name]) for name in graph.nodes]
    ways = []
    for edge in graph.edges:
        passed = range(rows[edge.source] + 1, rows[edge.target])
        items += [_lane(edge.label, passed)] if passed else []
        source, target = ((rows[n], graph.nodes.index(n)) for n in (edge.source, edge.target))
        ways.append([source, *((row, len(items) - 1) for row in passed), target])
    lines = [(row, upper, lower) for way in ways for (row, upper), (_, lower) in pairwise(way)]
    x = _places(items, lines, len(inputs_of(graph)))
    bands = _bands(set(rows.values()), lines, x)

    def box(name: str, row: int, item: int) -> Box:
        top, bottom = bands[row]
        return Box(name, x[item], (top + bottom) / 2, items[item].width, bottom - top)

    nodes = tuple(box(name, rows[name], item) for item, name in enumerate(graph.nodes))
    labels, routes = [], []
    for edge, way, (start, end) in zip(graph.edges, ways, _ends(ways, items, x), strict=True):
        inner = [(x[item], y) for row, item in way[1:-1] for y in bands[row]]
        first, last = (start, bands[way[0][0]][1]), (end, bands[way[-1][0]][0])
        routes.append((edge, (first, *inner, last)))
        labels += [box(edge.label, *way[-2])] if edge.label else []
    width = max(at + item.width / 2 for at, item in zip(x, items, strict=True))
    return Layout(width, bands[-1][1], nodes, tuple(labels), tuple(routes))


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
    *earlier, output = graph.nodes
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


def _node(graph: Graph, name: str, row: int) -> _Item:
    text = text_width(name.replace("_{", "").rstrip("}"), NODE_SIZE) + 16
    num_out = sum(edge.source == name for edge in graph.edges)
    num_in = sum(edge.target == name for edge in graph.edges)
    width = max(34.0, text, min(160.0, PORT * (max(num_in, num_out) - 1) + 20))
    return _Item(width, {row: width / 2 + NODE_MARGIN})


def _lane(label: str, rows: Sequence[int]) -> _Item:
    width = text_width(label, LABEL_SIZE) + 8 if label else 0.0
    room = dict.fromkeys(rows, LANE_MARGIN)
    return _Item(width, room | {rows[-1]: width / 2 + LABEL_MARGIN} if label else room)


def _places(items: Items, lines: Lines, num_inputs: int) -> list[float]:
    """Returns the x of each item: few crossings come first, then short lines.

    Each item is drawn to the mean of itself and those that it is joined to, and pushed off its
    neighbours; noise that fades lets it pass them. Inputs, the first items, keep their order.
    """
    joined = [{item} for item in range(len(items))]
    for _, upper, lower in lines:
        joined[upper].add(lower)
        joined[lower].add(upper)
    rng, tries = Random(0), []
    pairs = [(a, b) for a, b in combinations(lines, 2) if a[0] == b[0]]
    for start in range(min(STARTS, 1 + LARGE // (len(items) + 1))):
        chance = min(1, start)  # none in the first one, which draws like parts alike
        x = [item + chance * rng.uniform(0, 400) for item in range(len(items))]
        for number in range(ROUNDS):
            noise = chance * NOISE * max(0.0, 1 - 1.3 * number / ROUNDS)
            x = [sum(x[end] for end in ends) / len(ends) + rng.gauss(0, noise) for ends in joined]
            x[:num_inputs] = sorted(x[:num_inputs])
            x = _spaced(items, x)
            crossings = sum((x[a] - x[c]) * (x[b] - x[d]) < 0 for (_, a, b), (_, c, d) in pairs)
            tries.append((crossings, round(sum(abs(x[a] - x[b]) for _, a, b in lines)), x))
    best = min(tries, key=lambda each: each[:2])[2]
    left = min(at - item.width / 2 for at, item in zip(best, items, strict=True))
    return [round(at - left, 1) for at in best]


def _spaced(items: Items, wanted: Places) -> list[float]:
    """Returns places near the wanted ones: the mean of pushing right as needed, and left."""
    order = sorted(range(len(items)), key=wanted.__getitem__)
    right = _pushed(items, order, wanted)
    left = _pushed(items, order[::-1], [-x for x in wanted])
    return [(a - b) / 2 for a, b in zip(right, left, strict=True)]


def _pushed(items: Items, order: list[int], wanted: Places) -> list[float]:
    x, borders = list(wanted), dict[int, float]()
    for number in order:
        room = items[number].room
        x[number] = max(x[number], *(borders.get(row, -inf) + room[row] for row in room))
        borders |= {row: x[number] + side for row, side in room.items()}
    return x


def _bands(node_rows: set[int], lines: Lines, x: Places) -> list[tuple[float, float]]:
    """Returns top and bottom of each row; the further lines go aside, the more is between."""
    aside = [0.0] * (max(node_rows) + 1)
    for row, upper, lower in lines:
        aside[row] = max(aside[row], abs(x[upper] - x[lower]))
    bands, top = [], 0.0
    for row, widest in enumerate(aside):
        bottom = top + (NODE_HEIGHT if row in node_rows else LABEL_HEIGHT)
        bands.append((top, bottom))
        top = round(bottom + 14 + min(34, 0.16 * widest), 1)
    return bands


def _ends(ways: Ways, items: Items, x: Places) -> list[list[float]]:
    """Returns where each edge leaves its source and enters its target, side by side."""
    ends = [[0.0, 0.0] for _ in ways]
    for end, beside in ((0, 1), (-1, -2)):
        for node in {way[end][1] for way in ways}:
            here = [number for number, way in enumerate(ways) if way[end][1] == node]
            here.sort(key=lambda number: x[ways[number][beside][1]])
            step = min(PORT, (items[node].width - 16) / max(1, len(here) - 1))
            for place, number in enumerate(here):
                ends[number][end] = round(x[node] + (place - (len(here) - 1) / 2) * step, 1)
    return ends


def inputs_of(graph: Graph) -> tuple[str, ...]:
    """Returns the inputs of a graph: its first nodes, as long as no edge feeds them."""
    fed = {edge.target for edge in graph.edges}
    return tuple(takewhile(lambda name: name not in fed, graph.nodes[:-1]))


def text_width(line: str, size: float) -> float:
    """Returns about how wide a text in a sans-serif font is, in pixels, rather too wide."""
    narrow, wide = "fijlrt.,:;'|!()[]{}I -/", "mwMW@%"
    return size * sum(0.36 if c in narrow else 0.9 if c in wide else 0.6 for c in line)
