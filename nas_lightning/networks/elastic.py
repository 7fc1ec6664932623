"""Sizes that a mixture chooses: one convolution serves every kernel and number of channels.

Convolution is linear in its kernel, so a mixture of kernel sizes is one convolution whose taps are
weighted by the sum over the sizes that reach them; a mixture of channel counts weighs each channel
by the sizes that have it. Everything is cropped to the largest size that may run: the leading
channels, the centre of the kernel. So a supernet at a one-hot mixture computes its child.

Sources: Stamoulis et al., Single-Path NAS, 2019 (arXiv:1904.02877) for kernels; Wan et al.,
FBNetV2, 2020 (arXiv:2004.05565) for channels; Cai et al., Once-for-All, 2020 (arXiv:1908.09791)
for children that share leading channels and centres.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

import torch.nn.functional as F
from torch import Tensor, nn

from nas_lightning.core.choices import Factor, Mixture
from nas_lightning.core.cost import Factors, Term
from nas_lightning.networks.batch_norm import BatchNorm, Norm
from nas_lightning.networks.kernels import DepthwiseConv, depthwise_conv, pointwise_conv
from nas_lightning.networks.units import Resized

__all__ = [
    "ElasticConv",
    "ElasticDepthwise",
    "ElasticNorm",
    "Size",
    "combinations",
    "total_weight",
]


@dataclass(frozen=True)
class Size:
    """A kernel size or a number of channels: fixed, or one that a mixture chooses."""

    options: tuple[int, ...]  # each at least 1; kernel sizes are odd
    choice: int | None = None  # index of the choice whose options these are; None if fixed

    @property
    def largest(self) -> int:
        """The largest option, with which modules are built."""
        return max(self.options)

    def running(self, mixture: Mixture | None) -> int:
        """Returns the largest size that a mixture lets run."""
        if mixture is None or self.choice is None:
            return self.largest
        return max(self.options[index] for index in mixture.support[self.choice])

    def weights(self, mixture: Mixture | None) -> list[tuple[int, Tensor]]:
        """Returns the sizes that may run with their weights; [] where the size is fixed."""
        if mixture is None or self.choice is None:
            return []
        row = mixture.weights[self.choice]
        return [(self.options[index], row[index]) for index in mixture.support[self.choice]]

    def leading(self, mixture: Mixture | None) -> Tensor | None:
        """Returns the weight of each running channel (channels,), or None for a fixed size."""
        last = self.running(mixture)
        return _sum(F.pad(w.expand(n), (0, last - n)) for n, w in self.weights(mixture))

    def centred(self, mixture: Mixture | None, axes: int) -> Tensor | None:
        """Returns the weight of each running tap, (k,) or on 2 axes (k, k); None if fixed."""
        last, weights = self.running(mixture), self.weights(mixture)
        return _sum(F.pad(w.expand(*[n] * axes), [(last - n) // 2] * 2 * axes) for n, w in weights)


def total_weight(mixture: Mixture | None, *sizes: Size) -> Tensor | None:
    """Returns the product over sizes of the sum of their weights, or None for fixed sizes.

    An operation's output is multiplied by it. It is 1 for weights that sum to 1, but gives a
    gradient to the weight of a size that was sampled alone: BatchNorm hides its input's scale.
    """
    sums = [_sum(w for _, w in size.weights(mixture)) for size in sizes]
    weights = [total for total in sums if total is not None]
    return prod(weights[1:], start=weights[0]) if weights else None


def combinations(*sizes: Size) -> Iterator[tuple[Factors, list[Size]]]:
    """Yields every combination of the sizes' options, fixed, with the factors that choose it."""
    for indices in product(*(range(len(size.options)) for size in sizes)):
        picked = list(zip(sizes, indices, strict=True))
        factors = dict.fromkeys(
            Factor(size.choice, tuple(float(i == index) for i in range(len(size.options))))
            for size, index in picked
            if size.choice is not None
        )
        if len({factor.choice for factor in factors}) == len(factors):
            yield tuple(factors), [Size((size.options[index],)) for size, index in picked]


