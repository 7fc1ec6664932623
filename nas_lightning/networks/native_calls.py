"""The kernels of native.cpp as functions of tensors (N, C, H, W), which lie channels last."""

from collections.abc import Sequence
from ctypes import addressof
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from nas_lightning.networks.native import POINTER, Shape, kernel

__all__ = ["channels_last", "kernel_gradient", "line", "moments", "shape_of", "stage"]
__all__ += ["stage_gradient", "term_sums", "weighted_terms"]


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


def stage(
    shape: Shape, x: Tensor, numbers: Tensor | None, wide: Tensor, point: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """Returns what a stage gives before its BatchNorm, and the BatchNorm's numbers (5, C').

    They are mean, 1 / standard deviation, scale, shift, and the variance that running statistics
    take. `numbers` are those by which x is
    normalised as it is read, None where it is read as it is.
    """
    y = _empty(x, shape.n, shape.co, shape.oh, shape.ow)
    out = torch.empty((5, shape.co), dtype=x.dtype)
    scale = None if numbers is None else numbers[2].data_ptr()
    shift = None if numbers is None else numbers[3].data_ptr()
    kernels = wide.contiguous(), point.contiguous()
    pointers = (each.data_ptr() for each in kernels)
    run = kernel("stage", x.dtype)
    run(addressof(shape), x.data_ptr(), scale, shift, *pointers, eps, y.data_ptr(), out.data_ptr())
    return y, out


def stage_gradient(
    shape: Shape,
    grad: Tensor,
    y: Tensor,
    coefficients: Tensor,
    x: Tensor,
    numbers: Tensor | None,
    wide: Tensor,
    point: Tensor,
    needed: tuple[bool, bool],
    to_x: Tensor | None = None,
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """Returns the gradients of a stage's images and of its kernels, the latter where needed.

    That of y, what the stage gives, is a * grad + b * y + c, by its coefficients (3, C'). The
    gradient of x is added to `to_x`. Where x is normalised as it is read, it is that of the
    normalised images, whose coefficients are returned second.
    """
    adds = to_x is not None
    to_x = torch.empty_like(x) if to_x is None else to_x
    out = None if numbers is None else torch.empty((3, shape.c), dtype=x.dtype)
    kernels = wide.contiguous(), point.contiguous()
    grads = [torch.empty_like(k) if n else None for k, n in zip(kernels, needed, strict=True)]
    run = kernel("stage_gradient", x.dtype)
    run(
        addressof(shape), grad.data_ptr(), y.data_ptr(), coefficients.data_ptr(), x.data_ptr(),
        _at(numbers), kernels[0].data_ptr(), kernels[1].data_ptr(), adds, to_x.data_ptr(),
        _at(out), _at(grads[0]), _at(grads[1]),
    )  # fmt: skip
    return to_x, out, grads[0], grads[1]


def moments(x: Tensor, eps: float) -> Tensor:
    """Returns the numbers (5, C) by which BatchNorm normalises images."""
    out = torch.empty((5, x.shape[1]), dtype=x.dtype)
    run = kernel("moments", x.dtype)
    run(*_sizes(x), x.data_ptr(), eps, torch.get_num_threads(), out.data_ptr())
    return out


def weighted_terms(terms: Sequence[Tensor], scale: Tensor, shift: Tensor) -> Tensor:
    """Returns the sum over k of terms[k] * scale[k] + shift[k], both (K, C)."""
    out = _empty(terms[0], *terms[0].shape)
    run, threads = kernel("sum_terms", out.dtype), torch.get_num_threads()
    pointers = _pointers(terms), scale.data_ptr(), shift.data_ptr()
    run(*_sizes(out), len(terms), *pointers, threads, out.data_ptr())
    return out


def term_sums(grad: Tensor, terms: Sequence[Tensor], mean: Tensor) -> Tensor:
    """Returns (K, 2, C), float64: the sums of grad and of grad * (terms[k] - mean[k])."""
    out = torch.empty((len(terms), 2, grad.shape[1]), dtype=torch.float64)
    run, threads = kernel("sum_terms_gradient", grad.dtype), torch.get_num_threads()
    pointers = grad.data_ptr(), _pointers(terms), mean.data_ptr()
    run(*_sizes(grad), len(terms), *pointers, threads, out.data_ptr())
    return out


def line(grad: Tensor, y: Tensor | None, coefficients: Tensor, to: Tensor | None = None) -> Tensor:
    """Returns a * grad + b * y + c by coefficients (3, C), added to `to` where it is given."""
    out = torch.empty_like(grad) if to is None else to
    num, pixels, channels = _sizes(grad)
    run, threads = kernel("affine", grad.dtype), torch.get_num_threads()
    pointers = grad.data_ptr(), _at(y), coefficients.data_ptr()
    run(num * pixels, channels, *pointers, to is not None, threads, out.data_ptr())
    return out


def _empty(like: Tensor, *size: int) -> Tensor:
    return torch.empty(size, dtype=like.dtype, memory_format=torch.channels_last)


def _sizes(x: Tensor) -> tuple[int, int, int]:
    return x.shape[0], x.shape[2] * x.shape[3], x.shape[1]


def _at(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _pointers(tensors: Sequence[Tensor]) -> Any:
    return (POINTER * len(tensors))(*[tensor.data_ptr() for tensor in tensors])
