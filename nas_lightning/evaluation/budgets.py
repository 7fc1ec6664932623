"""Budgets of trials in epochs."""

__all__ = ["trained_epochs"]


def trained_epochs(budget: float, epochs: int) -> int:
    """Returns the epochs that a budget buys of a recipe's, at least 1; those of no budget are 0.

    >>> [trained_epochs(budget, 12) for budget in (0, 0.01, 1 / 3, 1)]
    [0, 1, 4, 12]
    """
    return max(1, round(budget * epochs)) if budget > 0 else 0
