"""First step of a drawing: nodes, labels and bends of edges on rows from the top to the bottom.

Source of the layered method: Sugiyama, Tagawa and Toda, 1981, "Methods for visual understanding
of hierarchical system structures". Different here: a label is an item of its own row, so that
nothing can be drawn over it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from nas_lightning.core.graph import Edge, Graph
from nas_lightning.reports.svg import text_width

__all__ = [
    "LABEL_SIZE",
    "NODE_SIZE",
    "Item",
    "Lattice",
    "Link",
    "build_lattice",
    "inputs_of",
    "shown",
]

NODE_SIZE = 13.0
LABEL_SIZE = 11.0
_PORT = 10.0
_MAX_LABELS = 4


@dataclass(frozen=True)
class Item:
    """Something that takes room on a row.

    Attributes:
        kind: "node", "label" or "bend".
        name: name of the node, text of the label, "" for a bend.
        row: 0 at the top.
        width: in pixels.
    """

    kind: str
    name: str
    row: int
    width: float


@dataclass(frozen=True)
class Link:
    """A piece of an edge between two items of neighbouring rows; all three are indices."""

    edge: int
    upper: int
    lower: int


@dataclass(frozen=True)
class Lattice:
    """A graph on rows.

    Attributes:
        items: everything that takes room.
        rows: for each row its items' indices, from the left to the right.
        chains: for each edge of the graph its links, from the source to the target.
    """

    items: tuple[Item, ...]
    rows: tuple[tuple[int, ...], ...]
    chains: tuple[tuple[Link, ...], ...]

    @property
    def links(self) -> tuple[Link, ...]:
        """All links, edge by edge."""
        return tuple(link for chain in self.chains for link in chain)


def build_lattice(graph: Graph) -> Lattice:
    """Returns the rows of a graph, ordered as its nodes and edges are.

    Labels have rows of their own; a label stands right above the node it feeds.

    Raises:
        ValueError: a node is named twice, or an edge does not lead from an earlier node of
            `graph.nodes` to a later one.
    """
    _check(graph)
    ranks = _ranks(graph)
    labelled = {2 * ranks[edge.target] - 1 for edge in graph.edges if edge.label}
    levels = sorted(labelled | {2 * rank for rank in ranks.values()})
    rows_of = {level: row for row, level in enumerate(levels)}
    items = [
        Item("node", name, rows_of[2 * ranks[name]], _node_width(graph.edges, name))
        for name in graph.nodes
    ]
    index = {name: position for position, name in enumerate(graph.nodes)}
    chains = []
    for number, edge in enumerate(graph.edges):
        first, last = index[edge.source], index[edge.target]
        between = range(items[first].row + 1, items[last].row)
        stops = [first, *range(len(items), len(items) + len(between)), last]
        items += [Item("bend", "", row, 0.0) for row in between]
        if edge.label:
            width = text_width(edge.label, LABEL_SIZE) + 8
            items[-1] = Item("label", edge.label, between[-1], width)
        chains.append(tuple(Link(number, *pair) for pair in pairwise(stops)))
    rows: list[list[int]] = [[] for _ in levels]
    for position, item in enumerate(items):
        rows[item.row].append(position)
    return Lattice(tuple(items), tuple(tuple(row) for row in rows), tuple(chains))


def inputs_of(graph: Graph) -> tuple[str, ...]:
    """Returns the inputs of a graph: its first nodes, as far as no edge feeds them."""
    fed = {edge.target for edge in graph.edges}
    unfed = takewhile(lambda name: name not in fed, graph.nodes[:-1])
    return tuple(unfed)


def shown(name: str) -> tuple[str, str]:
    """Returns a node's name and its subscript, "" if it has none.

    >>> shown("c_{k-2}"), shown("3")
    (('c', 'k-2'), ('3', ''))
    """
    stem, mark, rest = name.partition("_{")
    return (stem, rest[:-1]) if mark and rest.endswith("}") else (name, "")


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


def _ranks(graph: Graph) -> dict[str, int]:
    *earlier, output = graph.nodes or ("",)
    inputs = inputs_of(graph)
    ranks: dict[str, int] = {}
    loads: dict[int, int] = {}
    for name in earlier:
        if name in inputs:
            ranks[name] = 0
            continue
        into = [edge for edge in graph.edges if edge.target == name]
        load = max(1, sum(bool(edge.label) for edge in into))
        rank = max((ranks[edge.source] for edge in into), default=0) + 1
        while loads.get(rank, 0) and loads[rank] + load > _MAX_LABELS:
            rank += 1
        loads[rank] = loads.get(rank, 0) + load
        ranks[name] = rank
    ranks[output] = max(ranks.values(), default=-1) + 1
    return ranks


def _node_width(edges: Sequence[Edge], name: str) -> float:
    stem, below = shown(name)
    text = text_width(stem, NODE_SIZE) + text_width(below, 0.75 * NODE_SIZE) + 16
    degree = max(
        sum(edge.source == name for edge in edges), sum(edge.target == name for edge in edges)
    )
    return max(34.0, text, min(160.0, _PORT * (degree - 1) + 20))
