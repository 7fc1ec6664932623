"""Spaces of cells made of blocks: two operations on two earlier states, combined.

Sources: Zoph et al., NASNet, 2018 (arXiv:1707.07012), section 3, and Pham et al., ENAS, 2018
(arXiv:1802.03268), section 2.4. State 0 is the output of the cell before the previous one, 1 the
previous one's, state n >= 2 the block of that number. A block chooses two inputs among all
earlier states, then two operations, then how to combine their outputs; states that nothing
reads, inputs of the cell among them, are concatenated. All normal cells are alike, and all
reduction cells, whose operations on the cell's inputs have stride 2.

Choices come in the order of the papers' controllers: input 1, input 2, operation 1, operation 2,
combination; a branch is weighted by its input's and its operation's product, and has params of
its own, shared by all genotypes. In a genotype the two halves of a block have no order, so that a
network has one id: `inputs` is a pair i+j with i <= j, `op_1` works on i and `op_2` on j, and
where i equals j `ops` is a pair in the order of the list of operations.
"""

from abc import ABC
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations_with_replacement, product

from nas_lightning.core.checks import at_least, one_of
from nas_lightning.core.choices import Branch, Choice, Mixture
from nas_lightning.core.decisions import Decision
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Edge, Graph
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import one_hot
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import Cell
from nas_lightning.networks.cell_network import cell_kinds
from nas_lightning.networks.operations import OPERATIONS, Operation, Skip
from nas_lightning.search_spaces.block_network import BlockNetwork, unread
from nas_lightning.search_spaces.wired_space import (
    KINDS,
    NUM_INPUTS,
    Chosen,
    WiredSpace,
    build_cell,
    check_names,
    stride_of,
)

__all__ = ["BlockSpace", "Half"]

HALVES = (1, 2)
OUTPUTS = ("unread", "blocks")
COMBINE_OPS = {"add": "skip_connect", "concat": "conv_1x1"}

Half = tuple[int, str]  # the state that is read, and the operation


