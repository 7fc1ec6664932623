"""The weighted sum of branch outputs, differentiable in weights and outputs to any order."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["weighted_sum"]


def weighted_sum(weights: Sequence[Tensor], terms: Sequence[Tensor]) -> Tensor:
    """Returns the sum over k of weights[k] * terms[k], without keeping the products.

    Args:
        weights: scalars, one a term.
        terms: tensors of one shape.
    """
    out: Tensor = _WeightedSum.apply(*weights, *terms)  # type: ignore[no-untyped-call]
    return out


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        weights, terms = inputs[: len(inputs) // 2], inputs[len(inputs) // 2 :]
        if any(weight.requires_grad for weight in weights):
            ctx.save_for_backward(*weights, *terms)
        else:
            ctx.save_for_backward(*weights)
        out = terms[0] * weights[0]
        for weight, term in zip(weights[1:], terms[1:], strict=True):
            out.addcmul_(term, weight)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        num = len(ctx.needs_input_grad) // 2
        weights, terms = ctx.saved_tensors[:num], ctx.saved_tensors[num:]
        needs_weight, needs_term = ctx.needs_input_grad[:num], ctx.needs_input_grad[num:]
        to_weights = [
            _inner(grad, terms[k]) if needs else None for k, needs in enumerate(needs_weight)
        ]
        to_terms = [grad * weights[k] if needs else None for k, needs in enumerate(needs_term)]
        return (*to_weights, *to_terms)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """Returns the sum of a * b, without the product where both lie channels last."""
    if a.dim() == 4:
        a, b = a.permute(0, 2, 3, 1), b.permute(0, 2, 3, 1)
    return torch.dot(a.reshape(-1), b.reshape(-1))
