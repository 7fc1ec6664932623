"""Partial channels: a mixed operation runs on a part of the channels, the others bypass it.

Source: Xu et al., PC-DARTS, 2020 (arXiv:1907.05737), section 3.2, and the official code.
"""

import torch.nn.functional as F
from torch import Tensor

from nas_lightning.networks.operations import Operation, State

__all__ = ["BYPASS", "Bypass", "partial_channels", "shuffled"]

BYPASS = "bypass"


class Bypass(Operation):
    """Carries the channels that no operation reads: the identity, or 2x2 max pooling.

    Args:
        stride: 1 or 2; odd sizes round up, as with operations of stride 2.
    """

    is_identity = True

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, state: State) -> Tensor:
        """Returns the images (N, C, ceil(H / stride), ceil(W / stride))."""
        return state.x if self.stride == 1 else F.max_pool2d(state.x, 2, 2, ceil_mode=True)


def partial_channels(channels: int, partial: int) -> tuple[int, int]:
    """Returns how many channels operations read, and how many bypass them."""
    return channels // partial, channels - channels // partial


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Returns x (N, C, H, W) with channel g * C / groups + k at place k * groups + g."""
    num, channels, *size = x.shape
    return x.view(num, groups, channels // groups, *size).transpose(1, 2).reshape(x.shape)
