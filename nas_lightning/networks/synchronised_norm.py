"""BatchNorm's normalisation by the batches of all processes together, on any device."""

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

    It runs on any device, torch's own SyncBatchNorm on accelerators only. All processes must have
    equally large batches, as those of one run have. The arguments are those of F.batch_norm.
    """
    wide = x if x.dtype == torch.float64 else x.float()
    own = torch.stack(torch.var_mean(wide, dim=(0, 2, 3), correction=0))
    variances, means = _Gathered.apply(own).unbind(1)  # type: ignore[no-untyped-call]
    mean = means.mean(0)
    var = (variances + (means - mean) ** 2).mean(0)
    count = len(means) * x.numel() // x.shape[1]
    with torch.no_grad():
        if running_mean is not None and running_var is not None:
            unbiased = var * (count / max(1, count - 1))
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    scale = torch.rsqrt(var + eps)
    shift = -mean * scale
    if weight is not None:
        scale, shift = scale * weight, shift * weight
    if bias is not None:
        shift = shift + bias
    scale, shift = (values[None, :, None, None] for values in (scale, shift))
    return (wide * scale + shift).to(x.dtype)


class _Gathered(torch.autograd.Function):
    """The tensors of all processes, stacked; each gradient returns to its process."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        parts = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, own.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        returned: Tensor = _Returned.apply(grad)  # type: ignore[no-untyped-call]
        return returned


class _Returned(torch.autograd.Function):
    """A process's row of the sum of all processes' rows: the transpose of `_Gathered`."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        total = rows.contiguous().clone()
        distributed.all_reduce(total)
        return total[distributed.get_rank()]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        gathered: Tensor = _Gathered.apply(grad)  # type: ignore[no-untyped-call]
        return gathered
