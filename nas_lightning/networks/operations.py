"""The operations of published search spaces; images are (N, C, H, W), signals (N, C, 1, L).

Sources: Liu et al., DARTS, 2019 (arXiv:1806.09055) for the separable and dilated convolutions,
the factorized reduction and BatchNorm after pools; Zoph et al., NASNet, 2018 (arXiv:1707.07012)
for ReLU-convolution-BatchNorm order, plain and asymmetric convolutions and large max pools;
Dong & Yang, NAS-Bench-201, 2020 (arXiv:2001.00326) for convolutions with a bias.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_lightning.core.checks import unknown_name
from nas_lightning.networks.batch_norm import BatchNorm, Norm
from nas_lightning.networks.draws import NormalDraws
from nas_lightning.networks.fused_chain import fused_chain, takes_chain
from nas_lightning.networks.kernels import (
    DepthwiseConv,
    PointwiseConv,
    kernel_sides,
    padded_conv,
)
from nas_lightning.networks.state import State
from nas_lightning.networks.terms import Term, chain_of, is_fusible

__all__ = [
    "OPERATIONS",
    "FactorizedReduction",
    "Noise",
    "Operation",
    "Pool",
    "ReluConvNorm",
    "Skip",
    "build_operation",
    "described",
    "relu_conv_norm",
]


class Operation(nn.Module, ABC):
    """An operation of a branch: a module that maps a `State` to images."""

    is_identity = False

    def __init_subclass__(cls, **more: Any) -> None:
        """Lets a class with a forward of its own inherit no shortcut for another one."""
        super().__init_subclass__(**more)
        for name in ("term", "signature"):
            if "forward" in vars(cls) and name not in vars(cls):
                setattr(cls, name, vars(Operation)[name])

    def term(self, state: State, weight: Tensor) -> Term:
        """Returns the operation's output times a weight, as part of a fused sum."""
        return Term(self(state), weight)

    @abstractmethod
    def forward(self, state: State) -> Tensor:
        """Returns the operation's output (N, C', H', W')."""

    def signature(self) -> Hashable:
        """Returns what operations share that can run as one on one state; None runs alone."""
        return None


class Skip(Operation):
    """The identity."""

    is_identity = True

    def forward(self, state: State) -> Tensor:
        """Returns the state unchanged."""
        return state.x

    def signature(self) -> Hashable:
        """All are alike."""
        return "skip"


class Noise(Operation):
    """Replaces every value by a standard normal draw (RobustDARTS, 2020, arXiv:1909.09656)."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride, self.draws = stride, NormalDraws()

    def forward(self, state: State) -> Tensor:
        """Returns noise (N, C, ceil(H / stride), ceil(W / stride))."""
        num, channels, *sides = state.x.shape
        out: Tensor = self.draws(state.x, num, channels, *(-(-s // self.stride) for s in sides))
        return out


class Pool(Operation):
    """Pooling, followed by BatchNorm in search networks.

    `kind` is "max" or "average", and `kernel` the side of the window, 3 for averages.
    """

    def __init__(self, kind: str, channels: int, stride: int, norm: Norm, kernel: int = 3) -> None:
        super().__init__()
        self.kind, self.stride, self.kernel = kind, stride, kernel
        self.norm = norm(channels) if norm.after_pools else nn.Identity()

    def term(self, state: State, weight: Tensor) -> Term:
        """Returns the operation's output times a weight, as part of a fused sum."""
        if not is_fusible(self.norm):
            return super().term(state, weight)
        pool = state.pooled(self.kind, self.stride, self.kernel)
        return Term(state.x, weight, norm=self.norm, pool=pool)

    def forward(self, state: State) -> Tensor:
        """Returns the pooled images (N, C, ceil(H / stride), ceil(W / stride))."""
        out: Tensor = self.norm(self.pooled(state))
        return out

    def pooled(self, state: State) -> Tensor:
        """Returns the pooled images before BatchNorm."""
        if self.kind == "max":
            return state.max_pool(self.stride, self.kernel)
        return state.average_pool(self.stride)

    def signature(self) -> Hashable:
        """Pools of one kind, window, stride and BatchNorm are alike."""
        return self.kind, self.kernel, self.stride, described(self.norm)


class ReluConvNorm(Operation):
    """Stages of ReLU, convolutions and BatchNorm, which `norm` None leaves out."""

    def __init__(self, stages: list[list[nn.Conv2d]], norm: Norm | None) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for stage in stages:
            layers += [nn.ReLU(), *stage, *([norm(stage[-1].out_channels)] if norm else [])]
        self.layers = nn.Sequential(*layers[1:])
        self.chain = chain_of(layers[1:])

    def term(self, state: State, weight: Tensor) -> Term:
        """Returns the operation's output times a weight, as part of a fused sum."""
        if self.chain and all(is_fusible(stage.norm) for stage in self.chain):
            return Term(state.x, weight, self.chain)
        *first, last = self.layers
        if not is_fusible(last):
            return super().term(state, weight)
        x = state.relu()
        for layer in first:
            x = layer(x)
        return Term(x, weight, norm=last)

    def forward(self, state: State) -> Tensor:
        """Returns the convolved images (N, C', H', W')."""
        if takes_chain(state.x, self.chain):
            return fused_chain(state.x, self.chain)
        out: Tensor = self.layers(state.relu())
        return out

    def signature(self) -> Hashable:
        """Operations of the same layers are alike, if BatchNorm is the last one."""
        layers = tuple(map(described, self.layers))
        return layers if isinstance(self.layers[-1], BatchNorm) else None


