"""The cell space of DARTS.

Source: Liu, Simonyan & Yang, DARTS, 2019 (arXiv:1806.09055), sections 2.1 and 3.1, and the
official code. A cell has two inputs and a few nodes; every pair of states is an edge that mixes
eight operations; a genotype keeps two edges a node. All normal cells share one set of weights,
all reduction cells another.
"""

from collections.abc import Sequence
from itertools import combinations

from torch import Tensor

from nas_lightning.core.choices import Branch, Choice, Factor, Mixture
from nas_lightning.core.decisions import Decision
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Edge, Graph
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import Cell
from nas_lightning.networks.cell_network import CellNetwork, MakeCell
from nas_lightning.networks.operations import OPERATIONS, Operation, build_operation
from nas_lightning.networks.partial import BYPASS, Bypass, partial_channels
from nas_lightning.search_spaces.notation import (
    CellText,
    inputs_of_nodes,
    read_darts_text,
    write_darts_text,
)

__all__ = ["DARTS_OPS", "DartsSpace"]

DARTS_OPS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
KINDS = {"normal": "normal", "reduction": "reduce"}
NUM_INPUTS, EDGES_PER_NODE = 2, 2


class DartsSpace(SearchSpace):
    """DARTS's cells: `nodes` nodes with two incoming edges each, one operation an edge.

    Args:
        nodes: intermediate nodes of a cell, at least 1; the paper has 4.
        ops: operations of every edge, "none" among them where an edge may carry nothing.
        edge_ops: operations of single edges in place of `ops`, by the edge's name, e.g.
            {"normal/edge_0_2": ["skip_connect", "sep_conv_3x3"]}; where it names them all, `ops`
            must be empty.
        min_edges: least number of edges that enter a node of a genotype, 0 to 2; the paper's
            genotypes have 2.
        scale: size at which the space is searched; the paper has 16 channels and 8 cells.

    Raises:
        ValueError: a value is out of its range, or an operation is unknown.
    """

    has_partial_channels = has_edges = has_cells = True

    def __init__(
        self,
        nodes: int = 4,
        ops: Sequence[str] = DARTS_OPS,
        edge_ops: dict[str, list[str]] | None = None,
        min_edges: int = 2,
        scale: Scale = Scale(channels=8, cells=4),
    ) -> None:
        if nodes < 1:
            raise ValueError(f"nodes ({nodes}) must be at least 1; the paper has 4")
        if not 0 <= min_edges <= EDGES_PER_NODE:
            raise ValueError(f"min_edges ({min_edges}) must be 0, 1 or 2; the paper has 2")
        self.nodes, self.min_edges, self.ops = nodes, min_edges, tuple(ops)
        self._states = tuple(range(NUM_INPUTS, NUM_INPUTS + nodes))
        self._edges = [(source, target) for target in self._states for source in range(target)]
        self._ops = _ops_of_edges([_edge(k, *e) for k in KINDS for e in self._edges], ops, edge_ops)
        self._real_ops = {
            edge: tuple(op for op in ops if op != "none") for edge, ops in self._ops.items()
        }
        choices = [
            Choice(_edge(kind, *edge), self._ops[_edge(kind, *edge)], "op", _node(kind, edge[1]))
            for kind in KINDS
            for edge in self._edges
        ]
        decisions = [
            decision
            for kind in KINDS
            for node in self._states
            for decision in self._decisions(kind, node)
        ]
        super().__init__("darts", scale, choices, decisions)
        self._index = {choice.name: index for index, choice in enumerate(self.choices)}

    def supernet(self, scale: Scale) -> CellNetwork:
        """Builds the search network; at 16 channels, 8 cells: 1,930,618 params."""
        tables = {
            kind: self._branches(kind, self._real_ops) + self._bypasses(kind, scale, None)
            for kind in KINDS
        }
        return CellNetwork(self._cell_maker(tables, scale.partial), tables, scale)

    def child(self, genotype: Genotype, scale: Scale) -> CellNetwork:
        """Builds the evaluation network of a genotype (with scale.flavour "child")."""
        chosen = self._chosen_ops(self.validate(genotype))
        tables = {
            kind: self._branches(kind, chosen) + self._bypasses(kind, scale, chosen)
            for kind in KINDS
        }
        return CellNetwork(self._cell_maker(tables, scale.partial), {}, scale)

    def discretize(self, scores: Mixture) -> Genotype:
        """Keeps for each node the two edges whose best operation scores highest.

        "none" is neither ranked nor chosen, though it takes part in a softmax before. Ties go
        to the lower input and the earlier operation (DARTS, section 2.4 and official code).
        An edge without an operation in the support is left out where `min_edges` allows it.

        Args:
            scores: weights (choices, options), higher is better; options outside the support
                are not chosen while another is left.
        """
        table = scores.weights.detach().double().cpu()
        chosen: dict[str, str] = {}
        for kind in KINDS:
            for node in self._states:
                edges = [_edge(kind, source, node) for source in range(node)]
                best = [self._best(table, scores.support, edge) for edge in edges]
                ranked = sorted(range(node), key=lambda source: (-best[source][0], source))
                running = sum(score > float("-inf") for score, _ in best)
                kept = sorted(ranked[: max(self.min_edges, min(EDGES_PER_NODE, running))])
                chosen[_inputs(kind, node)] = _subset(kept)
                chosen |= {edges[source]: best[source][1] for source in kept}
        return self.genotype(chosen)

    def graphs(self, genotype: Genotype) -> tuple[Graph, ...]:
        """Returns both cells; nodes bear their states' numbers, of which 0 and 1 are inputs."""
        chosen = self._chosen_ops(self.validate(genotype))
        names = ("c_{k-2}", "c_{k-1}", *map(str, self._states), "c_{k}")
        return tuple(
            Graph(
                f"{kind} cell",
                names,
                tuple(
                    Edge(names[b.source], names[b.target], b.op)
                    for b in self._branches(kind, chosen)
                )
                + tuple(Edge(node, names[-1], "") for node in names[NUM_INPUTS:-1]),
            )
            for kind in KINDS
        )

    def read_text(self, text: str) -> Genotype:
        """Reads `Genotype(normal=[...], normal_concat=..., reduce=[...], reduce_concat=...)`.

        Raises:
            ValueError: the text is no such genotype, or not one of this space.
        """
        cells, chosen = read_darts_text(text), dict[str, str]()
        for kind, field in KINDS.items():
            nodes = inputs_of_nodes(cells[field], kind, self._states, EDGES_PER_NODE)
            for node, inputs in nodes.items():
                chosen[_inputs(kind, node)] = _subset(sorted(inputs))
                chosen |= {_edge(kind, source, node): op for source, op in inputs.items()}
        return self.genotype(chosen)

    def write_text(self, genotype: Genotype) -> str | None:
        """Returns the text that `read_text` reads; None where a node has fewer than two edges."""
        chosen = self._chosen_ops(self.validate(genotype))
        if len(chosen) < len(KINDS) * EDGES_PER_NODE * self.nodes:
            return None
        cells = {}
        for kind, field in KINDS.items():
            pairs = tuple((branch.op, branch.source) for branch in self._branches(kind, chosen))
            cells[field] = CellText(pairs, self._states)
        return write_darts_text(cells)

    def published_scale(self) -> Scale:
        """Returns the scale of DARTS's CIFAR-10 children: 36 channels, 20 cells."""
        return Scale(36, 20, flavour="child", input_shape=(3, 32, 32), num_outputs=10)

    def _decisions(self, kind: str, node: int) -> list[Decision]:
        subsets = [
            subset
            for size in range(self.min_edges, EDGES_PER_NODE + 1)
            for subset in combinations(range(node), size)
        ]
        inputs = Decision(_inputs(kind, node), tuple(map(_subset, subsets)), "input")
        return [inputs] + [
            Decision(
                _edge(kind, source, node),
                self._real_ops[_edge(kind, source, node)],
                "op",
                given=((inputs.name, tuple(_subset(s) for s in subsets if source in s)),),
            )
            for source in range(node)
        ]

    def _chosen_ops(self, genotype: Genotype) -> dict[str, tuple[str, ...]]:
        return {n: (op,) for n, op in genotype.choices if n in self._index}

    def _branches(self, kind: str, ops: dict[str, tuple[str, ...]]) -> tuple[Branch, ...]:
        return tuple(
            Branch(
                source,
                target,
                op,
                (self._factor(_edge(kind, source, target), op),),
                stride=_stride(kind, source),
            )
            for source, target in self._edges
            for op in ops.get(_edge(kind, source, target), ())
        )

    def _bypasses(
        self, kind: str, scale: Scale, chosen: dict[str, tuple[str, ...]] | None
    ) -> tuple[Branch, ...]:
        """Returns the ways around partial channels, each weighted by the sum of its edge's row."""
        edges = [(s, t) for s, t in self._edges if chosen is None or _edge(kind, s, t) in chosen]
        return tuple(
            Branch(s, t, BYPASS, (self._factor(_edge(kind, s, t)),), _stride(kind, s))
            for s, t in edges
            if scale.partial > 1
        )

    def _factor(self, choice: str, op: str | None = None) -> Factor:
        """Returns the weight of one operation of an edge, or of all of them together."""
        options = self._ops[choice]
        return Factor.taking(self._index[choice], options, *([op] if op else options))

    def _cell_maker(self, tables: dict[str, tuple[Branch, ...]], partial: int) -> MakeCell:
        def make(kind: str, channels: int, preprocess: Sequence[Operation], norm: Norm) -> Cell:
            def build(branch: Branch) -> Operation:
                if branch.op == BYPASS:
                    return Bypass(branch.stride)
                read, _ = partial_channels(channels, partial)
                return build_operation(branch.op, read, branch.stride, norm)

            num_states, stride = NUM_INPUTS + self.nodes, _stride(kind, 0)
            return Cell(
                tables[kind], build, preprocess, num_states, self._states, channels, stride, partial
            )

        return make

    def _best(
        self, table: Tensor, support: tuple[tuple[int, ...], ...], edge: str
    ) -> tuple[float, str]:
        row, ops = self._index[edge], self._ops[edge]
        real = [i for i, op in enumerate(ops) if op != "none"]
        allowed = [i for i in real if i in support[row]]
        if not allowed:
            return float("-inf"), ops[real[0]]
        index = max(allowed, key=lambda i: (float(table[row, i]), -i))
        return float(table[row, index]), ops[index]


