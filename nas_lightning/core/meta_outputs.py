"""What the operators that children run most return on the meta device.

Torch's own functions for it import its compiler and a library for algebra, for two seconds of CPU
time. Each of ours takes an operator's arguments and returns its outputs, or None where torch must
find them: for tensors on other devices, of several types or with gaps in memory, for rare
arguments, and for mistakes, which torch words.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["OUTPUTS"]


def _same(*tensors: Any) -> Tensor | None:
    are_alike = _are_meta(tensors) and all(t.shape == tensors[0].shape for t in tensors)
    return tensors[0].new_empty(tensors[0].shape) if are_alike else None


def _joined(tensors: Sequence[Any], dim: int = 0) -> Tensor | None:
    if not _are_meta(tensors) or not 0 <= dim < tensors[0].dim():
        return None
    around = {(tuple(t.shape[:dim]), tuple(t.shape[dim + 1 :])) for t in tensors}
    if len(around) > 1:
        return None
    ((before, after),) = around
    out: Tensor = tensors[0].new_empty(*before, sum(t.shape[dim] for t in tensors), *after)
    return out


def _padded(x: Tensor, padding: Sequence[int], value: float = 0.0) -> Tensor | None:
    if not _are_meta((x,)) or len(padding) % 2 or len(padding) > 2 * x.dim():
        return None
    sides = list(x.shape)
    for axis in range(len(padding) // 2):  # from the last axis on
        sides[-1 - axis] += padding[2 * axis] + padding[2 * axis + 1]
    return x.new_empty(sides) if min(sides, default=0) > 0 else None


def _averaged(x: Tensor, dims: Sequence[int] | None, keeps: bool = False) -> Tensor | None:
    if not x.is_meta or not x.is_floating_point() or keeps or not dims:
        return None
    if len({*dims}) < len(dims) or not all(0 <= dim < x.dim() for dim in dims):
        return None
    return x.new_empty([side for axis, side in enumerate(x.shape) if axis not in dims])


def _linear(bias: Tensor, x: Tensor, weight: Tensor) -> Tensor | None:
    fit = x.dim() == weight.dim() == 2 and x.shape[1] == weight.shape[0]
    is_known = fit and bias.shape == weight.shape[1:] and _are_meta((bias, x, weight.t()))
    return x.new_empty(x.shape[0], weight.shape[1]) if is_known else None


def _pooled(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
) -> Tensor | None:
    fit = len(kernel) == len(stride) == len(padding) == 2 and _are_meta((x,)) and x.dim() == 4
    if not fit or any(2 * pad > size for pad, size in zip(padding, kernel, strict=True)):
        return None
    sides = _sides(x, kernel, stride, padding, dilation)
    return x.new_empty(*x.shape[:2], *sides) if sides else None


def _average_pooled(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    rounds_up: bool = False,
    *rest: Any,  # they change values, not shapes
) -> Tensor | None:
    return None if rounds_up else _pooled(x, kernel, stride, padding)


def _max_pooled(x: Tensor, *window: Any) -> tuple[Tensor, Tensor] | None:
    out = _pooled(x, *window) if len(window) <= 4 else None
    return None if out is None else (out, out.new_empty(out.shape, dtype=torch.int64))


def _convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    is_transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Tensor | None:
    tensors = (x, weight) if bias is None else (x, weight, bias)
    if not _are_alike(tensors) or not x.dim() == weight.dim() == 4 or is_transposed:
        return None
    if _lies_channels_last(x) or _lies_channels_last(weight):
        return None  # then the output does, too; else it is contiguous
    if x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        return None
    sides = _sides(x, weight.shape[2:], stride, padding, dilation)
    return x.new_empty(x.shape[0], weight.shape[0], *sides) if sides else None


OUTPUTS: dict[Any, Callable[..., Any]] = {
    torch.ops.aten.relu.default: _same,
    torch.ops.aten.add.Tensor: _same,
    torch.ops.aten.cat.default: _joined,
    torch.ops.aten.constant_pad_nd.default: _padded,
    torch.ops.aten.mean.dim: _averaged,
    torch.ops.aten.addmm.default: _linear,
    torch.ops.aten.max_pool2d_with_indices.default: _max_pooled,
    torch.ops.aten.avg_pool2d.default: _average_pooled,
    torch.ops.aten.convolution.default: _convolved,
}


def _are_meta(tensors: Sequence[Any]) -> bool:
    """Returns whether all are contiguous tensors of one type on the meta device."""
    return _are_alike(tensors) and all(t.is_contiguous() for t in tensors)


def _are_alike(tensors: Sequence[Any]) -> bool:
    """Returns whether all, at least one, are tensors of one type on the meta device."""
    are_meta = all(isinstance(tensor, Tensor) and tensor.is_meta for tensor in tensors)
    return are_meta and len({tensor.dtype for tensor in tensors}) == 1


def _lies_channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _sides(x: Tensor, *window: Sequence[int]) -> tuple[int, ...] | None:
    """Returns height and width after a window passed over images (N, C, H, W), if all are > 0.

    `window` are its taps, stride, padding and dilation along both axes.
    """
    taps, steps, _, dilations = window
    if min(*taps, *steps, *dilations) < 1:
        return None
    axes = zip(x.shape[2:], *window, strict=True)
    sides = tuple((n + 2 * pad - wide * (k - 1) - 1) // step + 1 for n, k, step, pad, wide in axes)
    return sides if x.numel() and min(sides) > 0 else None
