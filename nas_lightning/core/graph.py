"""How a search space describes a genotype to be drawn: plain data."""

from dataclasses import dataclass

__all__ = ["Edge", "Graph"]


@dataclass(frozen=True)
class Edge:
    """One directed edge of a graph: `source` and `target` are names of nodes.

    `label` is the operation on the edge; "" where there is none, e.g. for a concatenation.
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
        edges: in any order; several may join the same two nodes.
    """

    title: str
    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]
