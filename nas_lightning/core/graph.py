"""How a search space describes a genotype to whoever draws it: plain data."""

from dataclasses import dataclass

__all__ = ["Edge", "Graph"]


@dataclass(frozen=True)
class Edge:
    """One directed edge of a drawn graph.

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
    """One directed acyclic graph to draw, e.g. a cell of a genotype.

    Attributes:
        title: what the graph is, e.g. "normal cell".
        nodes: names in topological order; the first ones are inputs, the last is the output.
        edges: the edges in any order; several may join the same two nodes.
    """

    title: str
    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]
