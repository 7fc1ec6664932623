"""Spaces of cells made of blocks: two operations on two earlier states, combined.

Sources: Zoph et al., NASNet, 2018 (arXiv:1707.07012), section 3, and Pham et al., ENAS, 2018
(arXiv:1802.03268), section 2.4. State 0 is the output of the cell before the previous one, 1 the
previous one's, state n >= 2 the block of that number. A block chooses two inputs among all
earlier states, then two operations, then how to combine what they give; states that nothing
reads, inputs of the cell among them, are concatenated. All normal cells are alike, and all
reduction cells, whose operations on the cell's inputs have stride 2.

Choices come in the order of the papers' controllers and are ordered as there: input 1, input 2,
operation 1, operation 2, combination. In a genotype the two halves of a block have no order, so
that a network has one id: `inputs` is a pair i+j with i <= j, `op_1` works on i and `op_2` on j,
and where i equals j `ops` is a pair in the order of the list of operations. The number of
genotypes counts these. What weighs a branch is the product of its input's and its operation's
weight; every half, input and operation has params of its own, shared by all genotypes.
"""

from abc import ABC
from collections.abc import Iterable, Sequence
from itertools import combinations_with_replacement

from nas_lightning.core.choices import Branch, Choice, Factor, Mixture, may_run
from nas_lightning.core.decisions import Decision
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Edge, Graph
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace, one_hot
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import Cell
from nas_lightning.networks.operations import OPERATIONS, Operation, Skip, build_operation
from nas_lightning.search_spaces.block_network import BlockNetwork, MakeBlocks
from nas_lightning.search_spaces.loose_ends import unread

__all__ = ["KINDS", "BlockSpace", "Half"]

KINDS = ("normal", "reduction")
NUM_INPUTS, HALVES = 2, (1, 2)
OUTPUTS = ("unread", "blocks")
COMBINE_OPS = {"add": "skip_connect", "concat": "conv_1x1"}

Half = tuple[int, str]


