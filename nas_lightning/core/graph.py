"""How a search space describes a genotype to be drawn: plain data."""

from dataclasses import dataclass

__all__ = ["Edge", "Graph"]


@dataclass(frozen=True)
class Edge:
    """One directed edge of a graph, from a node of one name to another."""

    source: str
    target: str
    label: str  # the operation; "" where there is none, e.g. for a concatenation


@dataclass(frozen=True)
class Graph:
    """One directed acyclic graph, e.g. a cell of a genotype."""

    title: str  # e.g. "normal cell"
    nodes: tuple[str, ...]  # names in topological order; the inputs come first, the output last
    edges: tuple[Edge, ...]  # in any order; several may join the same two nodes
