"""A value whose gradient is given: what a strategy hands to `minimise` for an update of its own."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["surrogate"]


def surrogate(value: Tensor, wrt: Sequence[Tensor], grads: Sequence[Tensor | None]) -> Tensor:
    """Returns the value (), detached, such that its gradient for `wrt` is `grads`.

    A tensor whose gradient is None has none: a param stands still then, and so do its momentum and
    its decay.

    >>> w = torch.ones(2, requires_grad=True)
    >>> torch.autograd.grad(surrogate(torch.tensor(5.0), [w], [torch.tensor([1.0, 2.0])]), w)
    (tensor([1., 2.]),)
    """
    pairs = [(tensor, grad) for tensor, grad in zip(wrt, grads, strict=True) if grad is not None]
    tensors, present = [tensor for tensor, _ in pairs], [grad for _, grad in pairs]
    out: Tensor = _Surrogate.apply(value.detach(), present, *tensors)  # type: ignore[no-untyped-call]
    return out


class _Surrogate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, grads: list[Tensor], *tensors: Tensor) -> Tensor:
        ctx.grads = grads
        return value.clone()

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        return (None, None, *(outer * grad for grad in ctx.grads))
