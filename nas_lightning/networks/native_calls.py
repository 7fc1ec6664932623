"""The kernels of native.cpp as functions of tensors (N, C, H, W), which lie channels last."""

from collections.abc import Sequence
from ctypes import addressof
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nas_lightning.networks.native import (
    POINTER,
    GradientCall,
    Pool,
    PoolGradientCall,
    Shape,
    StageCall,
    kernel,
)

__all__ = [
    "PoolGradient",
    "Pooled",
    "StageGradient",
    "StageInput",
    "channels_last",
    "gradients",
    "kernel_gradient",
    "moments",
    "pooled",
    "shape_of",
    "stages",
    "term_sums",
    "unpooled",
    "weighted_terms",
]


def channels_last(x: Tensor) -> Tensor:
    """Returns images in the memory order of the kernels."""
    return x.contiguous(memory_format=torch.channels_last)


def shape_of(x: Tensor, wide: Tensor, channels_out: int, stride: int, dilation: int) -> Shape:
    """Returns the sizes of a stage of images by depthwise kernels (C, 1, h, w)."""
    sides = wide.shape[2:]
    return _shape(*x.shape, channels_out, *sides, stride, dilation, torch.get_num_threads())


@lru_cache(maxsize=4096)
def _shape(
    n: int, c: int, h: int, w: int, co: int, kh: int, kw: int, stride: int, dilation: int, cpus: int
) -> Shape:
    oh, ow = -(-h // stride), -(-w // stride)
    return Shape(n, h, w, c, oh, ow, co, kh, kw, stride, dilation, cpus)


def kernel_gradient(shape: Shape, x: Tensor, grad: Tensor, wide: Tensor) -> Tensor:
    """Returns the gradient of the kernels (C, 1, h, w) of a depthwise convolution of x."""
    x, grad, out = channels_last(x), channels_last(grad), torch.empty(wide.shape, dtype=x.dtype)
    run = kernel("wide_gradient", x.dtype)
    run(addressof(shape), x.data_ptr(), grad.data_ptr(), out.data_ptr())
    return out


class StageInput(NamedTuple):
    """What a stage reads: images, the numbers that normalise them or None, and its kernels."""

    shape: Shape
    x: Tensor
    before: Tensor | None
    wide: Tensor  # (C, 1, h, w)
    point: Tensor  # (C', C, 1, 1)


def stages(inputs: Sequence[StageInput], eps: float) -> list[tuple[Tensor, Tensor]]:
    """Returns what stages give before their BatchNorms, and the BatchNorms' numbers (5, C').

    They are mean, 1 / standard deviation, scale, shift, and the variance that running statistics
    take. The images of all stages are as many.

    Raises: ValueError: images do not fit the kernels.
    """
    if not inputs:
        return []
    outs, calls = [], []
    for shape, x, before, wide, point in inputs:
        fits = x.shape[1] == wide.shape[0] == point.shape[1] and x.dtype == wide.dtype
        if not fits or x.shape[0] != inputs[0].shape.n:
            raise ValueError(
                f"images {tuple(x.shape)}, {x.dtype}, do not fit kernels {tuple(wide.shape)} and "
                f"{tuple(point.shape)}, {wide.dtype}, or the {inputs[0].shape.n} images beside them"
            )
        y = _empty(x, shape.n, shape.co, shape.oh, shape.ow)
        numbers = torch.empty((5, shape.co), dtype=x.dtype)
        at = x.data_ptr(), _at(before), wide.data_ptr(), point.data_ptr()
        calls.append(StageCall(shape, *at, y.data_ptr(), numbers.data_ptr()))
        outs.append((y, numbers))
    kernel("stages", y.dtype)(len(calls), (StageCall * len(calls))(*calls), eps)
    return outs


class StageGradient(NamedTuple):
    """The gradients of a stage: what they are taken from, and where they go.

    That of y, what the stage gives, is a * grad + b * y + c, by the line (3, C').
    """

    read: StageInput
    y: Tensor
    grad: Tensor
    line: Tensor
    to_x: Tensor  # where x is normalised it is the gradient of the normalised images
    adds: bool  # to what is in to_x
    to_wide: Tensor | None
    to_point: Tensor | None
    line_of_x: Tensor | None  # where x is normalised


class PoolGradient(NamedTuple):
    """The gradient of a pool, whose images have a * grad + b * y + c by a line (3, C)."""

    pool: "Pooled"
    grad: Tensor
    line: Tensor
    to_x: Tensor  # which it is added to


def gradients(stages: Sequence[StageGradient], pools: Sequence[PoolGradient]) -> None:
    """Takes gradients of stages, then of pools, in order."""
    calls, pool_calls = [], []
    for read, y, grad, line, to_x, adds, *sets in stages:
        shape, x, before, wide, point = read
        reads = grad, y, line, x, before, wide, point
        at = to_x, sets[2], sets[0], sets[1]
        calls.append(GradientCall(shape, *map(_at, reads), adds, *map(_at, at)))
    for pool, grad, line, to_x in pools:
        uses = grad, pool.images, line, pool.index, to_x
        pool_calls.append(PoolGradientCall(pool.sizes, *map(_at, uses)))
    own = (GradientCall * len(calls))(*calls), (PoolGradientCall * len(pool_calls))(*pool_calls)
    kernel("gradients", grad.dtype)(len(calls), own[0], len(pool_calls), own[1])


@dataclass
class Pooled:
    """Pooled images, of maxima which pixels of the windows they are, and BatchNorm's numbers."""

    sizes: Pool
    images: Tensor
    index: Tensor | None
    numbers: Tensor | None = None  # once they are taken


def pooled(x: Tensor, is_max: bool, kernel_side: int, stride: int) -> Pooled:
    """Returns images under pooling, padded to keep the size at stride 1; padding never counts."""
    num, channels, height, width = x.shape
    size = -(-height // stride), -(-width // stride)
    threads = torch.get_num_threads()
    sizes = Pool(num, height, width, channels, *size, kernel_side, stride, is_max, threads)
    x, y = channels_last(x), _empty(x, num, channels, *size)
    index = torch.empty(y.numel(), dtype=torch.uint8) if is_max else None
    kernel("pool", x.dtype)(addressof(sizes), x.data_ptr(), y.data_ptr(), _at(index))
    return Pooled(sizes, y, index)


def unpooled(x: Tensor) -> Pooled:
    """Returns images as the pool of each pixel alone."""
    num, channels, *size = x.shape
    threads = torch.get_num_threads()
    return Pooled(Pool(num, *size, channels, *size, 1, 1, False, threads), x, None)


def moments(x: Tensor, eps: float) -> Tensor:
    """Returns the numbers (5, C) by which BatchNorm normalises images."""
    out = torch.empty((5, x.shape[1]), dtype=x.dtype)
    run = kernel("moments", x.dtype)
    run(*_sizes(x), x.data_ptr(), eps, torch.get_num_threads(), out.data_ptr())
    return out


def weighted_terms(terms: Sequence[Tensor], scale: Tensor, shift: Tensor) -> Tensor:
    """Returns the sum over k of terms[k] * scale[k], (K, C), and of a shift (C,)."""
    out = _empty(terms[0], *terms[0].shape)
    run, threads = kernel("sum_terms", out.dtype), torch.get_num_threads()
    pointers = _pointers(terms), scale.data_ptr(), shift.data_ptr()
    run(*_sizes(out), len(terms), *pointers, threads, out.data_ptr())
    return out


def term_sums(grad: Tensor, terms: Sequence[Tensor], mean: Tensor) -> Tensor:
    """Returns (1 + K, C), float64: the sums of grad, and of grad * (terms[k] - mean[k])."""
    out = torch.empty((1 + len(terms), grad.shape[1]), dtype=torch.float64)
    run, threads = kernel("sum_terms_gradient", grad.dtype), torch.get_num_threads()
    pointers = grad.data_ptr(), _pointers(terms), mean.data_ptr()
    run(*_sizes(grad), len(terms), *pointers, threads, out.data_ptr())
    return out


def _empty(like: Tensor, *size: int) -> Tensor:
    return torch.empty(size, dtype=like.dtype, memory_format=torch.channels_last)


def _sizes(x: Tensor) -> tuple[int, int, int]:
    return x.shape[0], x.shape[2] * x.shape[3], x.shape[1]


def _at(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _pointers(tensors: Sequence[Tensor]) -> Any:
    return (POINTER * len(tensors))(*[tensor.data_ptr() for tensor in tensors])
