"""Depthwise convolutions whose gradients are fast on a CPU; the function is torch's own.

The library's backward passes are slow for large, dilated or strided depthwise kernels. These
arrangements are exact up to rounding:

- taps of a kernel that can only meet padding (large kernels on small maps) are not computed;
- at stride 2 and dilation 2 only every other row and column is read: a plain convolution of those;
- the gradient of the images is a forward convolution with the flipped kernel, at stride 2 of the
  gradient with zeros between its entries, and that of the kernel uses the same entries;
- a dilated kernel sees four interleaved images apart from each other, and so does its gradient.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight

__all__ = ["DepthwiseConv", "depthwise_conv"]


class DepthwiseConv(nn.Conv2d):
    """A convolution a channel, without bias, padded to keep the size at stride 1.

    Args:
        channels: channels in and out.
        kernel: side of the kernel, odd.
        stride: 1 or 2.
        dilation: distance of the kernel's taps, 1 or 2.
    """

    def __init__(self, channels: int, kernel: int, stride: int, dilation: int) -> None:
        padding = dilation * (kernel - 1) // 2
        super().__init__(
            channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns the convolved images (N, C, ceil(H / stride), ceil(W / stride))."""
        return depthwise_conv(x, self.weight, self.stride[0], self.dilation[0])


def depthwise_conv(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """Returns images convolved a channel, padded to keep the size at stride 1.

    Args:
        x: images (N, C, H, W).
        weight: kernels (C, 1, k, k), k odd.
        stride: 1 or 2.
        dilation: distance of the kernel's taps, 1 or 2.

    Returns:
        Images (N, C, ceil(H / stride), ceil(W / stride)).
    """
    if stride == dilation == 2:
        x, stride, dilation = x[:, :, ::2, ::2], 1, 1
    unused = [_unused(weight.shape[-1], side, dilation) for side in x.shape[2:]]
    weight = weight[:, :, *(slice(n, weight.shape[-1] - n) for n in unused)]
    padding = [dilation * (side - 1) // 2 for side in weight.shape[2:]]
    is_plain = x.device.type != "cpu" or torch.is_autocast_enabled("cpu")
    if x.requires_grad and not is_plain:
        out: Tensor = _Depthwise.apply(  # type: ignore[no-untyped-call]
            x, weight, stride, padding, dilation
        )
        return out
    return F.conv2d(x, weight, None, stride, padding, dilation, x.shape[1])


def _unused(kernel: int, side: int, dilation: int) -> int:
    """Returns how many taps at each end of an axis reach beyond every pixel."""
    return max(0, (kernel - 1) // 2 - (side - 1) // dilation)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: list[int], dilation: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding, ctx.dilation = stride, padding, dilation
        return F.conv2d(x, weight, None, stride, padding, dilation, x.shape[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        padding, dilation, channels = ctx.padding, ctx.dilation, x.shape[1]
        if ctx.stride == 2:
            spread = torch.zeros_like(x)
            spread[:, :, ::2, ::2] = grad
            grad = spread
        to_x = to_weight = None
        if ctx.needs_input_grad[0]:
            to_x = F.conv2d(grad, weight.flip(2, 3), None, 1, padding, dilation, channels)
        if ctx.needs_input_grad[1]:
            if dilation == 2 and all(side % 2 == 0 for side in x.shape[2:]):
                x, grad, dilation = _four_images(x), _four_images(grad), 1
                padding = [side // 2 for side in padding]
            to_weight = conv2d_weight(  # type: ignore[no-untyped-call]
                x, weight.shape, grad, 1, padding, dilation, channels
            )
        return to_x, to_weight, None, None, None


def _four_images(x: Tensor) -> Tensor:
    """Returns x (N, C, 2 h, 2 w) as its four interleaved images (4 N, C, h, w)."""
    batch, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(batch, height // 2, 2, width // 2, 2, channels)
    apart = rows.permute(2, 4, 0, 1, 3, 5).reshape(-1, height // 2, width // 2, channels)
    return apart.permute(0, 3, 1, 2)
