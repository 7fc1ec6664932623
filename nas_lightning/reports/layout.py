"""Third step of a drawing: where the items of the rows stand, and how the edges run.

Edges are vertical where they pass a row and bend between rows only; items of a row keep their
distance. So no edge meets a box but its own ends, and no label is covered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf

from nas_lightning.core.graph import Edge, Graph
from nas_lightning.reports.lattice import Item, Lattice, Link, build_lattice
from nas_lightning.reports.ordering import Rows, orders

__all__ = ["Box", "Layout", "Route", "lay_out"]

_HEIGHTS = {"node": 28.0, "label": 21.0, "bend": 0.0}
_DISTANCE = {"node": 22.0, "label": 9.0, "bend": 11.0}
_PORT = 10.0
_CANDIDATES = 8
_ROUNDS = 8
_SNAP = 16.0


@dataclass(frozen=True)
class Box:
    """A node or a label: its item, its centre and its size in pixels."""

    item: Item
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Route:
    """The way of one edge: vertical passages (x, top, bottom), joined by curves."""

    edge: Edge
    passages: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Layout:
    """A graph in the plane, its upper left corner at (0, 0), in pixels."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    routes: tuple[Route, ...]


def lay_out(graph: Graph) -> Layout:
    """Returns where to draw a graph; the same graph always gives the same layout.

    Raises:
        ValueError: as of `build_lattice`.
    """
    lattice = build_lattice(graph)
    best = min(
        (_Placement(lattice, rows, 24) for rows in orders(lattice)[:_CANDIDATES]),
        key=lambda placement: placement.tension(),
    )
    for _ in range(_ROUNDS):
        best.relax(12)
        best.straighten()
    return best.layout(graph)


class _Placement:
    def __init__(self, lattice: Lattice, rows: Rows, sweeps: int) -> None:
        self.lattice = lattice
        self.rows = rows
        self.x = [0.0] * len(lattice.items)
        self.ports = _ports(lattice, rows)
        self.pulls: list[list[tuple[int, float, float]]] = [[] for _ in lattice.items]
        for link in lattice.links:
            leave, enter = self.ports[link]
            weight = _weight(lattice.items[link.upper], lattice.items[link.lower])
            self.pulls[link.lower].append((link.upper, leave - enter, weight))
            self.pulls[link.upper].append((link.lower, enter - leave, weight))
        for row in rows:
            self._settle(row, [float(position) for position in range(len(row))], [1.0] * len(row))
        self.relax(sweeps)

    def relax(self, sweeps: int) -> None:
        for sweep in range(sweeps):
            for row in self.rows if sweep % 2 == 0 else self.rows[::-1]:
                wanted, weights = [], []
                for item in row:
                    pulls = self.pulls[item] or [(item, 0.0, 1.0)]
                    weight = sum(pull[2] for pull in pulls)
                    total = sum((self.x[other] + shift) * w for other, shift, w in pulls)
                    wanted.append(total / weight)
                    weights.append(weight)
                self._settle(row, wanted, weights)

    def straighten(self) -> None:
        room = {}
        for row in self.rows:
            for left, item, right in zip((None, *row), row, (*row[1:], None), strict=False):
                room[item] = (left, right)
        for chain in self.lattice.chains:
            start, end = self._at(chain[0])[0], self._at(chain[-1])[1]
            run: list[int] = []
            limits = (-inf, inf)
            for item in [link.lower for link in chain[:-1]]:
                low, high = self._room(item, *room[item])
                if max(low, limits[0]) > min(high, limits[1]):
                    self._align(run, limits, (start, end))
                    run, limits = [], (-inf, inf)
                run.append(item)
                limits = (max(low, limits[0]), min(high, limits[1]))
            self._align(run, limits, (start, end))

    def tension(self) -> float:
        links = self.lattice.links
        return sum(abs(self._at(link)[0] - self._at(link)[1]) for link in links)

    def layout(self, graph: Graph) -> Layout:
        items = self.lattice.items
        left = min((x - item.width / 2 for x, item in zip(self.x, items, strict=True)), default=0)
        self.x = [round(x - left, 1) for x in self.x]
        right = max((x + item.width / 2 for x, item in zip(self.x, items, strict=True)), default=0)
        bands = self._bands()
        boxes = []
        for x, item in zip(self.x, items, strict=True):
            top, bottom = bands[item.row]
            if item.kind != "bend":
                height = _HEIGHTS[item.kind]
                boxes.append(Box(item, x, (top + bottom) / 2, item.width, height))
        routes = tuple(
            Route(edge, self._passages(chain, bands))
            for edge, chain in zip(graph.edges, self.lattice.chains, strict=True)
        )
        return Layout(right, bands[-1][1] if bands else 0.0, tuple(boxes), routes)

    def _settle(self, row: Sequence[int], wanted: list[float], weights: list[float]) -> None:
        items = [self.lattice.items[index] for index in row]
        steps = map(_apart, items, items[1:])
        offsets = [*accumulate(steps, initial=0.0)][: len(items)]
        free = [want - offset for want, offset in zip(wanted, offsets, strict=True)]
        for index, x, offset in zip(row, _isotonic(free, weights), offsets, strict=True):
            self.x[index] = x + offset

    def _room(self, item: int, left: int | None, right: int | None) -> tuple[float, float]:
        items = self.lattice.items
        low = -inf if left is None else self.x[left] + _apart(items[left], items[item])
        high = inf if right is None else self.x[right] - _apart(items[item], items[right])
        return low, max(low, high)

    def _align(
        self, run: Sequence[int], limits: tuple[float, float], ends: tuple[float, float]
    ) -> None:
        if run:
            middle = sum(self.x[item] for item in run) / len(run)
            near = min(ends, key=lambda end: abs(end - middle))
            wanted = near if abs(near - middle) < _SNAP else middle
            for item in run:
                self.x[item] = min(max(wanted, limits[0]), limits[1])

    def _at(self, link: Link) -> tuple[float, float]:
        leave, enter = self.ports[link]
        return self.x[link.upper] + leave, self.x[link.lower] + enter

    def _bands(self) -> list[tuple[float, float]]:
        reach = [0.0] * len(self.rows)
        for link in self.lattice.links:
            start, end = self._at(link)
            above = self.lattice.items[link.upper].row
            reach[above] = max(reach[above], abs(end - start))
        bands = []
        top = 0.0
        for row, widest in zip(self.rows, reach, strict=True):
            height = max((_HEIGHTS[self.lattice.items[item].kind] for item in row), default=0.0)
            bands.append((top, top + height))
            top = round(top + height + 14 + min(34, 0.16 * widest), 1)
        return bands

    def _passages(
        self, chain: Sequence[Link], bands: Sequence[tuple[float, float]]
    ) -> tuple[tuple[float, float, float], ...]:
        items = self.lattice.items
        first, last = chain[0], chain[-1]
        start = bands[items[first.upper].row][1]
        end = bands[items[last.lower].row][0]
        middle = ((self.x[link.lower], *bands[items[link.lower].row]) for link in chain[:-1])
        return ((self._at(first)[0], start, start), *middle, (self._at(last)[1], end, end))


