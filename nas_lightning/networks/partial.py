"""Operations on part of a state's channels: the others bypass them, and a shuffle mixes both.

Source: Xu et al., PC-DARTS, 2020 (arXiv:1907.05737), section 3.2, equation 2, and the official
code.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_lightning.networks.operations import Operation
from nas_lightning.networks.state import State

__all__ = ["BYPASS", "Bypass", "partial_channels", "shuffled"]

BYPASS = "bypass"


class Bypass(Operation):
    """Carries the channels that no operation reads: the identity, or at stride 2 max pooling."""

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
    order = torch.arange(x.shape[1], device=x.device).view(groups, -1).t().flatten()
    out: Tensor = _Reordered.apply(x, order)  # type: ignore[no-untyped-call]
    return out


class _Reordered(torch.autograd.Function):
    """Images (N, C, H, W) with channels in another order, a permutation, and channels last."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        rows = x.permute(0, 2, 3, 1)
        moved = rows.reshape(-1, len(order)).index_select(1, order)
        return moved.view(rows.shape).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (order,) = ctx.saved_tensors
        back: Tensor = _Reordered.apply(grad, order.argsort())  # type: ignore[no-untyped-call]
        return back, None
