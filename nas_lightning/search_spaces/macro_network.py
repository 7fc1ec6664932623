"""ENAS's macro networks: a chain of layers into which earlier states skip.

Source: Pham et al., ENAS, 2018 (arXiv:1802.03268), section 2.3, and the official code; see
`search_spaces.enas_macro` for states, skips and deliberate differences.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import torch.nn.functional as F
from torch import Tensor, nn

from nas_lightning.core.choices import Factor, Mixture
from nas_lightning.core.cost import Term
from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import DropPath
from nas_lightning.networks.depthwise import DepthwiseConv
from nas_lightning.networks.operations import (
    FactorizedReduction,
    Operation,
    Pool,
    ReluConvNorm,
    State,
    relu_conv_norm,
)
from nas_lightning.networks.weighted_sum import weighted_sum

__all__ = ["LayerChoices", "MacroNetwork", "thirds"]


@dataclass(frozen=True)
class LayerChoices:
    """Where a mixture weighs one layer.

    Attributes:
        op: row of the choice of its operation.
        skips: by source, row of the choice whose second option lets it skip in.
    """

    op: int
    skips: Mapping[int, int]


class MacroNetwork(nn.Module):
    """Stem, layers with reductions after each third, global pooling, classifier.

    Args:
        ops: operations of each layer.
        skips: states that may skip into each layer.
        choices: by layer, the choices that weigh it; None for a child.
        scale: sizes and flavours.
    """

    def __init__(
        self,
        ops: Mapping[int, Sequence[str]],
        skips: Mapping[int, Sequence[int]],
        choices: Mapping[int, LayerChoices] | None,
        scale: Scale,
    ) -> None:
        super().__init__()
        scale.check_extras("enas_macro")
        norm, self.skips, self.choices = Norm.of(scale), skips, choices
        growth = 2 if scale.flavour == "child" else 1
        self.widths = [scale.channels * growth**third for third in range(3)]
        ends = thirds(len(ops))
        self.third = [0] + [sum(layer > end for end in ends) for layer in ops]
        self.stem = nn.Sequential(
            nn.Conv2d(scale.image()[0], scale.channels, 3, 1, 1, bias=False),
            norm.always_affine(scale.channels),
        )
        self.layers = nn.ModuleDict()
        for i in ops:
            own, channels = choices[i] if choices else None, self.widths[self.third[i]]
            self.layers[str(i)] = _Layer(i, ops[i], skips[i], own, channels, norm)
        self.reductions = nn.ModuleDict(self._reductions(norm))
        self.classifier = nn.Linear(self.widths[-1], scale.outputs())

    def forward(
        self, x: Tensor, mixture: Mixture | None = None, drop_path: DropPath | None = None
    ) -> Tensor:
        """Returns logits (N, num_outputs).

        Args:
            x: images (N, C, H, W), normalised.
            mixture: the mixing weights of a supernet; None for a child.
            drop_path: drops operations of a child while it trains.
        """
        states = {(0, 0): State(self.stem(x))}
        for i, layer in enumerate(self.layers.values(), start=1):
            third, sources = self.third[i], [i - 1, *self._running_skips(i, mixture)]
            read = {source: self._read(source, third, states) for source in sources}
            states[i, third] = State(layer(read, mixture, drop_path))
        logits: Tensor = self.classifier(states[i, third].x.mean(dim=(2, 3)))
        return logits

    def _running_skips(self, layer: int, mixture: Mixture | None) -> list[int]:
        """Returns the states that skip into a layer."""
        if self.choices is None or mixture is None:
            return list(self.skips[layer])
        rows = self.choices[layer].skips
        return [source for source in self.skips[layer] if 1 in mixture.support[rows[source]]]

    def _read(self, state: int, third: int, states: dict[tuple[int, int], State]) -> State:
        """Returns a state as a later third sees it, reduced once per third."""
        if (state, third) not in states:
            before = self._read(state, third - 1, states)
            states[state, third] = State(self.reductions[f"{third}_of_{state}"](before))
        return states[state, third]

    def _reductions(self, norm: Norm) -> dict[str, nn.Module]:
        """Builds the reductions that a layer reads, or may read."""
        reductions: dict[str, nn.Module] = {}
        for third, state in product((1, 2), range(len(self.skips))):
            later = [i for i in self.skips if self.third[i] >= third]
            readers = [i for i in later if state in self.skips[i]]
            is_input = state + 1 in later
            if self.third[state] < third and (readers or is_input):
                unread = None
                if self.choices is not None and not is_input:
                    rows = [self.choices[i].skips[state] for i in readers]
                    unread = tuple(Factor(row, (1.0, 0.0)) for row in rows)
                widths = self.widths[third - 1], self.widths[third]
                reductions[f"{third}_of_{state}"] = _Reduction(*widths, norm, unread)
        return reductions


class _Layer(nn.Module):
    """Operations on the state before, whose mixture is joined with what skips in.

    The convolution of a concatenation is the sum of one convolution per source. The first layer
    joins nothing, as in the official code.
    """

    def __init__(
        self,
        number: int,
        ops: Sequence[str],
        skips: Sequence[int],
        choices: LayerChoices | None,
        channels: int,
        norm: Norm,
    ) -> None:
        super().__init__()
        self.number, self.choices = number, choices
        self.ops = nn.ModuleDict({op: _operation(op, channels, norm) for op in ops})
        self.skips = nn.ModuleDict({str(source): _point(channels) for source in skips})
        if number > 1:
            self.own, self.norm = _point(channels), norm(channels)

    def forward(
        self, read: Mapping[int, State], mixture: Mixture | None, drop_path: DropPath | None
    ) -> Tensor:
        """Returns the layer's state (N, C, H, W).

        Args:
            read: by number, the state before and those that skip in.
            mixture: the mixing weights of a supernet; None for a child.
            drop_path: drops operations' outputs.
        """
        ops, skips = (
            list(self.ops.values()),
            [source for source in read if source < self.number - 1],
        )
        op_weights = skip_weights = None
        if mixture is not None and self.choices is not None:
            running, rows = mixture.support[self.choices.op], self.choices.skips
            ops = [ops[option] for option in running]
            op_weights = [mixture.weights[self.choices.op, option] for option in running]
            skip_weights = [mixture.weights[rows[source], 1] for source in skips]
        outs = [op(read[self.number - 1]) for op in ops]
        out = _sum(outs if drop_path is None else list(map(drop_path, outs)), op_weights)
        if self.number == 1:
            return out
        joined = self.own(F.relu(out))
        if skips:
            terms = [self.skips[str(source)](read[source].relu()) for source in skips]
            joined = joined + _sum(terms, skip_weights)
        normed: Tensor = self.norm(joined)
        return normed

    def weighted_modules(self) -> Iterator[tuple[nn.Module, tuple[Factor, ...]]]:
        """Yields operations and skips with what weighs them (see `core.cost`)."""
        if self.choices is not None:
            for name, op in self.ops.items():
                yield op, (Factor.taking(self.choices.op, list(self.ops), name),)
            for source, conv in self.skips.items():
                yield conv, (Factor(self.choices.skips[int(source)], (0.0, 1.0)),)


class _ConvPool(Operation):
    """ReLU, 1x1 convolution, BatchNorm, 3x3 pooling."""

    def __init__(self, kind: str, channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv = relu_conv_norm(channels, channels, norm)
        self.pool = Pool(kind, channels, 1, norm)

    def forward(self, state: State) -> Tensor:
        out: Tensor = self.pool(State(self.conv(state)))
        return out


class _Reduction(FactorizedReduction):
    """A reduction that is there unless nobody reads it.

    Args:
        channels_in: channels in.
        channels_out: channels out.
        norm: flavour of BatchNorm.
        unread: factors whose product is the share in which nobody reads it; None where a layer
            always does.
    """

    def __init__(
        self, channels_in: int, channels_out: int, norm: Norm, unread: tuple[Factor, ...] | None
    ) -> None:
        super().__init__(channels_in, channels_out, norm)
        self.unread = unread

    def cost_terms(self, output: Tensor) -> Iterator[Term]:
        """Yields what one run costs (see `core.cost`)."""
        params = sum(p.numel() for p in self.parameters())
        adds = output.numel() * self.even.in_channels
        yield Term((params, adds), ())
        if self.unread is not None:
            yield Term((-params, -adds), self.unread)


def thirds(layers: int) -> tuple[int, int]:
    """Returns the last layers of the first and of the second third."""
    return layers // 3, 2 * (layers // 3)


def _operation(name: str, channels: int, norm: Norm) -> Operation:
    """Builds a 1x1 convolution and what its name says."""
    if name.endswith("pool_3x3"):
        return _ConvPool("max" if name.startswith("max") else "average", channels, norm)
    kernel = int(name[-1])
    stage: list[nn.Conv2d] = [_conv(channels, kernel)]
    if name.startswith("sep"):
        stage = [DepthwiseConv(channels, kernel, 1, 1), _point(channels)]
    return ReluConvNorm([[_point(channels)], stage], norm)


def _conv(channels: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, 1, kernel // 2, bias=False)


def _point(channels: int) -> nn.Conv2d:
    return _conv(channels, 1)


def _sum(terms: Sequence[Tensor], weights: Sequence[Tensor] | None) -> Tensor:
    """Returns the sum of terms, weighted unless there are no weights."""
    return sum(terms[1:], start=terms[0]) if weights is None else weighted_sum(weights, terms)
