"""ENAS's macro networks: a chain of layers into which earlier states skip.

Source: Pham et al., ENAS, 2018 (arXiv:1802.03268), section 2.3, and the official code
(melodyguan/enas). State 0 is the stem's output and state i layer i's. Layer i works on state
i - 1, and states before that one may skip in. After each third all states are halved by a
factorized reduction of their own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from nas_lightning.core.choices import Factor, Mixture
from nas_lightning.core.cost import Term
from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import DropPath
from nas_lightning.networks.kernels import DepthwiseConv, weighted_sum
from nas_lightning.networks.operations import (
    FactorizedReduction,
    Operation,
    Pool,
    ReluConvNorm,
    State,
    relu_conv_norm,
)

__all__ = ["LayerChoices", "MacroNetwork", "thirds"]


@dataclass(frozen=True)
class LayerChoices:
    """Where a mixture weighs one layer.

    Attributes:
        op: index of the choice of its operation.
        skips: by source, index of the choice whose second option lets it skip in.
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
        norm, self.choices = Norm.of(scale), choices
        growth = 2 if scale.flavour == "child" else 1
        self.widths = [scale.channels * growth**third for third in range(3)]
        ends = thirds(len(ops))
        self.third = [0] + [sum(layer > end for end in ends) for layer in ops]
        self.stem = nn.Sequential(
            nn.Conv2d(scale.image()[0], scale.channels, 3, 1, 1, bias=False),
            norm.always_affine(scale.channels),
        )
        self.layers = nn.ModuleDict(
            {
                str(i): _Layer(ops[i], skips[i], self.widths[self.third[i]], norm, i == 1)
                for i in ops
            }
        )
        self.reductions = nn.ModuleDict(self._reductions(skips, norm))
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
        known = {(0, 0): State(self.stem(x))}
        for layer, module in enumerate(self.layers.values(), start=1):
            third = self.third[layer]
            ops, skips = self._weights(layer, mixture)
            before = self._read(layer - 1, third, known)
            read = {s: (self._read(s, third, known), weight) for s, weight in skips.items()}
            known[layer, third] = State(module(before, ops, read, drop_path))
        logits: Tensor = self.classifier(known[layer, third].x.mean(dim=(2, 3)))
        return logits

    def weighted_modules(self) -> Iterator[tuple[nn.Module, tuple[Factor, ...]]]:
        """Yields operations and skips with what weighs them (see `core.cost`)."""
        for layer, module in enumerate(self.layers.values(), start=1):
            if self.choices is None:
                return
            assert isinstance(module, _Layer)
            choices = self.choices[layer]
            for name, op in module.ops.items():
                yield op, (Factor.taking(choices.op, list(module.ops), name),)
            for source, conv in module.skips.items():
                yield conv, (Factor(choices.skips[int(source)], (0.0, 1.0)),)

    def _weights(
        self, layer: int, mixture: Mixture | None
    ) -> tuple[dict[str, Tensor | None], dict[int, Tensor | None]]:
        """Returns by name the operations that run and by source the skips, with their weights."""
        module = self.layers[str(layer)]
        assert isinstance(module, _Layer)
        if self.choices is None or mixture is None:
            return dict.fromkeys(module.ops), {int(source): None for source in module.skips}
        choices, names = self.choices[layer], list(module.ops)
        weights, support = mixture.weights, mixture.support
        return (
            {names[k]: weights[choices.op, k] for k in support[choices.op]},
            {s: weights[c, 1] for s, c in choices.skips.items() if 1 in support[c]},
        )

    def _read(self, state: int, third: int, known: dict[tuple[int, int], State]) -> State:
        """Returns a state as a later third sees it, reduced once a third."""
        if (state, third) not in known:
            before = self._read(state, third - 1, known)
            known[state, third] = State(self.reductions[f"{third}_of_{state}"](before))
        return known[state, third]

    def _reductions(self, skips: Mapping[int, Sequence[int]], norm: Norm) -> dict[str, nn.Module]:
        """Builds the reductions that somebody reads, or may read."""
        found: dict[str, nn.Module] = {}
        for third in (1, 2):
            for state in range(len(skips)):
                later = [i for i in skips if self.third[i] >= third]
                readers = [i for i in later if state in skips[i]]
                is_input = state + 1 in later
                if self.third[state] < third and (readers or is_input):
                    unread = None
                    if self.choices is not None and not is_input:
                        skips_in = [self.choices[i].skips[state] for i in readers]
                        unread = tuple(Factor(choice, (1.0, 0.0)) for choice in skips_in)
                    widths = self.widths[third - 1], self.widths[third]
                    found[f"{third}_of_{state}"] = _Reduction(*widths, norm, unread)
        return found


class _Layer(nn.Module):
    """Operations on the state before, whose mixture is joined with what skips in.

    The convolution of a concatenation is the sum of one convolution a source. The first layer
    joins nothing, as in the official code.
    """

    def __init__(
        self, ops: Sequence[str], skips: Sequence[int], channels: int, norm: Norm, is_first: bool
    ) -> None:
        super().__init__()
        self.ops = nn.ModuleDict({op: _operation(op, channels, norm) for op in ops})
        self.skips = nn.ModuleDict({str(source): _point(channels) for source in skips})
        self.is_first = is_first
        if not is_first:
            self.own, self.norm = _point(channels), norm(channels)

    def forward(
        self,
        before: State,
        ops: Mapping[str, Tensor | None],
        skips: Mapping[int, tuple[State, Tensor | None]],
        drop_path: DropPath | None,
    ) -> Tensor:
        """Returns the layer's state (N, C, H, W).

        Args:
            before: the state before.
            ops: by name, what runs and its weight.
            skips: by source, the state that skips in and its weight.
            drop_path: drops operations' outputs.
        """
        outs = [self.ops[op](before) for op in ops]
        outs = outs if drop_path is None else [drop_path(out, self.training) for out in outs]
        out = _mixed(list(ops.values()), outs)
        if self.is_first:
            return out
        terms = [self.skips[str(source)](state.relu()) for source, (state, _) in skips.items()]
        own = self.own(F.relu(out))
        if terms:
            own = own + _mixed([weight for _, weight in skips.values()], terms)
        joined: Tensor = self.norm(own)
        return joined


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
        unread: factors whose product is the share in which nobody reads it; None where
            somebody always does.
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


def _mixed(weights: Sequence[Tensor | None], terms: Sequence[Tensor]) -> Tensor:
    """Returns the weighted sum of terms, or the sum where a child has no weights."""
    present = [weight for weight in weights if weight is not None]
    return weighted_sum(present, terms) if present else sum(terms[1:], start=terms[0])


def thirds(layers: int) -> tuple[int, int]:
    """Returns the last layers of the first and of the second third."""
    return layers // 3, 2 * (layers // 3)
