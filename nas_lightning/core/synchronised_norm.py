"""BatchNorm over the batches of all processes, on any device."""

from typing import Any

import torch
from torch import Tensor, distributed, nn

__all__ = ["synchronised_norm"]


def synchronised_norm(norm: nn.BatchNorm2d, x: Tensor, moves: bool) -> Tensor:
    """Returns x normalised a channel by the statistics of every process's batch together.

    Means and variances are exchanged in one collective operation, and their gradients in another
    one; torch's own SyncBatchNorm runs on accelerators only. All processes must have equally
    large batches, as the processes of one run do.

    Args:
        norm: scales, shifts, running statistics and their momentum.
        x: this process's images (N, channels, H, W).
        moves: whether the running statistics move.
    """
    wide = x if x.dtype == torch.float64 else x.float()
    own = torch.stack(torch.var_mean(wide, dim=(0, 2, 3), correction=0))
    variances, means = _Gathered.apply(own).unbind(1)  # type: ignore[no-untyped-call]
    mean = means.mean(0)
    var = (variances + (means - mean) ** 2).mean(0)
    if moves:
        _move(norm, mean.detach(), var.detach(), len(means) * x.numel() // x.shape[1])
    scale = torch.rsqrt(var + norm.eps)
    shift = -mean * scale
    if norm.affine:
        scale, shift = scale * norm.weight, shift * norm.weight + norm.bias
    return (wide * _by_channel(scale) + _by_channel(shift)).to(x.dtype)


@torch.no_grad()
def _move(norm: nn.BatchNorm2d, mean: Tensor, var: Tensor, count: int) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    momentum = norm.momentum or 0.0
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), momentum)
    unbiased = var * (count / max(1, count - 1))
    norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), momentum)


def _by_channel(values: Tensor) -> Tensor:
    return values[None, :, None, None]


class _Gathered(torch.autograd.Function):
    """The tensors of all processes, stacked; a gradient goes back to the process it is for."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        parts = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, own.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        total = grad.contiguous().clone()
        distributed.all_reduce(total)
        return total[distributed.get_rank()]
