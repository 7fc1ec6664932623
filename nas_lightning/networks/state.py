"""A state of a cell, and what the operations that read it share."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_lightning.networks import native
from nas_lightning.networks.native_calls import Pooled, pooled
from nas_lightning.networks.saved_tensors import narrow_places, recomputed, relu_beside

__all__ = ["State"]


class State:
    """One state of a cell, images x (N, C, H, W), with what several operations share of it."""

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self._known: dict[tuple[str, int], Tensor] = {}
        self._beside: dict[int, tuple[Tensor, AbstractContextManager[object]]] = {}
        self._pools: dict[tuple[str, int, int], Pooled] = {}
        self._parts: tuple[State, State] | None = None

    def relu(self) -> Tensor:
        """Returns x under ReLU."""
        return self._once(("relu", 1), lambda: F.relu(self.x))

    def relu_beside(self, times: int) -> tuple[Tensor, AbstractContextManager[object]]:
        """Returns x under ReLU so many times side by side (N, times * C, H, W).

        With it comes a block in which operators do not save it for their gradients.
        """
        if times not in self._beside:
            beside, x = relu_beside(self.x, times), self.x.detach()
            self._beside[times] = beside, recomputed(beside, lambda: relu_beside(x, times))
        return self._beside[times]

    def max_pool(self, stride: int, kernel: int = 3) -> Tensor:
        """Returns x under max pooling, padded to keep the size at stride 1."""
        key = f"max_{kernel}", stride
        with narrow_places(self.x):
            return self._once(key, lambda: F.max_pool2d(self.x, kernel, stride, kernel // 2))

    def average_pool(self, stride: int) -> Tensor:
        """Returns x under 3x3 average pooling; padding is never counted."""
        key = "average", stride
        return self._once(key, lambda: F.avg_pool2d(self.x, 3, stride, 1, count_include_pad=False))

    def pooled(self, kind: str, stride: int, kernel: int) -> Pooled:
        """Returns x under a pooling, "max" or "average", by the kernels in C++."""
        key = kind, stride, kernel
        if key not in self._pools:
            self._pools[key] = pooled(self.x.detach(), kind == "max", kernel, stride)
        return self._pools[key]

    def parts(self, partial: int) -> tuple["State", "State"]:
        """Returns the first of `partial` parts of the channels, and all others as one state."""
        if self._parts is None:
            channels = self.x.shape[1]
            sizes = [channels // partial, channels - channels // partial]
            head, rest = torch.split(self.x, sizes, dim=1)
            self._parts = State(head), State(rest)
        return self._parts

    def _once(self, key: tuple[str, int], compute: Callable[[], Tensor]) -> Tensor:
        if native.is_plain():
            return compute()
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]
