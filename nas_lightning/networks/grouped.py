"""Branches that leave one state and run alike run as one: fewer and larger operators.

The E branches of a bundle read one state and have operations of one `signature`; their outputs lie
side by side in one tensor (N, E * C, H, W), of which each has its C channels. Convolutions become
grouped ones, on the first layer plain ones where they mix channels. The last BatchNorm carries the
branches' weights as its scale, whose gradient comes with its own. Pools and skips of a state are
one matrix (branches, kinds) times the kinds' outputs, which are computed and normalised once.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain, groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_lightning.core.choices import Branch
from nas_lightning.networks.batch_norm import BatchNorm, normalised_once, normalised_together
from nas_lightning.networks.kernels import DepthwiseConv, depthwise_conv, pointwise_conv
from nas_lightning.networks.operations import (
    FactorizedReduction,
    Operation,
    Pool,
    ReluConvNorm,
    Skip,
)
from nas_lightning.networks.saved_tensors import recomputed
from nas_lightning.networks.state import State

__all__ = [
    "BranchWeights",
    "Bundle",
    "Weighted",
    "bundles",
    "contributions",
    "mixes",
    "total",
    "weigh",
]


class BranchWeights(dict[str, Tensor]):
    """The scalar weights of branches by key; what several cells make of them is made once.

    `are_ones` says that all are 1 and have no gradient, so that a sum need not multiply.
    """

    def __init__(self, weights: Mapping[str, Tensor], are_ones: bool = False) -> None:
        super().__init__(weights)
        self.are_ones = are_ones
        self._known: dict[tuple[tuple[str, ...], int], tuple[Tensor, ...]] = {}

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> "BranchWeights":
        """Returns the weights themselves if they are such already."""
        return weights if isinstance(weights, cls) else cls(weights)

    def split(self, keys: Sequence[tuple[str, ...]], channels: int) -> tuple[Tensor, ...]:
        """Returns for each tuple of keys their weights (len(keys) * channels,), each repeated."""
        flat = tuple(chain.from_iterable(keys))
        if (flat, 0) not in self._known:
            self._known[flat, 0] = (torch.stack([self[key] for key in flat]),)
        if (flat, channels) not in self._known:
            (values,) = self._known[flat, 0]
            # repeated, not expanded: batch norm's gradient is wrong for weights of stride 0
            repeated = values[:, None].repeat(1, channels).flatten() if channels > 1 else values
            sizes = [len(part) * channels for part in keys]
            self._known[flat, channels] = torch.split(repeated, sizes)
        return self._known[flat, channels]


@dataclass(frozen=True)
class Bundle:
    """Branches from one state that run as one, in the order of their targets."""

    branches: tuple[Branch, ...]
    ops: tuple[Operation, ...]

    @property
    def source(self) -> int:
        """The state that they read."""
        return self.branches[0].source

    @property
    def targets(self) -> tuple[int, ...]:
        """The states that they enter."""
        return tuple(branch.target for branch in self.branches)

    @property
    def keys(self) -> tuple[str, ...]:
        """The branches' keys."""
        return tuple(branch.key for branch in self.branches)


@dataclass(frozen=True)
class Weighted:
    """A bundle with its weights.

    Attributes:
        is_shared: whether the branches differ in nothing but their weights, now.
        weights: weights (branches,) where it is shared, else (branches * C,), each C times.
    """

    bundle: Bundle
    is_shared: bool
    weights: Tensor


def mixes(branches: Sequence[Branch]) -> bool:
    """Returns whether some two states are connected by several branches."""
    edges = [(branch.source, branch.target) for branch in branches]
    return len(set(edges)) < len(edges)


def bundles(branches: Sequence[Branch], ops: Mapping[str, Operation]) -> tuple[Bundle, ...]:
    """Returns the branches in bundles; one whose operation has no signature is alone."""
    groups: dict[Hashable, list[Branch]] = {}
    for branch in sorted(branches, key=lambda b: b.target):
        alike = ops[branch.key].signature() or branch.key
        groups.setdefault((branch.source, branch.stride, alike), []).append(branch)
    parts = groups.values()
    return tuple(Bundle(tuple(part), tuple(ops[b.key] for b in part)) for part in parts)


def weigh(
    parts: Sequence[Bundle], weights: BranchWeights, channels: int
) -> dict[int, list[Weighted]]:
    """Returns by the state that they read bundles with their weights."""
    weighted: dict[int, list[Weighted]] = {}
    for is_shared in (True, False):
        members = [part for part in parts if _is_shared(part.ops[0]) == is_shared]
        keys = [part.keys for part in members]
        values = weights.split(keys, 1 if is_shared else channels) if members else ()
        for part, value in zip(members, values, strict=True):
            weighted.setdefault(part.source, []).append(Weighted(part, is_shared, value))
    return weighted


def total(terms: Sequence[Tensor]) -> Tensor:
    """Returns the sum of at least one image; each of them gets the sum's gradient uncopied."""
    if len(terms) == 1:
        return terms[0]
    out = terms[0] + terms[1]
    for term in terms[2:]:
        out.add_(term)
    return out