class BlockSpace(SearchSpace, ABC):
    """Cells of `blocks` blocks; NASNet's and ENAS's spaces are such.

    Args:
        name: name that genotypes carry.
        blocks: blocks of a cell, at least 1.
        ops: operations of a block, in their canonical order.
        combines: how a block may combine its halves: "add", "concat" or both. With one of them
            there is nothing to choose. A concatenation is brought back to the cell's channels by
            ReLU, 1x1 convolution and BatchNorm, one of each a half, which are added.
        scale: size at which the space is searched.
        output: what a cell concatenates: "unread" states, or all "blocks".

    Raises:
        ValueError: a value is out of its range, or an operation is unknown.
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
        if blocks < 1:
            raise ValueError(f"blocks ({blocks}) must be at least 1; the papers have 5")
        _check_names("op", "ops", ops, OPERATIONS)
        _check_names("combination", "combines", combines, COMBINE_OPS)
        _check_names("output", "output", [output], OUTPUTS)
        self.blocks, self.ops, self.combines = blocks, tuple(ops), tuple(combines)
        self.output = output
        self._numbers = range(NUM_INPUTS, NUM_INPUTS + blocks)
        self._first_end = NUM_INPUTS + 3 * blocks
        places = [(kind, number) for kind in KINDS for number in self._numbers]
        choices = [choice for place in places for choice in self._choices(*place)]
        decisions = [decision for place in places for decision in self._decisions(*place)]
        super().__init__(name, scale, choices, decisions)
        self._index = {choice.name: index for index, choice in enumerate(self.choices)}
        self._tables = {kind: (*self._halves(kind), *self._sums(kind)) for kind in KINDS}
        self._ends = {kind: tuple(self._loose(kind)) for kind in KINDS}

    def preprocess(self, channels: int, norm: Norm) -> list[Operation]:
        """Returns what each of a cell's inputs goes through before blocks read it; a hook.

        Both have been projected to the cell's channels already.
        """
        return [Skip(), Skip()]

    def supernet(self, scale: Scale) -> BlockNetwork:
        """Builds the network of all genotypes."""
        tables = {kind: self._tables[kind] + self._ends[kind] for kind in KINDS}
        return BlockNetwork(self._cell_maker(tables), tables, self._ends, scale)

    def child(self, genotype: Genotype, scale: Scale) -> BlockNetwork:
        """Builds the network of one genotype."""
        support = self.mixture(genotype).support
        tables, ends = (
            {kind: tuple(b for b in table if may_run(b.factors, support)) for kind, table in t}
            for t in (self._tables.items(), self._ends.items())
        )
        whole = {kind: tables[kind] + ends[kind] for kind in KINDS}
        return BlockNetwork(self._cell_maker(whole), {}, ends, scale)

    def mixture(self, genotype: Genotype) -> Mixture:
        """Returns the one-hot weights with which the supernet is the genotype's child."""
        chosen, picked = self.validate(genotype).mapping, dict[str, str]()
        for kind in KINDS:
            for number in self._numbers:
                block = _block(kind, number)
                for half, (source, op) in zip(HALVES, self.halves(chosen, block), strict=True):
                    picked |= {f"{block}/input_{half}": str(source), f"{block}/op_{half}": op}
        return one_hot(self.choices, chosen | picked)

    def discretize(self, scores: Mixture) -> Genotype:
        """Returns the genotype of the best option of every choice; ties go to the earlier one.

        Args:
            scores: weights (choices, options), higher is better; options outside the support
                are not chosen.
        """
        rows = zip(self.choices, scores.weights.tolist(), scores.support, strict=True)
        best = {c.name: c.options[max(allowed, key=row.__getitem__)] for c, row, allowed in rows}
        chosen: dict[str, str] = {}
        for kind in KINDS:
            for number in self._numbers:
                block = _block(kind, number)
                halves = [
                    (int(best[f"{block}/input_{h}"]), best[f"{block}/op_{h}"]) for h in HALVES
                ]
                chosen |= self.block(kind, number, halves, best.get(f"{block}/combine", ""))
        return self.genotype(chosen)

    def block(
        self, kind: str, number: int, halves: Iterable[Half], combine: str = ""
    ) -> dict[str, str]:
        """Returns the choices of one block, its halves brought into their canonical order.

        Args:
            kind: "normal" or "reduction".
            number: number of its state, at least 2.
            halves: two pairs (state that is read, operation).
            combine: how they are combined; "" where there is no such decision.

        Raises:
            ValueError: an operation is none of the space's, or a state comes no earlier.
        """
        name = _block(kind, number)
        for source, op in (halves := list(halves)):
            if not 0 <= source < number:
                raise ValueError(f"{name} must read states from 0 to {number - 1}, got {source}")
            if op not in self.ops:
                raise ValueError(f"unknown op '{op}' of {name}; choose from: {', '.join(self.ops)}")
        (i, first), (j, second) = sorted(halves, key=lambda h: (h[0], self.ops.index(h[1])))
        ops = {"ops": f"{first}+{second}"} if i == j else {"op_1": first, "op_2": second}
        chosen = {"inputs": f"{i}+{j}", **ops} | ({"combine": combine} if combine else {})
        return {f"{name}/{decision}": option for decision, option in chosen.items()}

    def halves(self, chosen: dict[str, str], block: str) -> tuple[Half, Half]:
        """Returns both halves (state that is read, operation) of a block such as normal/block_2."""
        i, j = map(int, chosen[f"{block}/inputs"].split("+"))
        if i == j:
            first, second = chosen[f"{block}/ops"].split("+")
        else:
            first, second = chosen[f"{block}/op_1"], chosen[f"{block}/op_2"]
        return (i, first), (j, second)

    def ends(self, chosen: dict[str, str], kind: str) -> list[int]:
        """Returns the states that a kind of cell concatenates, in their order."""
        if self.output == "blocks":
            return list(self._numbers)
        blocks = [self.halves(chosen, _block(kind, number)) for number in self._numbers]
        read = {source for halves in blocks for source, _ in halves}
        return [state for state in range(NUM_INPUTS + self.blocks) if state not in read]

    def graphs(self, genotype: Genotype) -> tuple[Graph, ...]:
        """Returns both cells; blocks bear their states' numbers, of which 0 and 1 are inputs.

        A block that concatenates has a node for either half.
        """
        chosen = self.validate(genotype).mapping
        return tuple(self._graph(chosen, kind) for kind in KINDS)

    def _graph(self, chosen: dict[str, str], kind: str) -> Graph:
        names = {0: "c_{k-2}", 1: "c_{k-1}"}
        nodes, edges = list(names.values()), list[Edge]()
        for number in self._numbers:
            name = names[number] = str(number)
            halves = self.halves(chosen, _block(kind, number))
            targets = [name, name]
            if chosen.get(f"{_block(kind, number)}/combine", self.combines[0]) == "concat":
                targets = [f"{name}a", f"{name}b"]
                nodes += targets
                edges += [Edge(target, name, "") for target in targets]
            nodes.append(name)
            edges += [Edge(names[s], t, op) for (s, op), t in zip(halves, targets, strict=True)]
        edges += [Edge(names[state], "c_{k}", "") for state in self.ends(chosen, kind)]
        return Graph(f"{kind} cell", (*nodes, "c_{k}"), tuple(edges))

    def _choices(self, kind: str, number: int) -> list[Choice]:
        block, sources = _block(kind, number), tuple(map(str, range(number)))
        rows = [(f"input_{half}", sources, "input") for half in HALVES]
        rows += [(f"op_{half}", self.ops, "op") for half in HALVES]
        rows += [("combine", self.combines, "combine")] if len(self.combines) > 1 else []
        # a group each: none competes with another
        names = [f"{block}/{name}" for name, _, _ in rows]
        return [Choice(n, o, kind, n) for n, (_, o, kind) in zip(names, rows, strict=True)]

    def _decisions(self, kind: str, number: int) -> list[Decision]:
        block = _block(kind, number)
        pairs = list(combinations_with_replacement(range(number), 2))
        equal, apart = (
            ((f"{block}/inputs", tuple(f"{i}+{j}" for i, j in pairs if (i == j) == same)),)
            for same in (True, False)
        )
        both = tuple(f"{a}+{b}" for a, b in combinations_with_replacement(self.ops, 2))
        decisions = [
            Decision(f"{block}/inputs", tuple(f"{i}+{j}" for i, j in pairs), "input"),
            Decision(f"{block}/op_1", self.ops, "op", apart),
            Decision(f"{block}/op_2", self.ops, "op", apart),
            Decision(f"{block}/ops", both, "op", equal),
        ]
        if len(self.combines) > 1:
            decisions.append(Decision(f"{block}/combine", self.combines, "combine"))
        return decisions

    def _halves(self, kind: str) -> Iterable[Branch]:
        for number in self._numbers:
            block = _block(kind, number)
            for half in HALVES:
                for source in range(number):
                    reads = self._factor(f"{block}/input_{half}", str(source))
                    for op in self.ops:
                        factors = (reads, self._factor(f"{block}/op_{half}", op))
                        target = _place(number) - len(HALVES) - 1 + half
                        yield Branch(_place(source), target, op, factors, _stride(kind, source))

    def _sums(self, kind: str) -> Iterable[Branch]:
        for number in self._numbers:
            place, name = _place(number), f"{_block(kind, number)}/combine"
            for combine in self.combines:
                factors = (self._factor(name, combine),) if name in self._index else ()
                for half in HALVES:
                    source = place - len(HALVES) - 1 + half
                    yield Branch(source, place, COMBINE_OPS[combine], factors)

    def _loose(self, kind: str) -> Iterable[Branch]:
        is_all = self.output == "blocks"
        for state in self._numbers if is_all else range(NUM_INPUTS + self.blocks):
            readers = [
                (self._index[f"{_block(kind, number)}/input_{half}"], number, state)
                for number in self._numbers
                if number > state and not is_all
                for half in HALVES
            ]
            target, stride = self._first_end + state, _stride(kind, state)
            yield Branch(_place(state), target, "skip_connect", unread(readers), stride)

    def _factor(self, choice: str, option: str) -> Factor:
        index = self._index[choice]
        return Factor.taking(index, self.choices[index].options, option)

    def _cell_maker(self, tables: dict[str, tuple[Branch, ...]]) -> MakeBlocks:
        def make(kind: str, channels: int, norm: Norm) -> Cell:
            def build(branch: Branch) -> Operation:
                return build_operation(branch.op, channels, branch.stride, norm)

            states = range(self._first_end + NUM_INPUTS + self.blocks)
            stride = 2 if kind == "reduction" else 1
            preprocess = self.preprocess(channels, norm)
            return Cell(tables[kind], build, preprocess, len(states), states[-1:], channels, stride)

        return make


def _check_names(what: str, key: str, names: Sequence[str], known: Iterable[str]) -> None:
    if strange := [name for name in names if name not in known]:
        raise ValueError(f"unknown {what} '{strange[0]}'; choose from: {', '.join(known)}")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"{key} ({', '.join(names)}) must be different, and at least one")


def _block(kind: str, number: int) -> str:
    return f"{kind}/block_{number}"


def _place(state: int) -> int:
    """Returns where a state stands in its cell; a block has two more before it, its halves."""
    return state if state < NUM_INPUTS else NUM_INPUTS + 3 * (state - NUM_INPUTS) + 2


def _stride(kind: str, source: int) -> int:
    return 2 if kind == "reduction" and source < NUM_INPUTS else 1