class ElasticConv(nn.Conv2d):
    """A convolution without bias whose kernel and channels may follow a mixture.

    It is padded to keep the size of maps at stride 1; `width` None stands for a square kernel.
    """

    def __init__(
        self,
        channels_in: Size,
        channels_out: Size,
        height: Size,
        width: Size | None = None,
        stride: tuple[int, int] = (1, 1),
    ) -> None:
        sides = (height.largest, (width or height).largest)
        super().__init__(channels_in.largest, channels_out.largest, sides, stride, bias=False)
        self.sizes, self.sides = (channels_in, channels_out), (height, width)

    def forward(
        self, x: Tensor, mixture: Mixture | None = None, share: Tensor | None = None
    ) -> Tensor:
        """Returns the convolved images (N, C', ceil(H / stride), ceil(W / stride)).

        `x` (N, C, H, W) are cropped to the channels that run, and `share` (C,) weighs each of them.
        """
        height, width = self.sides
        sides = [height.running(mixture), (width or height).running(mixture)]
        weight = self.weight[: self.sizes[1].running(mixture), : x.shape[1]]
        weight = _centre(weight, sides)
        if width is None:
            weight = _times(weight, height.centred(mixture, 2))
        else:
            weight = _times(weight, _column(height.centred(mixture, 1)))
            weight = _times(weight, width.centred(mixture, 1))
        weight = _times(weight, _column(_column(share)))
        if sides == [1, 1]:
            return pointwise_conv(x, weight, None, self.stride)
        return F.conv2d(x, weight, None, self.stride, [side // 2 for side in sides])

    def cost_terms(self, output: Tensor) -> Iterator[Term]:
        """Yields what one run costs (see `core.cost`)."""
        height, width = self.sides
        sides = [(height, 2)] if width is None else [(height, 1), (width, 1)]
        yield _term(output, *((size, 1) for size in self.sizes), *sides)

    def at_sizes(self, x: Tensor) -> Iterator[Resized]:
        """Yields it at every combination of its sizes (see `networks.units`)."""
        sides = [side for side in self.sides if side is not None]
        stride = self.stride[0], self.stride[1]
        for factors, (before, after, *fixed) in combinations(*self.sizes, *sides):
            width = None if len(fixed) == 1 else fixed[1]
            conv = ElasticConv(before, after, fixed[0], width, stride)
            yield Resized(factors, conv, x[:, : before.largest])


class ElasticDepthwise(DepthwiseConv):
    """A depthwise convolution whose kernel and channels may follow a mixture."""

    def __init__(self, channels: Size, kernel: Size, stride: int) -> None:
        super().__init__(channels.largest, kernel.largest, stride, 1)
        self.channels, self.kernel = channels, kernel

    def forward(self, x: Tensor, mixture: Mixture | None = None) -> Tensor:
        """Returns the convolved images (N, C, ceil(H / stride), ceil(W / stride))."""
        side = self.kernel.running(mixture)
        weight = _centre(self.weight[: x.shape[1]], [side, side])
        weight = _times(weight, self.kernel.centred(mixture, 2))
        return depthwise_conv(x, weight, self.stride[0], 1)

    def cost_terms(self, output: Tensor) -> Iterator[Term]:
        """Yields what one run costs (see `core.cost`)."""
        yield _term(output, (self.channels, 1), (self.kernel, 2))

    def at_sizes(self, x: Tensor) -> Iterator[Resized]:
        """Yields it at every combination of its sizes (see `networks.units`)."""
        for factors, (channels, kernel) in combinations(self.channels, self.kernel):
            conv = ElasticDepthwise(channels, kernel, self.stride[0])
            yield Resized(factors, conv, x[:, : channels.largest])


class ElasticNorm(BatchNorm):
    """BatchNorm of the leading channels, as many as run; its cost follows the mixture."""

    def __init__(self, channels: Size, norm: Norm) -> None:
        super().__init__(channels.largest, norm.affine, norm.fixed)
        self.channels = channels

    def cost_terms(self, output: Tensor) -> Iterator[Term]:
        """Yields what one run costs (see `core.cost`)."""
        if self.affine:
            term = _term(output, (self.channels, 1))
            yield Term((2 * term.amount[0], 0), term.factors)

    def at_sizes(self, x: Tensor) -> Iterator[Resized]:
        """Yields it at every number of channels (see `networks.units`)."""
        norm = Norm(self.affine, False, self.fixed)
        for factors, (channels,) in combinations(self.channels):
            yield Resized(factors, ElasticNorm(channels, norm), x[:, : channels.largest])


def _term(output: Tensor, *sizes: tuple[Size, int]) -> Term:
    """Returns the cost of prod(size ** power) params that each pixel of the output uses once."""
    amount, factors = 1, []
    for size, power in sizes:
        if size.choice is None:
            amount *= size.largest**power
        else:
            coefficients = tuple(float(option**power) for option in size.options)
            factors.append(Factor(size.choice, coefficients))
    return Term((amount, amount * output.shape[2] * output.shape[3]), tuple(factors))


def _centre(weight: Tensor, sides: list[int]) -> Tensor:
    for axis, side in zip((2, 3), sides, strict=True):
        weight = weight.narrow(axis, (weight.shape[axis] - side) // 2, side)
    return weight


def _column(share: Tensor | None) -> Tensor | None:
    return None if share is None else share[..., None]


def _times(weight: Tensor, share: Tensor | None) -> Tensor:
    return weight if share is None else weight * share


def _sum(terms: Iterator[Tensor]) -> Tensor | None:
    present = list(terms)
    return sum(present[1:], start=present[0]) if present else None