def contributions(state: State, parts: Sequence[Weighted]) -> Iterator[tuple[int, Tensor]]:
    """Yields what a state adds to others: the number of a state and images (N, C, H, W)."""
    ordered = sorted(parts, key=lambda part: part.bundle.targets)
    for targets, group in groupby(ordered, key=lambda part: part.bundle.targets):
        members = list(group)
        shared = [part for part in members if part.is_shared]
        apart = [part for part in members if not part.is_shared]
        if shared:
            yield from zip(targets, _product(state, shared), strict=True)
        if apart:
            outs = [_run(part.bundle.ops, state, part.weights) for part in apart]
            whole = total(outs)
            size = whole.shape[1] // len(targets)
            slices = torch.split(whole, size, dim=1) if len(targets) > 1 else [whole]
            yield from zip(targets, slices, strict=True)


def _is_shared(op: Operation) -> bool:
    """Whether the branches of a bundle differ in nothing but their weights."""
    if isinstance(op, Pool):
        return not isinstance(op.norm, BatchNorm) or op.norm.is_shared
    return isinstance(op, Skip)


def _product(state: State, shared: Sequence[Weighted]) -> tuple[Tensor, ...]:
    """Returns for each target the sum of what kinds of pools and the skip make of a state."""
    outs = [_once(part.bundle.ops, state).permute(0, 2, 3, 1) for part in shared]
    table = torch.stack([part.weights for part in shared], dim=1)
    flat = torch.stack(outs).flatten(1) if len(outs) > 1 else outs[0].reshape(1, -1)
    mixed = table.to(flat.dtype) @ flat
    return mixed.view(-1, *outs[0].shape).permute(0, 1, 4, 2, 3).unbind()


def _once(ops: Sequence[Operation], state: State) -> Tensor:
    first = ops[0]
    if not isinstance(first, Pool):
        return state.x
    x = first.pooled(state)
    norms = [op.norm for op in ops if isinstance(op, Pool) and isinstance(op.norm, BatchNorm)]
    return normalised_once(norms, x) if norms else x


def _run(ops: Sequence[Operation], state: State, scale: Tensor) -> Tensor:
    """Returns the weighted outputs (N, E * C, H, W) of operations that are alike."""
    first = ops[0]
    if isinstance(first, ReluConvNorm):
        return _layers([op.layers for op in ops if isinstance(op, ReluConvNorm)], state, scale)
    if isinstance(first, FactorizedReduction):
        return _halves([op for op in ops if isinstance(op, FactorizedReduction)], state, scale)
    if isinstance(first, Pool):
        norms = [op.norm for op in ops if isinstance(op, Pool)]
        return normalised_together(norms, torch.cat([first.pooled(state)] * len(ops), dim=1), scale)
    out: Tensor = first(state)
    return out * scale[0]


def _layers(stacks: Sequence[nn.Sequential], state: State, scale: Tensor) -> Tensor:
    last, is_depthwise = len(stacks[0]) - 1, isinstance(stacks[0][0], DepthwiseConv)
    x, saving = state.relu_beside(len(stacks)) if is_depthwise else (state.relu(), nullcontext())
    for place, layers in enumerate(zip(*stacks, strict=True)):
        with saving:
            if isinstance(layers[0], BatchNorm):
                given, x = x, normalised_together(layers, x, scale if place == last else None)
            elif isinstance(layers[0], nn.ReLU):
                x = torch.relu_(x)  # of what a BatchNorm gave, which nothing else reads
            else:
                x = _convolved(layers, x, place == 0)
        if not isinstance(layers[0], nn.ReLU):
            again = isinstance(layers[0], BatchNorm) and place < last
            saving = _recomputed_relu(layers[0], given, x) if again else nullcontext()
    return x


def _recomputed_relu(norm: nn.Module, given: Tensor, out: Tensor) -> AbstractContextManager[object]:
    """Returns a block that saves no ReLU of what a BatchNorm made of images."""
    if not isinstance(norm, BatchNorm) or not norm.is_shared or norm.synchronised:
        return nullcontext()
    given, eps = given.detach(), norm.eps

    def compute() -> Tensor:
        return torch.relu_(F.batch_norm(given, None, None, training=True, eps=eps))

    return recomputed(out, compute)


def _convolved(convs: Sequence[nn.Conv2d], x: Tensor, is_first: bool) -> Tensor:
    """Returns the convolutions of images of their own, or on the first layer of the same ones."""
    first, num = convs[0], len(convs)
    weight = _joined([conv.weight for conv in convs])
    bias = None if first.bias is None else _joined([c.bias for c in convs if c.bias is not None])
    if isinstance(first, DepthwiseConv):
        return depthwise_conv(x, weight, first.stride[0], first.dilation[0])
    if is_first and first.kernel_size == (1, 1):
        return pointwise_conv(x, weight, bias, first.stride)
    groups = 1 if is_first else num
    return F.conv2d(x, weight, bias, first.stride, first.padding, first.dilation, groups)


def _halves(ops: Sequence[FactorizedReduction], state: State, scale: Tensor) -> Tensor:
    num, x = len(ops), state.relu()
    even = _convolved([op.even for op in ops], x, True)
    odd = _convolved([op.odd for op in ops], ops[0].shifted(x), True)
    rows = [side.permute(0, 2, 3, 1) for side in (even, odd)]
    sides = [row.view(*row.shape[:3], num, -1) for row in rows]
    joined = torch.cat(sides, dim=4).flatten(3).permute(0, 3, 1, 2)
    return normalised_together([op.norm for op in ops], joined, scale)


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))