class FactorizedReduction(Operation):
    """Halves height and width by two shifted 1x1 convolutions of half the channels each.

    Odd sizes are padded by a zero row and column at the end before the shift, so that both halves
    have ceil(H / 2) rows. `norm` None leaves BatchNorm out, and `axes` then tells
    signals, which have 1 and no rows to shift.
    """

    def __init__(
        self, channels_in: int, channels_out: int, norm: Norm | None, axes: int = 2
    ) -> None:
        super().__init__()
        self.axes = norm.axes if norm else axes
        half = channels_out // 2
        self.even = PointwiseConv(channels_in, half, stride=2, bias=False)
        self.odd = PointwiseConv(channels_in, channels_out - half, stride=2, bias=False)
        self.norm = norm(channels_out) if norm else nn.Identity()

    def forward(self, state: State) -> Tensor:
        """Returns images (N, channels_out, ceil(H / 2), ceil(W / 2))."""
        out: Tensor = self.norm(self._halves(state))
        return out

    def term(self, state: State, weight: Tensor) -> Term:
        """Returns the operation's output times a weight, as part of a fused sum."""
        if not is_fusible(self.norm):
            return super().term(state, weight)
        return Term(self._halves(state), weight, norm=self.norm)

    def _halves(self, state: State) -> Tensor:
        x = state.relu()
        return torch.cat([self.even(x), self.odd(self.shifted(x))], dim=1)

    def shifted(self, x: Tensor) -> Tensor:
        """Returns x without its first row and column."""
        height, width = x.shape[2:]
        if self.axes == 1:
            return F.pad(x, (-1, width % 2))
        return F.pad(x, (-1, width % 2, -1, height % 2))

    def signature(self) -> Hashable:
        """Those of the same convolutions and BatchNorm are alike."""
        layers = self.even, self.odd, self.norm
        is_normed = isinstance(self.norm, BatchNorm)
        return (self.axes, *map(described, layers)) if is_normed else None


def described(layer: nn.Module) -> Hashable:
    """Returns what a layer computes but for its params: its type and its settings in words."""
    own = (layer.affine, layer.fixed) if isinstance(layer, BatchNorm) else ()
    return type(layer), layer.extra_repr(), *own


def relu_conv_norm(channels_in: int, channels_out: int, norm: Norm | None) -> ReluConvNorm:
    """Returns ReLU, 1x1 convolution and BatchNorm, which `norm` None leaves out."""
    return ReluConvNorm([[nn.Conv2d(channels_in, channels_out, 1, bias=False)]], norm)


def _square(channels: int, kernel: int, stride: int, bias: bool, axes: int) -> list[nn.Conv2d]:
    if kernel == 1:
        return [PointwiseConv(channels, channels, stride, bias)]
    return [padded_conv(channels, channels, kernel, stride, axes, bias)]


def _asymmetric(channels: int, kernel: int, stride: int, axes: int) -> list[nn.Conv2d]:
    """A row of taps, then a column, one tap on signals, each with its half of the stride."""
    height, width = kernel_sides(kernel, axes)
    row = nn.Conv2d(channels, channels, (1, width), (1, stride), (0, width // 2), bias=False)
    down = (height, 1), (stride, 1), (height // 2, 0)
    return [row, nn.Conv2d(channels, channels, *down, bias=False)]


def _depthwise(
    channels: int, kernel: int, stride: int, dilation: int, axes: int
) -> list[nn.Conv2d]:
    wide = DepthwiseConv(channels, kernel, stride, dilation, axes)
    return [wide, nn.Conv2d(channels, channels, 1, bias=False)]


OPERATIONS = {
    "max_pool_3x3": ("max", 3),
    "avg_pool_3x3": ("average", 3),
    "skip_connect": ("skip", 1),
    "sep_conv_3x3": ("separable", 3),
    "sep_conv_5x5": ("separable", 5),
    "sep_conv_7x7": ("separable", 7),
    "dil_conv_3x3": ("dilated", 3),
    "dil_conv_5x5": ("dilated", 5),
    "max_pool_5x5": ("max", 5),
    "max_pool_7x7": ("max", 7),
    "conv_1x1": ("plain", 1),
    "conv_3x3": ("plain", 3),
    "conv_3x1_1x3": ("asymmetric", 3),
    "conv_7x1_1x7": ("asymmetric", 7),
    "nor_conv_1x1": ("normal", 1),
    "nor_conv_3x3": ("normal", 3),
    "noise": ("noise", 1),
}  # kind and kernel


def build_operation(name: str, channels: int, stride: int, norm: Norm) -> Operation:
    """Returns an operation with as many channels out as in; branches of "none" are left out.

    Raises: ValueError: there is no operation of that name.
    """
    if name not in OPERATIONS:
        raise ValueError(unknown_name("op", name, ["none", *OPERATIONS]))
    kind, kernel = OPERATIONS[name]
    if kind == "noise":
        return Noise(stride)
    if kind == "skip":
        return Skip() if stride == 1 else FactorizedReduction(channels, channels, norm)
    if kind in ("max", "average"):
        return Pool(kind, channels, stride, norm, kernel)
    if kind == "asymmetric":
        stages = [_asymmetric(channels, kernel, stride, norm.axes)]
    elif kind == "separable":
        stages = [_depthwise(channels, kernel, s, 1, norm.axes) for s in (stride, 1)]
    elif kind == "dilated":
        stages = [_depthwise(channels, kernel, stride, 2, norm.axes)]
    else:  # a "normal" convolution has a bias exactly where BatchNorm is not affine
        bias = kind == "normal" and not norm.affine
        stages = [_square(channels, kernel, stride, bias, norm.axes)]
    return ReluConvNorm(stages, norm)