def _ops_of_edges(
    edges: Sequence[str], ops: Sequence[str], edge_ops: dict[str, list[str]] | None
) -> dict[str, tuple[str, ...]]:
    own = edge_ops or {}
    if unknown := sorted(own.keys() - set(edges)):
        raise ValueError(f"edge_ops names '{unknown[0]}'; choose from: {', '.join(edges)}")
    if ops and not set(edges) - own.keys():
        raise ValueError(
            f"ops ({', '.join(ops)}) have no effect, since edge_ops names every edge; give ops=[]"
        )
    found = {edge: tuple(own.get(edge, ops)) for edge in edges}
    for edge, names in found.items():
        _check_ops(names, f"edge_ops[{edge}]" if edge in own else "ops")
    return found


def _check_ops(ops: Sequence[str], where: str) -> None:
    known = ("none", *OPERATIONS)
    if unknown := [op for op in ops if op not in known]:
        raise ValueError(f"unknown op '{unknown[0]}'; choose from: {', '.join(known)}")
    if len(set(ops)) < len(ops) or set(ops) <= {"none"}:
        raise ValueError(f"{where} ({', '.join(ops)}) must be different and hold one beside none")


def _stride(kind: str, source: int) -> int:
    return 2 if kind == "reduction" and source < NUM_INPUTS else 1


def _edge(kind: str, source: int, target: int) -> str:
    return f"{kind}/edge_{source}_{target}"


def _node(kind: str, node: int) -> str:
    return f"{kind}/node_{node}"


def _inputs(kind: str, node: int) -> str:
    return f"{_node(kind, node)}/inputs"


def _subset(sources: Sequence[int]) -> str:
    return "+".join(map(str, sources)) or "nothing"
