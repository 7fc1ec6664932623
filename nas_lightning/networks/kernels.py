"""Kernels that are faster or safer than torch's own, whose functions they equal up to rounding.

Gradients of torch's depthwise convolutions are slow on a CPU for large, dilated or strided kernels.

Signals (N, C, L) are maps (N, C, 1, L), on which kernels have height 1 (`kernel_sides`): that is a
convolution along one axis, and so is pooling, since no window of ours counts its padding.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight

from nas_lightning.networks import native, native_calls

__all__ = [
    "DepthwiseConv",
    "PointwiseConv",
    "as_maps",
    "depthwise_conv",
    "has_own_gradients",
    "kernel_sides",
    "padded_conv",
    "pointwise_conv",
    "spatial_mean",
    "weighted_sum",
]

WIDEST = 3  # columns of a kernel whose gradient is fast


def as_maps(x: Tensor) -> Tensor:
    """Returns images (N, C, H, W) unchanged, and signals (N, C, L) as maps of height 1."""
    return x if x.dim() == 4 else x.unsqueeze(2)


def kernel_sides(side: int, axes: int) -> tuple[int, int]:
    """Returns the height and width of a kernel: 1 and its side on 1 axis, the side twice on 2."""
    return side if axes == 2 else 1, side


def padded_conv(
    channels_in: int, channels_out: int, kernel: int, stride: int, axes: int, bias: bool = False
) -> nn.Conv2d:
    """Returns a convolution along 1 or 2 axes that at stride 1 keeps the size of maps."""
    sides, reach = kernel_sides(kernel, axes), (kernel // 2 if axes == 2 else 0, kernel // 2)
    return nn.Conv2d(channels_in, channels_out, sides, stride, reach, bias=bias)


class DepthwiseConv(nn.Conv2d):
    """A convolution per channel, without bias, padded to keep the size at stride 1.

    The kernel's side is odd; stride and dilation, the distance of its taps, are 1 or 2.
    """

    def __init__(
        self, channels: int, kernel: int, stride: int, dilation: int, axes: int = 2
    ) -> None:
        sides = kernel_sides(kernel, axes)
        padding = (dilation * (sides[0] - 1) // 2, dilation * (sides[1] - 1) // 2)
        super().__init__(
            channels, channels, sides, stride, padding, dilation, groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns the convolved images (N, C, ceil(H / stride), ceil(W / stride))."""
        return depthwise_conv(x, self.weight, self.stride[0], self.dilation[0])


class PointwiseConv(nn.Conv2d):
    """A 1x1 convolution that at stride 2 drops rows and columns before it multiplies."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, bias: bool) -> None:
        super().__init__(channels_in, channels_out, 1, stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the convolved images (N, C', ceil(H / stride), ceil(W / stride))."""
        return pointwise_conv(x, self.weight, self.bias, self.stride)


