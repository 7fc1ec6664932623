"""Relaxations of categorical choices, and what is measured on them: pure functions."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nas_lightning.core.choices import Choice

__all__ = ["masked_softmax", "mean_entropy", "mean_share"]


def masked_softmax(alpha: Tensor, allowed: Tensor) -> Tensor:
    """Returns the softmax of each row over its allowed options; the others weigh zero.

    Source: Liu et al., DARTS, 2019 (arXiv:1806.09055), equation 2.

    Args:
        alpha: logits (..., choices, options).
        allowed: bool (choices, options), at least one true a row.
    """
    return alpha.masked_fill(~allowed, float("-inf")).softmax(dim=-1)


def mean_entropy(weights: Tensor, allowed: Tensor) -> Tensor:
    """Returns the mean over choices of the entropy of their weights, as a share of its largest.

    Rows are normalised first; 1 means that no option is preferred, 0 that every choice is made.
    Choices with a single allowed option are left out; without any other it is 0.

    Args:
        weights: non-negative (choices, options).
        allowed: bool (choices, options).
    """
    shares = weights / weights.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
    entropy = -torch.special.xlogy(shares, shares).sum(dim=-1)
    numbers = allowed.sum(dim=-1)
    open_rows = numbers > 1
    normalised: Tensor = entropy[open_rows] / numbers[open_rows].to(entropy.dtype).log()
    return normalised.sum() / max(1, len(normalised))


def mean_share(weights: Tensor, choices: Sequence[Choice], option: str) -> float:
    """Returns the mean share of an option over the choices that have it, 0 without any.

    Args:
        weights: non-negative (choices, options).
        choices: what the rows are.
        option: name of the option.
    """
    table: list[list[float]] = weights.tolist()
    having = [
        row[choice.options.index(option)] / max(sum(row), 1e-12)
        for row, choice in zip(table, choices, strict=True)
        if option in choice.options
    ]
    return sum(having) / max(1, len(having))
