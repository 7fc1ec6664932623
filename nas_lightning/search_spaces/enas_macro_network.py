"""The networks of ENAS's macro space: layers, what skips into them, and reductions.

`enas_macro.py` names the source and the differences.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import torch.nn.functional as F
from torch import Tensor, nn

from nas_lightning.core.choices import SKIP, Branch, Factor, Mixture
from nas_lightning.core.cost import Term
from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import DropPath, branch_weights
from nas_lightning.networks.kernels import DepthwiseConv, as_maps, padded_conv, weighted_sum
from nas_lightning.networks.operations import FactorizedReduction, Pool, ReluConvNorm
from nas_lightning.networks.state import State
from nas_lightning.networks.units import Resized

__all__ = ["MacroNetwork", "thirds"]


class MacroNetwork(nn.Module):
    """Stem, layers with reductions after each third, global pooling, classifier.

    `branches` are for each layer its operations, then what skips in; without factors in a child.
    """

    def __init__(self, branches: Sequence[Branch], scale: Scale) -> None:
        super().__init__()
        scale.check_extras("enas_macro")
        norm, self.branches = Norm.of(scale), branches
        numbers = range(1, branches[-1].target + 1)
        self.incoming = {i: [b for b in branches if b.target == i] for i in numbers}
        growth = 2 if scale.flavour == "child" else 1
        self.widths = [scale.channels * growth**third for third in range(3)]
        ends = thirds(len(numbers))
        self.third = [0] + [sum(layer > end for end in ends) for layer in numbers]
        conv = padded_conv(scale.maps()[0], scale.channels, 3, 1, norm.axes)
        self.stem = nn.Sequential(conv, norm.always_affine(scale.channels))
        self.layers = nn.ModuleDict(
            {str(i): _Layer(self.incoming[i], self.widths[self.third[i]], norm) for i in numbers}
        )
        self.reductions = nn.ModuleDict(self._reductions(norm))
        self.classifier = nn.Linear(self.widths[-1], scale.outputs())

    def forward(
        self, x: Tensor, mixture: Mixture | None = None, drop_path: DropPath | None = None
    ) -> Tensor:
        """Returns the logits of images (N, C, H, W) or signals (N, C, L)."""
        states = {(0, 0): State(self.stem(as_maps(x)))}
        weights = None if mixture is None else branch_weights(self.branches, mixture)
        for i, layer in enumerate(self.layers.values(), start=1):
            run = [b for b in self.incoming[i] if weights is None or b.key in weights]
            read = {b.source: self._read(b.source, self.third[i], states) for b in run}
            states[i, self.third[i]] = State(layer(run, read, weights, drop_path))
        logits: Tensor = self.classifier(states[i, self.third[i]].x.mean(dim=(2, 3)))
        return logits

    def _read(self, state: int, third: int, states: dict[tuple[int, int], State]) -> State:
        """Returns a state as a later third sees it, reduced once per third."""
        if (state, third) not in states:
            before = self._read(state, third - 1, states)
            states[state, third] = State(self.reductions[f"{third}_of_{state}"](before))
        return states[state, third]

    def _reductions(self, norm: Norm) -> dict[str, nn.Module]:
        reductions: dict[str, nn.Module] = {}
        for third, state in product((1, 2), range(len(self.incoming))):
            later = [b for b in self.branches if self.third[b.target] >= third]
            readers = [b for b in later if b.source == state]
            if self.third[state] < third and readers:
                is_input = any(reader.op != SKIP for reader in readers)
                factors = [] if is_input else [f for reader in readers for f in reader.factors]
                before, after = self.widths[third - 1 : third + 1]
                reductions[f"{third}_of_{state}"] = _Reduction(before, after, norm, factors)
        return reductions


class _Layer(nn.Module):
    """Operations on the state before, whose mixture is joined with what skips in.

    A concatenation's convolution is the sum of one per source. The first layer joins nothing.
    """

    def __init__(self, branches: Sequence[Branch], channels: int, norm: Norm) -> None:
        super().__init__()
        self.branches, self.is_first = branches, branches[0].target == 1
        ops, skips = _apart(branches)
        self.ops = nn.ModuleDict({b.op: _operation(b.op, channels, norm) for b in ops})
        self.skips = nn.ModuleDict({str(b.source): _conv(channels) for b in skips})
        if not self.is_first:
            self.own, self.norm = _conv(channels), norm(channels)

    def forward(
        self,
        run: Sequence[Branch],
        read: Mapping[int, State],
        weights: Mapping[str, Tensor] | None,
        drop_path: DropPath | None,
    ) -> Tensor:
        ops, skips = _apart(run)
        outs = [self.ops[b.op](read[b.source]) for b in ops]
        outs = outs if drop_path is None else [drop_path(out, self.training) for out in outs]
        out = _sum(ops, outs, weights)
        if self.is_first:
            return out
        joined = self.own(F.relu(out))
        if skips:
            terms = [self.skips[str(b.source)](read[b.source].relu()) for b in skips]
            joined = joined + _sum(skips, terms, weights)
        normed: Tensor = self.norm(joined)
        return normed

    def weighted_modules(self) -> Iterator[tuple[nn.Module, tuple[Factor, ...]]]:
        ops, skips = _apart(self.branches)
        yield from ((self.ops[b.op], b.factors) for b in ops)
        yield from ((self.skips[str(b.source)], b.factors) for b in skips)


class _ConvPool(nn.Module):
    """ReLU, 1x1 convolution, BatchNorm, 3x3 pooling."""

    def __init__(self, kind: str, channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv = ReluConvNorm([[_conv(channels)]], norm)
        self.pool = Pool(kind, channels, 1, norm)

    def forward(self, state: State) -> Tensor:
        out: Tensor = self.pool(State(self.conv(state)))
        return out


class _Reduction(FactorizedReduction):
    """A reduction that is there unless nobody reads it; without `read` factors it always is."""

    def __init__(self, before: int, after: int, norm: Norm, read: Sequence[Factor]) -> None:
        super().__init__(before, after, norm)
        self.unread = [Factor(f.choice, tuple(1.0 - c for c in f.coefficients)) for f in read]

    def cost_terms(self, output: Tensor) -> Iterator[Term]:
        """Yields what one run costs (see `core.cost`)."""
        params = sum(p.numel() for p in self.parameters())
        adds = output.numel() * self.even.in_channels
        yield Term((params, adds), ())
        if self.unread:
            yield Term((-params, -adds), tuple(self.unread))

    def at_sizes(self, state: State) -> Iterator[Resized]:
        """Yields it where somebody reads it (see `networks.units`)."""
        yield Resized((), self, state)
        if self.unread:
            yield Resized(tuple(self.unread), self, state, times=-1)


def thirds(layers: int) -> tuple[int, int]:
    """Returns the layers after which all states are halved."""
    return layers // 3, 2 * (layers // 3)


def _operation(name: str, channels: int, norm: Norm) -> nn.Module:
    if name.endswith("pool_3x3"):
        return _ConvPool("max" if name.startswith("max") else "average", channels, norm)
    kernel = int(name[-1])
    stage: list[nn.Conv2d] = [padded_conv(channels, channels, kernel, 1, norm.axes)]
    if name.startswith("sep"):
        stage = [DepthwiseConv(channels, kernel, 1, 1, norm.axes), _conv(channels)]
    return ReluConvNorm([[_conv(channels)], stage], norm)


def _conv(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 1, bias=False)


def _apart(branches: Sequence[Branch]) -> tuple[list[Branch], list[Branch]]:
    return [b for b in branches if b.op != SKIP], [b for b in branches if b.op == SKIP]


def _sum(
    branches: Sequence[Branch], terms: Sequence[Tensor], weights: Mapping[str, Tensor] | None
) -> Tensor:
    """Returns the sum of what branches give, weighted unless there are no weights."""
    if weights is None:
        return sum(terms[1:], start=terms[0])
    return weighted_sum([weights[b.key] for b in branches], terms)