def depthwise_conv(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """Returns images (N, C, ceil(H / stride), ceil(W / stride)) convolved by kernels (C, 1, h, w).

    Taps that can only meet padding (large kernels on small maps) are not computed. At stride 2
    and dilation 2 only every other row and column is read: a plain convolution of those.
    """
    if native.is_plain():
        reach = [dilation * (side - 1) // 2 for side in weight.shape[2:]]
        return F.conv2d(x, weight, None, stride, reach, dilation, x.shape[1])
    if stride == dilation == 2:  # a pool of one pixel: see `pointwise_conv`
        x, stride, dilation = F.avg_pool2d(x, 1, 2), 1, 1
    for axis in (2, 3):
        taps = weight.shape[axis]
        unused = _unused(taps, x.shape[axis], dilation)
        if unused:
            weight = weight.narrow(axis, unused, taps - 2 * unused)
    padding = [dilation * (side - 1) // 2 for side in weight.shape[2:]]
    if x.requires_grad and has_own_gradients(x):
        out: Tensor = _Depthwise.apply(  # type: ignore[no-untyped-call]
            x, weight, stride, padding, dilation
        )
        return out
    return F.conv2d(x, weight, None, stride, padding, dilation, x.shape[1])


def has_own_gradients(x: Tensor) -> bool:
    """Returns whether gradients of depthwise convolutions are ours: on a CPU, not in bf16."""
    return x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


def pointwise_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, ...]
) -> Tensor:
    """Returns images (N, C', ceil(H / stride), ceil(W / stride)) by kernels (C', C, 1, 1).

    At stride 2 and fewer than eight channels the gradient of torch's own, on a CPU with AVX2 but
    without AVX-512, writes outside its memory (oneDNN in torch 2.13) and ends the process at some
    later time; at stride 1 it does not.
    """
    if native.is_plain():
        return F.conv2d(x[:, :, :: stride[0], :: stride[-1]], weight, bias)
    if max(stride) > 1:  # a pool of one pixel: what slices give, with a gradient in one pass
        x = F.avg_pool2d(x, 1, stride)
    return F.conv2d(x, weight, bias)


def concatenated(parts: Sequence[Tensor]) -> Tensor:
    """Returns images (N, C, H, W) as one, their channels side by side.

    Each part has a gradient of its own memory: of torch's BatchNorm, on a CPU, the backward pass
    takes nine times as long where the gradient is a slice of channels (torch 2.13).
    """
    if native.is_plain() or len(parts) == 1:
        return torch.cat(list(parts), dim=1)
    out: Tensor = _Concatenated.apply(*parts)  # type: ignore[no-untyped-call]
    return out


def spatial_mean(x: Tensor) -> Tensor:
    """Returns the means (N, C) of images (N, C, H, W); its gradient lies channels last."""
    return x.permute(0, 2, 3, 1).mean(dim=(1, 2))


def weighted_sum(weights: Sequence[Tensor], terms: Sequence[Tensor]) -> Tensor:
    """Returns the sum of scalar weights[k] * terms[k], differentiable in both to any order.

    It keeps no products.
    """
    if native.is_plain():
        products = [weight * term for weight, term in zip(weights, terms, strict=True)]
        return sum(products[1:], start=products[0])
    out: Tensor = _WeightedSum.apply(*weights, *terms)  # type: ignore[no-untyped-call]
    return out


class _Depthwise(torch.autograd.Function):
    """The convolution with gradients that are faster than torch's own.

    That of the images is at stride 1 a forward convolution by the flipped kernel. A dilated kernel
    sees four interleaved images apart from each other, and so does its gradient.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: list[int], dilation: int
    ) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        ctx.stride, ctx.padding, ctx.dilation, ctx.shape = stride, padding, dilation, x.shape
        return F.conv2d(x, weight, None, stride, padding, dilation, x.shape[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        padding, dilation, stride, channels = ctx.padding, ctx.dilation, ctx.stride, ctx.shape[1]
        to_x = to_weight = None
        if ctx.needs_input_grad[0] and stride == 1:
            to_x = F.conv2d(grad, weight.flip(2, 3), None, 1, padding, dilation, channels)
        elif ctx.needs_input_grad[0]:
            to_x = conv2d_input(  # type: ignore[no-untyped-call]
                ctx.shape, weight, grad, stride, padding, dilation, channels
            )
        if ctx.needs_input_grad[1]:
            if native.takes(x) and not torch.is_grad_enabled():  # else to be differentiated
                shape = native_calls.shape_of(x, weight, channels, stride, dilation)
                to_weight = native_calls.kernel_gradient(shape, x, grad, weight)
                return to_x, to_weight, None, None, None
            if dilation == 2 and all(side % 2 == 0 for side in x.shape[2:]):
                x, grad, dilation = _four_images(x), _four_images(grad), 1
                padding = [side // 2 for side in padding]
            to_weight = _to_weight(x, grad, weight.shape, stride, padding, dilation)
        return to_x, to_weight, None, None, None


class _Concatenated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *parts: Tensor) -> Tensor:
        ctx.channels = [part.shape[1] for part in parts]
        return torch.cat(parts, dim=1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        parts = torch.split(grad, ctx.channels, dim=1)
        return tuple(part.clone(memory_format=torch.preserve_format) for part in parts)


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        weights, terms = inputs[: len(inputs) // 2], inputs[len(inputs) // 2 :]
        needs_terms = any(weight.requires_grad for weight in weights)
        ctx.save_for_backward(*weights, *(terms if needs_terms else ()))
        out = terms[0] * weights[0]
        for weight, term in zip(weights[1:], terms[1:], strict=True):
            out.addcmul_(term, weight)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        num = len(ctx.needs_input_grad) // 2
        weights, terms = ctx.saved_tensors[:num], ctx.saved_tensors[num:]
        needs_weight, needs_term = ctx.needs_input_grad[:num], ctx.needs_input_grad[num:]
        to_weights = [_inner(grad, terms[k]) if n else None for k, n in enumerate(needs_weight)]
        to_terms = [grad * weights[k] if n else None for k, n in enumerate(needs_term)]
        return (*to_weights, *to_terms)


def _to_weight(
    x: Tensor,
    grad: Tensor,
    shape: Sequence[int],
    stride: int,
    padding: Sequence[int],
    dilation: int,
) -> Tensor:
    """Returns the gradient of a depthwise convolution's kernels (C, 1, h, w).

    On a CPU torch is ten times as fast where a kernel has at most three columns (oneDNN in torch
    2.13), so that those of wider ones are taken three at a time, each from images moved to meet it.
    """
    columns, channels = shape[3], x.shape[1]
    if columns <= WIDEST or dilation > 1:
        out: Tensor = conv2d_weight(  # type: ignore[no-untyped-call]
            x, shape, grad, stride, padding, dilation, channels
        )
        return out
    parts = []
    for first in range(0, columns, WIDEST):
        last = min(first + WIDEST, columns)
        moved = F.pad(x, (padding[1] - first, padding[1] - columns + last))
        part = [*shape[:3], last - first]
        parts.append(
            conv2d_weight(  # type: ignore[no-untyped-call]
                moved, part, grad, stride, (padding[0], 0), 1, channels
            )
        )
    return torch.cat(parts, dim=3)


def _unused(kernel: int, side: int, dilation: int) -> int:
    """Returns how many taps at each end of an axis reach beyond every pixel."""
    return max(0, (kernel - 1) // 2 - (side - 1) // dilation)


def _four_images(x: Tensor) -> Tensor:
    """Returns x (N, C, 2 h, 2 w) as its four interleaved images (4 N, C, h, w)."""
    batch, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(batch, height // 2, 2, width // 2, 2, channels)
    apart = rows.permute(2, 4, 0, 1, 3, 5).reshape(-1, height // 2, width // 2, channels)
    return apart.permute(0, 3, 1, 2)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """Returns the sum of a * b, without the product where both lie channels last."""
    if a.dim() == 4:
        a, b = a.permute(0, 2, 3, 1), b.permute(0, 2, 3, 1)
    return torch.dot(a.reshape(-1), b.reshape(-1))