def _ports(lattice: Lattice, rows: Rows) -> dict[Link, tuple[float, float]]:
    place = {item: position for row in rows for position, item in enumerate(row)}
    leaving: dict[int, list[Link]] = {}
    entering: dict[int, list[Link]] = {}
    for link in lattice.links:
        leaving.setdefault(link.upper, []).append(link)
        entering.setdefault(link.lower, []).append(link)
    leave: dict[Link, float] = {}
    enter: dict[Link, float] = {}
    for index, links in leaving.items():
        links.sort(key=lambda link: place[link.lower])
        leave.update(zip(links, _spread(len(links), lattice.items[index]), strict=True))
    for index, links in entering.items():
        links.sort(key=lambda link: place[link.upper])
        enter.update(zip(links, _spread(len(links), lattice.items[index]), strict=True))
    return {link: (leave[link], enter[link]) for link in lattice.links}


def _spread(count: int, item: Item) -> list[float]:
    step = min(_PORT, (item.width - 16) / max(1, count - 1))
    return [(position - (count - 1) / 2) * step for position in range(count)]


def _apart(left: Item, right: Item) -> float:
    between = max(_DISTANCE[left.kind], _DISTANCE[right.kind])
    return (left.width + right.width) / 2 + between


def _weight(upper: Item, lower: Item) -> float:
    return {0: 1.0, 1: 2.0, 2: 8.0}[(upper.kind != "node") + (lower.kind != "node")]


def _isotonic(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Returns the nearest non-decreasing values, by pooling adjacent violators."""
    pools: list[list[float]] = []
    for value, weight in zip(values, weights, strict=True):
        pools.append([value, weight, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            last, before = pools.pop(), pools[-1]
            total = before[1] + last[1]
            before[0] = (before[0] * before[1] + last[0] * last[1]) / total
            before[1:] = [total, before[2] + last[2]]
    return [value for value, _, size in pools for _ in range(int(size))]
