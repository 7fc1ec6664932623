"""Progressive searches: stages of equal length, between which options are dropped."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch

from nas_lightning.strategies.alphas import AlphaStrategy

__all__ = ["check_kept", "keep_best", "stage_of"]


def check_kept(kept: Sequence[float]) -> None:
    """Refuses impossible shares of the options that the stages begin with.

    Raises:
        ValueError: the first is not 1, a later one is above the one before it, or one is not
            above 0.
    """
    if kept[0] != 1 or not all(0 < later <= share for share, later in pairwise(kept)):
        raise ValueError(
            f"strategy.kept ({list(kept)}) must begin with 1, since nothing is known yet to drop "
            "options by, and must not grow nor end at 0; use e.g. [1.0,0.5]"
        )


def stage_of(epoch: int, epochs: int, stages: int) -> tuple[int, int, int]:
    """Returns an epoch's stage (0-based), the epoch within it, and the stage's length.

    A search with fewer epochs than stages has the first ones only.

    Args:
        epoch: the epoch (0-based).
        epochs: length of the search.
        stages: number of stages, of lengths that differ by one epoch at most.

    >>> [stage_of(epoch, 4, 2) for epoch in range(4)]
    [(0, 0, 2), (0, 1, 2), (1, 0, 2), (1, 1, 2)]
    """
    stages, epoch = min(stages, epochs), min(epoch, epochs - 1)
    bounds = [epochs * number // stages for number in range(stages + 1)]
    number = max(n for n in range(stages) if bounds[n] <= epoch)
    return number, epoch - bounds[number], bounds[number + 1] - bounds[number]


def keep_best(strategy: AlphaStrategy, share: float) -> None:
    """Narrows a strategy's `allowed` to the options of highest alpha; ties keep the earlier one.

    Args:
        strategy: the strategy.
        share: share of each choice's options that stay, rounded up, at least one.
    """
    scores = strategy.alpha.detach().masked_fill(~strategy.allowed, float("-inf"))
    for row, choice in enumerate(strategy.space.choices):
        number = max(1, math.ceil(share * len(choice.options) - 1e-9))
        best = scores[row].argsort(descending=True, stable=True)[:number]
        stays = torch.zeros_like(strategy.allowed[row])
        stays[best] = True
        strategy.allowed[row] &= stays
