"""Products of factors that are 1 or 0: where any of several of them is 1."""

from collections.abc import Iterable

from nas_lightning.core.choices import Factor

__all__ = ["Factors", "union"]

Factors = tuple[Factor, ...]


def union(uses: Iterable[Factors]) -> dict[Factors, int]:
    """Returns signed products of factors whose sum is 1 where any of `uses` is 1, else 0."""
    signed: dict[Factors, int] = {}
    for use in uses:
        both = [(_product(use + other), -times) for other, times in signed.items()]
        for factors, times in [(use, 1), *both]:
            if all(any(factor.coefficients) for factor in factors):
                signed[factors] = signed.get(factors, 0) + times
    return {factors: times for factors, times in signed.items() if times}


def _product(factors: Factors) -> Factors:
    """Returns factors of coefficients 0 and 1 with those of one choice multiplied."""
    merged: dict[int, Factor] = {}
    for factor in factors:
        before = merged.get(factor.choice, factor).coefficients
        both = (a * b for a, b in zip(before, factor.coefficients, strict=True))
        merged[factor.choice] = Factor(factor.choice, tuple(both))
    return tuple(merged[choice] for choice in sorted(merged))
