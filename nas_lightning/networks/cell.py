"""The one generic cell: a weighted directed acyclic graph of operations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Any

import torch
from torch import Tensor, nn

from nas_lightning.core.choices import Branch, Factor, Mixture, factors_value
from nas_lightning.networks import native
from nas_lightning.networks.fused_node import fused_sum
from nas_lightning.networks.grouped import (
    BranchWeights,
    Bundle,
    bundles,
    contributions,
    mixes,
    total,
    weigh,
)
from nas_lightning.networks.kernels import DepthwiseConv, concatenated, weighted_sum
from nas_lightning.networks.operations import Operation
from nas_lightning.networks.partial import BYPASS, partial_channels, shuffled
from nas_lightning.networks.state import State

__all__ = ["Cell", "DropPath", "Weights", "branch_weights", "cell_weights"]

Weights = Mapping[str, Tensor] | None


@dataclass(frozen=True)
class DropPath:
    """Drops an operation's output for some samples of a training batch.

    Source: Larsson et al., FractalNet, 2017 (arXiv:1605.07648), as in NASNet and DARTS.
    """

    probability: float  # share of samples dropped, in [0, 1)
    generator: torch.Generator | None = None  # on the images' device; None is the global one

    def __call__(self, x: Tensor, training: bool) -> Tensor:
        """Returns x (N, C, H, W) with whole samples zeroed in training and the others scaled up."""
        if not training:
            return x
        keep = 1.0 - self.probability
        mask = torch.empty((x.shape[0], 1, 1, 1), dtype=x.dtype, device=x.device)
        return x * mask.bernoulli_(keep, generator=self.generator) / keep


class Cell(nn.Module):
    """A weighted directed acyclic graph of operations.

    state[t] is the sum over the branches into t of weight * op(state[source]); a state that
    nothing enters is zero. Branches run in the order of their table.

    Args:
        build: builds the operation of a branch.
        preprocess: one operation per input.
        num_states: number of inputs and nodes together.
        output: the states whose concatenation is the cell's output.
        channels: channels of every state.
        stride: by how much nodes are smaller than the inputs, 1 or 2.
        partial: operations run on the first of so many parts of a state's channels; branches with
            operation "bypass" carry the others, and a shuffle mixes both.

    Attributes:
        bundled: whether branches that are alike run as one (see `grouped`) where a mixture has
            several operations for an edge; the numbers are the same up to rounding.
    """

    def __init__(
        self,
        branches: Sequence[Branch],
        build: Callable[[Branch], Operation],
        preprocess: Sequence[Operation],
        num_states: int,
        output: Sequence[int],
        channels: int,
        stride: int,
        partial: int = 1,
    ) -> None:
        super().__init__()
        self.partial, self.bundled = partial, True
        self._known: tuple[tuple[str, ...], tuple[Bundle, ...]] = ((), ())
        self.preprocess = nn.ModuleList(preprocess)
        self.ops = nn.ModuleDict({branch.key: build(branch) for branch in branches})
        # what the kernels in C++ gain they gain by depthwise stages; without any they are slower
        self._gains = any(isinstance(module, DepthwiseConv) for module in self.ops.modules())
        self.output, self.channels, self.stride = tuple(output), channels, stride
        self.incoming = [
            tuple(branch for branch in branches if branch.target == target)
            for target in range(len(preprocess), num_states)
        ]

    def forward(
        self, inputs: Sequence[State], weights: Weights = None, drop_path: DropPath | None = None
    ) -> State:
        """Returns the concatenated output states (N, len(output) * channels, H', W').

        `weights` are those of `branch_weights`: a branch that is not named does not run, and None
        runs every branch with weight one. `drop_path` applies to all operations but the identity.
        """
        states = self.states(inputs, weights, drop_path)
        return State(concatenated([states[index].x for index in self.output]))

    def states(
        self, inputs: Sequence[State], weights: Weights = None, drop_path: DropPath | None = None
    ) -> list[State]:
        """Returns all states of the cell, the preprocessed inputs first."""
        states = [State(op(x)) for op, x in zip(self.preprocess, inputs, strict=True)]
        if weights is not None and drop_path is None:
            parts = self._bundles(states[0].x, weights)
            if parts:
                return self._bundled_states(states, parts, BranchWeights.of(weights))
        for branches in self.incoming:
            run = [b for b in branches if weights is None or b.key in weights]
            x = self._node(run, states, weights, drop_path)
            added = None if weights is None else weights.get(_added_key(len(states)))
            states.append(State(x if added is None else x + added))
        return states

    def weighted_modules(self) -> Iterator[tuple[nn.Module, tuple[Factor, ...]]]:
        """Yields each branch's operation with its factors (see `core.cost`)."""
        for branch in (b for branches in self.incoming for b in branches):
            yield self.ops[branch.key], branch.factors

    def _bundles(self, x: Tensor, weights: Mapping[str, Tensor]) -> tuple[Bundle, ...]:
        """Returns the branches that run, bundled; none where they run one by one.

        That is where no edge mixes operations, since single paths have little in common, and where
        costs are traced (on the meta device), operation by operation.
        """
        if not self.bundled or x.is_meta or native.is_plain() or self._is_fused(x, None):
            return ()
        run = [b for bs in self.incoming for b in bs if b.key in weights and not self._is_around(b)]
        if not mixes(run):
            return ()
        keys = tuple(branch.key for branch in run)
        if keys != self._known[0]:  # what ran last runs again, as a rule
            self._known = keys, bundles(run, {key: self._op(key) for key in keys})
        return self._known[1]

    def _is_around(self, branch: Branch) -> bool:
        return self.partial > 1 and branch.op == BYPASS

    def _op(self, key: str) -> Operation:
        op = self.ops[key]
        assert isinstance(op, Operation)
        return op

    def _bundled_states(
        self, states: list[State], run: Sequence[Bundle], weights: BranchWeights
    ) -> list[State]:
        """Returns what `states` does; branches that are alike run as one."""
        channels, _ = partial_channels(self.channels, self.partial)
        parts = weigh(run, weights, channels)
        terms: dict[int, list[Tensor]] = {}
        for index in range(len(states) + len(self.incoming)):
            if index == len(states):
                x = self._entered(index, terms.get(index, ()), states, weights)
                added = weights.get(_added_key(index))
                states.append(State(x if added is None else x + added))
            state = states[index]
            read = state if self.partial == 1 else state.parts(self.partial)[0]
            for target, x in contributions(read, parts.get(index, ())):
                terms.setdefault(target, []).append(x)
        return states

    def _entered(
        self, index: int, terms: Sequence[Tensor], states: Sequence[State], weights: BranchWeights
    ) -> Tensor:
        """Returns a state, given what operations add to it."""
        channels, rest = partial_channels(self.channels, self.partial)
        like = states[0].x
        x = total(terms) if terms else self._sum([], [], weights, like, channels)
        if self.partial == 1:
            return x
        branches = self.incoming[index - len(self.preprocess)]
        around = [b for b in branches if self._is_around(b) and b.key in weights]
        carried = [self._run(b, states[b.source].parts(self.partial)[1], None) for b in around]
        sides = [x, self._sum(around, carried, weights, like, rest)]
        return shuffled(torch.cat(sides, dim=1), self.partial)

    def _node(
        self,
        run: Sequence[Branch],
        states: Sequence[State],
        weights: Weights,
        drop_path: DropPath | None,
    ) -> Tensor:
        if self.partial == 1:
            read = [states[b.source] for b in run]
            return self._mixed(run, read, weights, drop_path, states[0].x, self.channels)
        sides = []
        for side, channels in enumerate(partial_channels(self.channels, self.partial)):
            taken = [b for b in run if (b.op == BYPASS) == bool(side)]
            parts = [states[b.source].parts(self.partial)[side] for b in taken]
            sides.append(self._mixed(taken, parts, weights, drop_path, states[0].x, channels))
        return shuffled(torch.cat(sides, dim=1), self.partial)

    def _is_fused(self, x: Tensor, drop_path: DropPath | None) -> bool:
        """Whether the kernels in C++ mix branches: what they fuse are statistics of the batch."""
        return self._gains and self.training and drop_path is None and native.takes(x)

    def _mixed(
        self,
        run: Sequence[Branch],
        read: Sequence[State],
        weights: Weights,
        drop_path: DropPath | None,
        like: Tensor,
        channels: int,
    ) -> Tensor:
        """Returns the sum of branches, each of the state that it reads."""
        if run and weights is not None and self._is_fused(read[0].x, drop_path):
            ops: list[Any] = [self.ops[b.key] for b in run]
            values = [weights[b.key] for b in run]
            return fused_sum([op.term(*pair) for op, *pair in zip(ops, read, values, strict=True)])
        terms = [self._run(b, x, drop_path) for b, x in zip(run, read, strict=True)]
        return self._sum(run, terms, weights, like, channels)

    def _run(self, branch: Branch, state: State, drop_path: DropPath | None) -> Tensor:
        op = self.ops[branch.key]
        out: Tensor = op(state)
        return out if drop_path is None or op.is_identity else drop_path(out, self.training)

    def _sum(
        self,
        run: Sequence[Branch],
        terms: Sequence[Tensor],
        weights: Weights,
        like: Tensor,
        channels: int,
    ) -> Tensor:
        if not terms:
            size = [-(-side // self.stride) for side in like.shape[2:]]
            return like.new_zeros(()).expand(like.shape[0], channels, *size)
        if weights is None or (isinstance(weights, BranchWeights) and weights.are_ones):
            return sum(terms[1:], start=terms[0])
        return weighted_sum([weights[b.key] for b in run], terms)


def branch_weights(branches: Sequence[Branch], mixture: Mixture) -> dict[str, Tensor]:
    """Returns by key the scalar weight of each branch that the mixture's support lets run.

    What the mixture adds to a state stands under a key of the state.
    """
    rows = [row.unbind() for row in mixture.weights.unbind()]
    values = {b.key: factors_value(b.factors, rows, mixture.support) for b in branches}
    weights = {key: value for key, value in values.items() if value is not None}
    if mixture.added is not None:
        entered = dict.fromkeys((f.choice, b.target) for b in branches for f in b.factors)
        for choice, state in entered:
            key = _added_key(state)
            weights[key] = weights.get(key, 0.0) + mixture.added[choice]
    return BranchWeights(weights, _are_ones([b for b in branches if b.key in weights], mixture))


def cell_weights(
    tables: Mapping[str, Sequence[Branch]], kinds: Sequence[str], mixture: Mixture | None
) -> list[Weights]:
    """Returns by cell, given its kind, what `branch_weights` gives for its kind's branches.

    Cells of a kind share it, unless the mixture's weights differ from cell to cell.
    """
    if mixture is None:
        return [None] * len(kinds)
    if mixture.weights.dim() == 2:
        shared = {kind: branch_weights(table, mixture) for kind, table in tables.items()}
        return [shared[kind] for kind in kinds]
    cells = enumerate(kinds)
    return [branch_weights(tables[kind], mixture.of_cell(cell)) for cell, kind in cells]


def _are_ones(branches: Sequence[Branch], mixture: Mixture) -> bool:
    """Returns whether branches weigh 1, as those of a single path do, and have no gradient.

    Weights on another device than the CPU are not looked at: that would wait for it.
    """
    weights = mixture.weights
    if weights.device.type != "cpu" or weights.requires_grad or mixture.added is not None:
        return False
    rows = weights.tolist()
    factors = (factor for branch in branches for factor in branch.factors)
    pairs = ((factor.coefficients, rows[factor.choice]) for factor in factors)
    return all(sum(map(mul, coefficients, row)) == 1.0 for coefficients, row in pairs)


def _added_key(state: int) -> str:
    return f"added_{state}"
