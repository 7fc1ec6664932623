"""The cell space of DARTS.

Source: Liu, Simonyan & Yang, DARTS, 2019 (arXiv:1806.09055), sections 2.1 and 3.1, and the
official code. A cell has two inputs and a few nodes; every pair of states is an edge that mixes
eight operations; a genotype keeps two edges per node. All normal cells share one set of weights,
all reduction cells another. The search network has 1,930,618 params at 16 channels and 8 cells.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, product
from math import inf

from nas_lightning.core.checks import at_least, in_range, one_of
from nas_lightning.core.choices import Branch, Choice, Mixture
from nas_lightning.core.decisions import Decision
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Edge, Graph
from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import Cell, branch_weights
from nas_lightning.networks.cell_network import CellNetwork, cell_kinds
from nas_lightning.networks.operations import OPERATIONS, Operation
from nas_lightning.search_spaces.notation import CellText, read_darts_text, write_darts_text
from nas_lightning.search_spaces.wired_space import (
    KINDS,
    NUM_INPUTS,
    Chosen,
    WiredSpace,
    build_cell,
    check_names,
    drawn,
    listed,
    stride_of,
)

__all__ = ["DARTS_OPS", "DartsSpace"]

CONVOLUTIONS = ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
DARTS_OPS = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", *CONVOLUTIONS)
EDGES_PER_NODE = 2


class DartsSpace(WiredSpace):
    """DARTS's cells: `nodes` nodes with two incoming edges each, one operation per edge.

    Args:
        nodes: intermediate nodes of a cell, at least 1; the paper has 4.
        ops: operations of every edge, "none" among them where an edge may carry nothing.
        edge_ops: operations of single edges in place of `ops`, by the edge's name, e.g.
            {"normal/edge_0_2": ["skip_connect", "sep_conv_3x3"]}; `ops` must be empty where it
            names all edges.
        min_edges: least number of edges into a node of a genotype, 0 to 2; the paper has 2.
        scale: size at which the space is searched; the paper has 16 channels and 8 cells.

    Raises: ValueError: a value is out of range, or an operation is unknown.

    >>> space = DartsSpace(nodes=1)
    >>> space.count()
    2401
    >>> genotype = space.sample(0)
    >>> genotype.mapping["normal/edge_0_2"], genotype.mapping["normal/edge_1_2"]
    ('dil_conv_5x5', 'sep_conv_3x3')
    """

    has_partial_channels = has_edges = has_cells = True
    published = Scale(36, 20, flavour="child", input_shape=(3, 32, 32), num_outputs=10)

    def __init__(
        self,
        nodes: int = 4,
        ops: Sequence[str] = DARTS_OPS,
        edge_ops: dict[str, list[str]] | None = None,
        min_edges: int = 2,
        scale: Scale = Scale(channels=8, cells=4),
    ) -> None:
        at_least("search_space.nodes", nodes, 1, use=4)
        in_range("search_space.min_edges", min_edges, "[0, 2]", use=2)
        self.nodes, self.min_edges, self.ops = nodes, min_edges, tuple(ops)
        self._nodes = range(NUM_INPUTS, NUM_INPUTS + nodes)
        self._edges = [(source, node) for node in self._nodes for source in range(node)]
        places = [(kind, *edge) for kind, edge in product(KINDS, self._edges)]
        groups = {_edge(*place): f"{place[0]}/node_{place[-1]}" for place in places}
        self._ops = _ops_of_edges(list(groups), ops, edge_ops or {})
        choices = [Choice(edge, self._ops[edge], "op", group) for edge, group in groups.items()]
        decisions = [d for place in product(KINDS, self._nodes) for d in self._decide(*place)]
        super().__init__("darts", scale, choices, decisions)

    def network(self, chosen: Chosen, scale: Scale) -> CellNetwork:
        """Stacks cells that mix operations on every edge, or have a genotype's edges."""
        branches = {kind: self.running(self._cell(kind, scale), chosen) for kind in KINDS}

        def make(kind: str, channels: int, preprocess: Sequence[Operation], norm: Norm) -> Cell:
            table, stride, partial = branches[kind], stride_of(kind, 0), scale.partial
            return build_cell(table, preprocess, self._nodes, channels, stride, partial, norm)

        return CellNetwork(make, branches, scale)

    def cell_rows(self, scale: Scale) -> tuple[tuple[int, ...], ...]:
        """Returns by cell the rows of its kind's choices."""
        return tuple(self.rows_of(kind) for kind in cell_kinds(scale.cells))

    def discretize(self, scores: Mixture) -> Genotype:
        """Keeps for each node the two edges whose best operation scores highest.

        "none" takes part in the softmax, but is neither ranked nor chosen. Ties go to the lower
        input and the earlier operation (section 2.4 and official code). Options outside the support
        are not chosen while another is left; `min_edges` may let an edge without any be left out.
        """
        rows = zip(self.choices, scores.weights.tolist(), scores.support, strict=True)
        best = {choice.name: _best(choice.options, row, support) for choice, row, support in rows}
        chosen: dict[str, str] = {}
        for kind, node in product(KINDS, self._nodes):
            edges = {source: best[_edge(kind, source, node)] for source in range(node)}
            ranked = sorted(edges, key=lambda source: -edges[source][0])
            running = sum(score > -inf for score, _ in edges.values())
            kept = sorted(ranked[: max(self.min_edges, min(EDGES_PER_NODE, running))])
            chosen[_inputs(kind, node)] = _subset(kept)
            chosen |= {_edge(kind, source, node): edges[source][1] for source in kept}
        return self.genotype(chosen)

    def validate(self, genotype: Genotype) -> Genotype:
        """Returns the genotype if it is one of this space.

        Raises: ValueError: it is not, or a node has fewer edges than `min_edges`.
        """
        for kind, node in product(KINDS, self._nodes) if genotype.space == self.name else ():
            inputs = genotype.mapping.get(_inputs(kind, node), "")
            fewer = (s for n in range(self.min_edges) for s in combinations(range(node), n))
            if inputs in [_subset(subset) for subset in fewer]:
                raise ValueError(
                    f"node {node} of the {kind} cell reads {inputs}, which is less than "
                    f"search_space.min_edges ({self.min_edges}); set search_space.min_edges=0"
                )
        return super().validate(genotype)

    def graphs(self, genotype: Genotype) -> tuple[Graph, ...]:
        """Returns both cells; a node's name is the number of its state (0 and 1 are inputs).

        A node that nothing enters is named as 0, e.g. "3 = 0".
        """
        return tuple(self._graph(kind, self._chosen(kind, genotype)) for kind in KINDS)

    def read_text(self, text: str) -> Genotype:
        """Reads `Genotype(normal=[...], normal_concat=..., reduce=[...], reduce_concat=...)`.

        Edges are pairs (operation, input), two per node, or name their node: (operation, node,
        input), as where nodes have fewer.

        Raises: ValueError: the text is no such genotype, or not one of this space.
        """
        cells = read_darts_text(text).items()
        normal, reduction = (self._read_cell(kind, cell) for kind, cell in cells)
        self.validate(Genotype.of(self.name, normal | reduction))
        return self.genotype(normal | reduction)

    def write_text(self, genotype: Genotype, scores: Mixture | None = None) -> str:
        """Returns the text that `read_text` reads.

        The official code writes the stronger edge of a node first. Only scores tell which one
        that is (see `discretize`); without them the edge of the lower input comes first.
        """
        cells, wanted = {}, EDGES_PER_NODE * self.nodes
        chosen = {kind: self._chosen(kind, genotype) for kind in KINDS}
        are_full = all(len(branches) == wanted for branches in chosen.values())
        for kind, branches in chosen.items():
            if scores is not None:
                strength = branch_weights(list(self._cell(kind, Scale())), scores.detach())
                branches.sort(key=lambda b: (b.target, -float(strength.get(b.key, -inf))))
            edges = tuple((branch.op, branch.source) for branch in branches)
            targets = () if are_full else tuple(branch.target for branch in branches)
            cells[kind] = CellText(edges, tuple(self._nodes), targets)
        return write_darts_text(cells)

    def _graph(self, kind: str, branches: Sequence[Branch]) -> Graph:
        entered = {branch.target for branch in branches}
        nodes = [str(node) if node in entered else f"{node} = 0" for node in self._nodes]
        names = ("c_{k-2}", "c_{k-1}", *nodes, "c_{k}")
        ends = [Edge(node, names[-1], "") for node in nodes]
        return Graph(f"{kind} cell", names, (*drawn(branches, names), *ends))

    def _read_cell(self, kind: str, cell: CellText) -> dict[str, str]:
        if sorted(cell.concat) != list(self._nodes):
            states = f"states {list(self._nodes)}, the text's {kind} cell {list(cell.concat)}"
            raise ValueError(f"this space concatenates {states}")
        chosen: dict[str, str] = {}
        is_named = cell.targets or (self.min_edges == 0 and not cell.edges)
        nodes = (
            cell.nodes_by_name(kind, self._nodes)
            if is_named
            else cell.nodes(kind, "nodes", self.nodes)
        )
        for node, edges in zip(self._nodes, nodes, strict=True):
            sources = [source for source, _ in edges]
            are_different = len(set(sources)) == len(sources) <= EDGES_PER_NODE
            if not are_different or not set(sources) <= set(range(node)):
                most = "at most " if is_named else ""
                number = f"{most}{EDGES_PER_NODE}"
                rule = f"must read {number} different states below {node}, got {sources}"
                raise ValueError(f"node {node} of the {kind} cell {rule}")
            chosen[_inputs(kind, node)] = _subset(sorted(sources))
            chosen |= {_edge(kind, source, node): op for source, op in edges}
        return chosen

    def _chosen(self, kind: str, genotype: Genotype) -> list[Branch]:
        return self.running(self._cell(kind, Scale()), self.validate(genotype).mapping)

    def _cell(self, kind: str, scale: Scale) -> Iterator[Branch]:
        for source, node in self._edges:
            name, stride = _edge(kind, source, node), stride_of(kind, source)
            yield from self.edge(name, source, node, scale, stride)

    def _decide(self, kind: str, node: int) -> Iterator[Decision]:
        """Yields which edges enter a node, then the operation of each that does."""
        sizes = range(self.min_edges, EDGES_PER_NODE + 1)
        subsets = [subset for size in sizes for subset in combinations(range(node), size)]
        yield Decision(_inputs(kind, node), tuple(map(_subset, subsets)), "input")
        for source in range(node):
            edge = _edge(kind, source, node)
            kept = tuple(_subset(subset) for subset in subsets if source in subset)
            yield Decision(edge, _real(self._ops[edge]), "op", ((_inputs(kind, node), kept),))