class BlockSpace(WiredSpace, ABC):
    """Cells of `blocks` blocks; NASNet's and ENAS's spaces are such.

    Args:
        name: name that genotypes carry.
        blocks: blocks of a cell, at least 1.
        ops: operations of a block, in their canonical order.
        combines: how a block may combine its halves: "add", "concat" or both. A concatenation is
            brought back to the cell's channels by the sum of one ReLU, 1x1 convolution and
            BatchNorm per half.
        scale: size at which the space is searched.
        output: what a cell concatenates: "unread" states, or all "blocks".

    Raises: ValueError: a value is out of range, or an operation is unknown.
    """

    has_cells = True

    def __init__(
        self,
        name: str,
        blocks: int,
        ops: Sequence[str],
        combines: Sequence[str],
        scale: Scale,
        output: str = "unread",
    ) -> None:
        at_least("search_space.blocks", blocks, 1, use=5)
        check_names("search_space.ops", ops, OPERATIONS)
        check_names("search_space.combines", combines, COMBINE_OPS)
        one_of("search_space.output", output, OUTPUTS)
        self.blocks, self.output = blocks, output
        self.ops, self.combines = tuple(ops), tuple(combines)
        self._numbers = range(NUM_INPUTS, NUM_INPUTS + blocks)
        self._first_end = NUM_INPUTS + 3 * blocks
        places = [(_block(kind, number), number) for kind in KINDS for number in self._numbers]
        choices = [choice for place in places for choice in self._choose(*place)]
        decisions = [decision for place in places for decision in self._decide(*place)]
        super().__init__(name, scale, choices, decisions)
        self._branches = {
            kind: (*self._halves(kind), *self._sums(kind), *self._ends(kind)) for kind in KINDS
        }

    def preprocess(self, channels: int, norm: Norm) -> list[Operation]:
        """Returns what each input, projected to the cell's channels, goes through; a hook."""
        return [Skip(), Skip()]

    def network(self, chosen: Chosen, scale: Scale) -> BlockNetwork:
        """Stacks cells of all blocks, or of a genotype's."""
        branches = {kind: self.running(table, chosen) for kind, table in self._branches.items()}
        ends = {k: [b for b in t if b.target >= self._first_end] for k, t in branches.items()}

        def make(kind: str, channels: int, norm: Norm) -> Cell:
            inputs, stride = self.preprocess(channels, norm), stride_of(kind, 0)
            last = self._first_end + NUM_INPUTS + self.blocks - 1
            return build_cell(branches[kind], inputs, [last], channels, stride, 1, norm)

        return BlockNetwork(make, branches, ends, scale)

    def cell_rows(self, scale: Scale) -> tuple[tuple[int, ...], ...]:
        """Returns by cell the rows of its kind's choices."""
        return tuple(self.rows_of(kind) for kind in cell_kinds(scale.cells))

    def mixture(self, genotype: Genotype) -> Mixture:
        """Returns the one-hot weights with which the supernet is the genotype's child."""
        chosen = dict(self.validate(genotype).mapping)
        for kind in KINDS:
            for number, halves in self.halves(genotype.mapping, kind).items():
                for half, (source, op) in zip(HALVES, halves, strict=True):
                    block = _block(kind, number)
                    chosen |= {f"{block}/input_{half}": str(source), f"{block}/op_{half}": op}
        return one_hot(self.choices, chosen)

    def discretize(self, scores: Mixture) -> Genotype:
        """Returns the genotype of each choice's best option in the support; ties: the earlier."""
        rows = zip(self.choices, scores.weights.tolist(), scores.support, strict=True)
        best = {c.name: c.options[max(allowed, key=row.__getitem__)] for c, row, allowed in rows}
        chosen: dict[str, str] = {}
        for kind in KINDS:
            for number in self._numbers:
                name = _block(kind, number)
                halves = [(int(best[f"{name}/input_{h}"]), best[f"{name}/op_{h}"]) for h in HALVES]
                chosen |= self.block(kind, number, halves, best.get(f"{name}/combine", ""))
        return self.genotype(chosen)

    def block(
        self, kind: str, number: int, halves: Iterable[Half], combine: str = ""
    ) -> dict[str, str]:
        """Returns the choices of one block, its halves brought into their canonical order.

        `number` is its state's, at least 2; `combine` is "" where there is no such decision.

        Raises: ValueError: the space has no such operation, or a state comes no earlier.
        """
        name = _block(kind, number)
        for source, op in (halves := list(halves)):
            if not 0 <= source < number:
                raise ValueError(f"{name} must read states from 0 to {number - 1}, got {source}")
            one_of(f"{name} op", op, self.ops)
        (i, first), (j, second) = sorted(halves, key=lambda h: (h[0], self.ops.index(h[1])))
        ops = {"ops": f"{first}+{second}"} if i == j else {"op_1": first, "op_2": second}
        chosen = {"inputs": f"{i}+{j}", **ops} | ({"combine": combine} if combine else {})
        return {f"{name}/{decision}": option for decision, option in chosen.items()}

    def cell(
        self, kind: str, blocks: Sequence[Sequence[Half]], combine: str = ""
    ) -> dict[str, str]:
        """Returns the choices of one cell by the halves of its blocks (see `block`)."""
        chosen: dict[str, str] = {}
        for number, halves in zip(self._numbers, blocks, strict=True):
            chosen |= self.block(kind, number, halves, combine)
        return chosen

    def halves(self, chosen: Mapping[str, str], kind: str) -> dict[int, tuple[Half, Half]]:
        """Returns both halves of each block of a kind of cell, by the block's number."""
        return {number: _read_halves(chosen, _block(kind, number)) for number in self._numbers}

    def ends(self, chosen: Mapping[str, str], kind: str) -> list[int]:
        """Returns the states that a kind of cell concatenates, in their order."""
        if self.output == "blocks":
            return list(self._numbers)
        read = {source for halves in self.halves(chosen, kind).values() for source, _ in halves}
        return [state for state in range(self._numbers.stop) if state not in read]

    def graphs(self, genotype: Genotype) -> tuple[Graph, ...]:
        """Returns both cells; a block that concatenates has a node for each half."""
        chosen = self.validate(genotype).mapping
        return tuple(self._graph(chosen, kind) for kind in KINDS)

    def _graph(self, chosen: Mapping[str, str], kind: str) -> Graph:
        names = {0: "c_{k-2}", 1: "c_{k-1}"} | {number: str(number) for number in self._numbers}
        nodes, edges = [names[0], names[1]], list[Edge]()
        for number, halves in self.halves(chosen, kind).items():
            targets = [names[number]] * len(HALVES)
            if chosen.get(f"{_block(kind, number)}/combine", self.combines[0]) == "concat":
                targets = [f"{number}a", f"{number}b"]
                nodes += targets
                edges += [Edge(target, names[number], "") for target in targets]
            nodes.append(names[number])
            edges += [Edge(names[s], t, op) for (s, op), t in zip(halves, targets, strict=True)]
        edges += [Edge(names[state], "c_{k}", "") for state in self.ends(chosen, kind)]
        return Graph(f"{kind} cell", (*nodes, "c_{k}"), tuple(edges))

    def _choose(self, block: str, number: int) -> Iterator[Choice]:
        """Yields the choices of a block; each is a group, since none competes with another."""
        for half in HALVES:
            name = f"{block}/input_{half}"
            yield Choice(name, tuple(map(str, range(number))), "input", name)
        for half in HALVES:
            yield Choice(f"{block}/op_{half}", self.ops, "op", f"{block}/op_{half}")
        if len(self.combines) > 1:
            yield Choice(f"{block}/combine", self.combines, "combine", f"{block}/combine")

    def _decide(self, block: str, number: int) -> Iterator[Decision]:
        pairs = tuple(f"{i}+{j}" for i, j in combinations_with_replacement(range(number), 2))
        both = tuple(f"{a}+{b}" for a, b in combinations_with_replacement(self.ops, 2))
        equal = tuple(f"{i}+{i}" for i in range(number))
        apart = tuple(pair for pair in pairs if pair not in equal)
        yield Decision(f"{block}/inputs", pairs, "input")
        yield Decision(f"{block}/op_1", self.ops, "op", ((f"{block}/inputs", apart),))
        yield Decision(f"{block}/op_2", self.ops, "op", ((f"{block}/inputs", apart),))
        yield Decision(f"{block}/ops", both, "op", ((f"{block}/inputs", equal),))
        if len(self.combines) > 1:
            yield Decision(f"{block}/combine", self.combines, "combine")

    def _halves(self, kind: str) -> Iterator[Branch]:
        """Yields every operation on every state that a half of a block may read."""
        for number, half in product(self._numbers, HALVES):
            block, target = _block(kind, number), _place(number, half)
            for source, op in product(range(number), self.ops):
                reads = self.factor(f"{block}/input_{half}", str(source))
                factors = (reads, self.factor(f"{block}/op_{half}", op))
                yield Branch(_place(source), target, op, factors, stride_of(kind, source))

    def _sums(self, kind: str) -> Iterator[Branch]:
        for number in self._numbers:
            name = f"{_block(kind, number)}/combine"
            for combine, half in product(self.combines, HALVES):
                factors = (self.factor(name, combine),) if name in self.rows else ()
                yield Branch(_place(number, half), _place(number), COMBINE_OPS[combine], factors)

    def _ends(self, kind: str) -> Iterator[Branch]:
        """Yields a branch per state that the cell may give out, weighted by nobody's reading it."""
        is_all = self.output == "blocks"
        for state in self._numbers if is_all else range(self._numbers.stop):
            later = [] if is_all else [number for number in self._numbers if number > state]
            readers = [
                (self.rows[f"{_block(kind, number)}/input_{half}"], number, state)
                for number, half in product(later, HALVES)
            ]
            target, stride = self._first_end + state, stride_of(kind, state)
            yield Branch(_place(state), target, "skip_connect", unread(readers), stride)


def _read_halves(chosen: Mapping[str, str], block: str) -> tuple[Half, Half]:
    i, j = map(int, chosen[f"{block}/inputs"].split("+"))
    if i == j:
        first, second = chosen[f"{block}/ops"].split("+")
        return (i, first), (j, second)
    return (i, chosen[f"{block}/op_1"]), (j, chosen[f"{block}/op_2"])


def _block(kind: str, number: int) -> str:
    return f"{kind}/block_{number}"


def _place(state: int, half: int = 3) -> int:
    """Returns where a state stands in its cell, or a half of it; halves stand before a block."""
    return state if state < NUM_INPUTS else NUM_INPUTS + 3 * (state - NUM_INPUTS) + half - 1
