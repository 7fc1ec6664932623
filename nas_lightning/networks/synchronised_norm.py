"""BatchNorm over the batches of all processes, on any device."""

from typing import Any

import torch
from torch import Tensor, distributed

__all__ = ["synchronised_norm"]


def synchronised_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    momentum: float,
    eps: float,
) -> Tensor:
    """Returns x normalised per channel by the statistics of all processes' batches together.

    Means and variances are exchanged in one collective operation, and their gradients in another
    one; torch's own SyncBatchNorm runs on accelerators only. All processes must have equally
    large batches, as the processes of one run have.

    Args:
        x: this process's images (N, channels, H, W).
        running_mean: (channels,), moved towards the mean, unless None.
        running_var: (channels,), moved towards the unbiased variance, unless None.
        weight: scales (channels,), or None.
        bias: shifts (channels,), or None.
        momentum: share of the batch in the moved statistics, in [0, 1].
        eps: added to the variance.
    """
    wide = x if x.dtype == torch.float64 else x.float()
    own = torch.stack(torch.var_mean(wide, dim=(0, 2, 3), correction=0))
    variances, means = _Gathered.apply(own).unbind(1)  # type: ignore[no-untyped-call]
    mean = means.mean(0)
    var = (variances + (means - mean) ** 2).mean(0)
    count = len(means) * x.numel() // x.shape[1]
    _move(running_mean, mean, momentum)
    _move(running_var, var * (count / max(1, count - 1)), momentum)
    scale = torch.rsqrt(var + eps)
    shift = -mean * scale
    if weight is not None and bias is not None:
        scale, shift = scale * weight, shift * weight + bias
    scale, shift = (values[None, :, None, None] for values in (scale, shift))
    return (wide * scale + shift).to(x.dtype)


@torch.no_grad()
def _move(running: Tensor | None, value: Tensor, momentum: float) -> None:
    if running is not None:
        running.lerp_(value.to(running.dtype), momentum)


class _Gathered(torch.autograd.Function):
    """The tensors of all processes, stacked; each gradient returns to its process."""

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
