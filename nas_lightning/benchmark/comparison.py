"""Two strategies compared seed by seed: an interval of the difference, and a rank test.

Sources: Efron & Tibshirani, An Introduction to the Bootstrap, 1993 (percentile interval); Wilcoxon,
Individual Comparisons by Ranking Methods, 1945, with the normal approximation, ties and zero
differences (which are left out) corrected for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np
from numpy.typing import NDArray

__all__ = ["Comparison", "compare", "signed_rank_p"]

RESAMPLES = 10_000
CHANCE = 0.05


@dataclass(frozen=True)
class Comparison:
    """How much better one strategy is than another on the same seeds.

    Attributes:
        first: name of the first strategy.
        other: name of the strategy that it is compared with.
        pairs: number of seeds.
        difference: mean difference of the figures.
        low: lower end of the 95 % bootstrap interval of that mean.
        high: upper end.
        wins: share of the seeds on which the first is better, a tie counting half.
        p: two-sided p of the Wilcoxon signed-rank test.
    """

    first: str
    other: str
    pairs: int
    difference: float
    low: float
    high: float
    wins: float
    p: float

    def words(self) -> str:
        """Returns the comparison in plain words, for figures that are shares in [0, 1]."""
        points = 100 * abs(self.difference)
        ends = sorted((100 * self.low, 100 * self.high))
        seen = "better" if self.difference >= 0 else "worse"
        sure = (
            "more than chance would give"
            if self.p < CHANCE and self.low * self.high > 0
            else "no more than chance may give"
        )
        return (
            f"{self.first} is {points:.2f} points {seen} than {self.other} in mean test accuracy "
            f"over {self.pairs} seeds (95 % interval of the difference {ends[0]:+.2f} to "
            f"{ends[1]:+.2f}, paired bootstrap), and ahead on {self.wins:.0%} of the seeds "
            f"(Wilcoxon's signed-rank test: p {_p(self.p)}): {sure}"
        )


def compare(
    first: str, first_figures: Sequence[float], other: str, other_figures: Sequence[float]
) -> Comparison:
    """Compares two strategies' figures, one per seed, paired by seed; higher is better.

    Raises: ValueError: there are fewer than two pairs, or the numbers of figures differ.
    """
    if len(first_figures) != len(other_figures) or len(first_figures) < 2:
        raise ValueError(
            f"a paired comparison needs two figures or more of each strategy on the same seeds, "
            f"got {len(first_figures)} of {first} and {len(other_figures)} of {other}"
        )
    gains = np.asarray(first_figures, float) - np.asarray(other_figures, float)
    rng = np.random.default_rng(0)
    means = [gains[rng.integers(len(gains), size=len(gains))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Comparison(
        first,
        other,
        len(gains),
        float(gains.mean()),
        float(low),
        float(high),
        float(np.mean((gains > 0) + 0.5 * (gains == 0))),
        signed_rank_p(gains),
    )


def signed_rank_p(gains: NDArray[np.float64]) -> float:
    """Returns the two-sided p of Wilcoxon's signed-rank test, by the normal approximation.

    Args:
        gains: differences of pairs (n,); zeros are left out.
    """
    gains = gains[gains != 0]
    if len(gains) == 0:
        return 1.0
    _, inverse, counts = np.unique(np.abs(gains), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    n = len(gains)
    above = ranks[gains > 0].sum() - n * (n + 1) / 4
    variance = n * (n + 1) * (2 * n + 1) / 24 - (counts**3 - counts).sum() / 48
    return erfc(abs(above) / sqrt(2 * variance))


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"
