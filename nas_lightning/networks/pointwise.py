"""1x1 convolutions that read every other row and column before they multiply, not after.

The function is torch's own up to rounding. Its gradient on a CPU with AVX2 but without AVX-512
writes outside its memory at stride 2 and fewer than eight channels (oneDNN in torch 2.13), which
ends the process at some later time; at stride 1 it does not.
"""

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["PointwiseConv", "pointwise_conv"]


class PointwiseConv(nn.Conv2d):
    """A 1x1 convolution.

    Args:
        channels_in: channels in.
        channels_out: channels out.
        stride: distance of the rows and columns that are read.
        bias: whether it has one.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, bias: bool) -> None:
        super().__init__(channels_in, channels_out, 1, stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the convolved images (N, C', ceil(H / stride), ceil(W / stride))."""
        return pointwise_conv(x, self.weight, self.bias, self.stride)


def pointwise_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, ...]
) -> Tensor:
    """Returns images (N, C', ceil(H / stride), ceil(W / stride)) convolved by 1x1 kernels.

    Args:
        x: images (N, C, H, W).
        weight: kernels (C', C, 1, 1).
        bias: one a channel (C',), or None.
        stride: that of rows and that of columns.
    """
    if max(stride) > 1:  # a pool of one pixel: what slices give, with a gradient in one pass
        x = F.avg_pool2d(x, 1, stride)
    return F.conv2d(x, weight, bias)
