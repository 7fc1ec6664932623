"""Less memory for what operators save for their gradients, which have the same bits.

Source: Chen et al., Training deep nets with sublinear memory cost, 2016 (arXiv:1604.06174), for
tensors that the backward pass computes anew.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

__all__ = ["narrow_places", "recomputed", "relu_beside", "spares_memory"]

MOST = torch.iinfo(torch.int16).max


def spares_memory(x: Tensor) -> bool:
    """Returns whether memory is spared: on a CPU, since elsewhere each launch costs more.

    What is compiled chooses itself what it keeps.
    """
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


class _Anew:
    """Stands for a tensor in the graph: computed for its first reader, kept until its last one."""

    def __init__(self, compute: Callable[[], Tensor]) -> None:
        self.compute, self.readers, self.left = compute, 0, 0
        self.made: Tensor | None = None

    def read(self) -> Tensor:
        """Returns the tensor."""
        made = self.made
        if made is None:
            self.left = self.readers
            with torch.no_grad():
                made = self.compute()
        self.left -= 1
        self.made = made if self.left else None
        return made


def recomputed(tensor: Tensor, compute: Callable[[], Tensor]) -> AbstractContextManager[object]:
    """Returns a block in which operators save `compute` for their gradients, not the tensor.

    `compute` returns the bits that the tensor's memory has where operators save it, and keeps
    less than it. The block may be entered several times.
    """
    if not spares_memory(tensor):
        return nullcontext()
    anew, place, shape = _Anew(compute), tensor.data_ptr(), tensor.shape

    def pack(saved: Tensor) -> Any:
        if saved.data_ptr() != place or saved.shape != shape:
            return saved
        anew.readers += 1
        return anew

    def unpack(packed: Any) -> Tensor:
        return packed.read() if isinstance(packed, _Anew) else packed

    return saved_tensors_hooks(pack, unpack)


def narrow_places(x: Tensor) -> AbstractContextManager[object]:
    """Returns a block in which a pool of images saves the places of its maxima narrower."""
    if not spares_memory(x):
        return nullcontext()
    dtype = torch.int16 if x.shape[2:].numel() <= MOST else torch.int32

    def pack(saved: Tensor) -> Tensor:
        return saved.to(dtype) if saved.dtype == torch.int64 else saved

    return saved_tensors_hooks(pack, lambda saved: saved.long() if saved.dtype == dtype else saved)


def relu_beside(x: Tensor, times: int) -> Tensor:
    """Returns images (N, C, H, W) under ReLU so many times side by side (N, times * C, H, W).

    It keeps the images for its gradient, as pools of them do, and nothing else.
    """
    out: Tensor = _ReluBeside.apply(x, times)  # type: ignore[no-untyped-call]
    return out


class _ReluBeside(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, times: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.times = times
        return torch.cat([F.relu(x)] * times, dim=1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        first, *others = grad.chunk(ctx.times, dim=1)
        return torch.ops.aten.threshold_backward(sum(others, start=first), x, 0.0), None
