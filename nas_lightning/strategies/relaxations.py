"""Relaxations of categorical choices, and measures of their weights: pure functions.

Tables are (choices, options): logits, weights, and `allowed`, bool, with a true in each row.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nas_lightning.core.choices import Choice, Mixture

__all__ = ["hard_weights", "is_even", "masked_softmax", "mean_entropy", "mean_share"]


def masked_softmax(alpha: Tensor, allowed: Tensor) -> Tensor:
    """Returns the softmax of each row of logits over its allowed options; the others weigh zero.

    Source: Liu et al., DARTS, 2019 (arXiv:1806.09055), equation 2. Leading axes of alpha are free.
    """
    return alpha.masked_fill(~allowed, float("-inf")).softmax(dim=-1)


class _Hard(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, soft: Tensor, index: Tensor) -> Tensor:
        return torch.zeros_like(soft).scatter_(-1, index[..., None], 1.0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def hard_weights(soft: Tensor, index: Tensor) -> Tensor:
    """Returns exact one-hot rows of an index (choices,); their gradient goes to soft weights."""
    hard: Tensor = _Hard.apply(soft, index)  # type: ignore[no-untyped-call]
    return hard


def mean_entropy(weights: Tensor, allowed: Tensor) -> Tensor:
    """Returns the mean entropy of the choices' weights, as a share of the largest possible one.

    Rows are normalised first. It is 1 where no option is preferred and 0 where every choice is
    made. Choices with a single allowed option are left out; without any other it is 0.
    """
    shares = weights / weights.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
    entropy, numbers = torch.special.entr(shares).sum(dim=-1), allowed.sum(dim=-1)
    open_rows = numbers > 1
    normalised: Tensor = entropy[open_rows] / numbers[open_rows].to(entropy.dtype).log()
    return normalised.sum() / max(1, len(normalised))


def is_even(mixture: Mixture) -> bool:
    """Returns whether nothing is preferred: the options that may run weigh the same per choice.

    A choice with one such option is made and does not count; where all are made, it is False.
    """
    rows = zip(mixture.weights.tolist(), mixture.support, strict=True)
    numbers = [len({row[o] for o in options}) for row, options in rows if len(options) > 1]
    return bool(numbers) and max(numbers) == 1


def mean_share(weights: Tensor, choices: Sequence[Choice], option: str) -> float:
    """Returns the mean share of the named option over the choices that have it, 0 without any."""
    rows: list[list[float]] = weights.tolist()
    having = [(row, c) for row, c in zip(rows, choices, strict=True) if option in c.options]
    shares = [row[c.options.index(option)] / max(sum(row), 1e-12) for row, c in having]
    return sum(shares) / max(1, len(shares))