def _ops_of_edges(
    edges: Sequence[str], ops: Sequence[str], edge_ops: dict[str, list[str]]
) -> dict[str, tuple[str, ...]]:
    for edge in edge_ops:
        one_of("search_space.edge_ops", edge, edges)
    if ops and not set(edges) - edge_ops.keys():
        rule = "have no effect, since edge_ops names every edge; give ops=[]"
        raise ValueError(f"search_space.ops ({listed(ops)}) {rule}")
    for edge in edges:
        key = f"search_space.edge_ops[{edge}]" if edge in edge_ops else "search_space.ops"
        names = edge_ops.get(edge, ops)
        check_names(key, names, ("none", *OPERATIONS))
        if not _real(names):
            rule = "must hold an operation; add e.g. skip_connect"
            raise ValueError(f"{key} ({listed(names)}) {rule}")
    return {edge: tuple(edge_ops.get(edge, ops)) for edge in edges}


def _real(ops: Sequence[str]) -> tuple[str, ...]:
    return tuple(op for op in ops if op != "none")


def _best(ops: Sequence[str], row: Sequence[float], support: Sequence[int]) -> tuple[float, str]:
    allowed = [index for index in support if ops[index] != "none"]
    if not allowed:
        return -inf, _real(ops)[0]
    best = max(sorted(allowed), key=row.__getitem__)
    return row[best], ops[best]


def _edge(kind: str, source: int, node: int) -> str:
    return f"{kind}/edge_{source}_{node}"


def _inputs(kind: str, node: int) -> str:
    return f"{kind}/node_{node}/inputs"


def _subset(sources: Sequence[int]) -> str:
    return "+".join(map(str, sources)) or "nothing"
