"""Depthwise convolutions whose gradients are fast on a CPU; the function is torch's own.

Two arrangements, both exact up to rounding: taps of the kernel that can only meet padding (large
dilated kernels on small maps) are not computed; and at stride 1 the gradient of the images is a
forward convolution with the flipped kernel, where the library's backward-data is slow.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight

__all__ = ["DepthwiseConv"]


class DepthwiseConv(nn.Conv2d):
    """A convolution a channel, without bias, padded to keep the size at stride 1.

    Args:
        channels: channels in and out.
        kernel: side of the kernel, odd.
        stride: 1 or 2.
        dilation: distance of the kernel's taps.
    """

    def __init__(self, channels: int, kernel: int, stride: int, dilation: int) -> None:
        padding = dilation * (kernel - 1) // 2
        super().__init__(
            channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns the convolved images (N, C, ceil(H / stride), ceil(W / stride))."""
        dilation, stride = self.dilation[0], self.stride[0]
        unused = [self._unused(side) for side in x.shape[2:]]
        weight = self.weight[:, :, *(slice(n, self.kernel_size[0] - n) for n in unused)]
        padding = [dilation * (side - 1) // 2 for side in weight.shape[2:]]
        if stride == 1 and x.device.type == "cpu" and x.requires_grad:
            out: Tensor = _Depthwise.apply(x, weight, padding, dilation)  # type: ignore[no-untyped-call]
            return out
        return F.conv2d(x, weight, None, stride, padding, dilation, self.groups)

    def _unused(self, side: int) -> int:
        """Returns how many taps at each end of an axis reach beyond every pixel."""
        reach = (self.kernel_size[0] - 1) // 2
        return max(0, reach - (side - 1) // self.dilation[0])


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: list[int], dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding, ctx.dilation = padding, dilation
        return F.conv2d(x, weight, None, 1, padding, dilation, x.shape[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        options = (1, ctx.padding, ctx.dilation, x.shape[1])
        to_x = to_weight = None
        if ctx.needs_input_grad[0]:
            to_x = F.conv2d(grad, weight.flip(2, 3), None, *options)
        if ctx.needs_input_grad[1]:
            to_weight = conv2d_weight(  # type: ignore[no-untyped-call]
                x, weight.shape, grad, *options
            )
        return to_x, to_weight, None, None
