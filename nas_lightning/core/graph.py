"""How a search space describes a genotype to be drawn: plain data."""

from dataclasses import dataclass

__all__ = ["Edge", "Graph"]


@dataclass(frozen=True)
class Edge:
    """One directed edge of a graph.

    Attributes:
        source: name of the node that is read.
        target: name of the node that is fed.
        label: the operation on the edge; "" where there is none, e.g. for a concatenation.
    """

    source: str
    target: str
    label: str


@dataclass(frozen=True)
class Graph:
    """One directed acyclic graph, e.g. a cell of a genotype.

    Attributes:
        title: what the graph is, e.g. "normal cell".
        nodes: names in topological order; the inputs come first, the output last.
        edges: edges in any order; several may join the same two nodes.
    """

    title: str
    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]
