"""Hyperband: successive halving with several trade-offs between many children and long trainings.

Source: Li et al., Hyperband, 2018 (arXiv:1603.06560), algorithm 1.
"""

from math import ceil

from nas_lightning.core.checks import at_least
from nas_lightning.core.objective import Objective
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.strategies.successive_halving import Brackets, Proposer

__all__ = ["Hyperband"]


class Hyperband(Brackets):
    """Brackets from the most aggressive one (all rungs) to plain search (one rung), in turn.

    Args:
        space: the search space.
        seed: seed of the proposer.
        trials: number of trainings, those that go on from an earlier one included.
        proposer: makes the strategy that proposes children: random search, evolution, ...
        eta: by how much budgets grow and rungs shrink, at least 2.
        rungs: rungs of the most aggressive bracket, at least 1 (the paper's s_max + 1).
        objective: what makes rewards, for a proposer that wants to know it.

    Raises:
        ValueError: a value is out of its range, or the proposer is no strategy to be asked so.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        proposer: Proposer,
        trials: int = 22,
        eta: int = 3,
        rungs: int = 3,
        objective: Objective | None = None,
    ) -> None:
        at_least("strategy.eta", eta, 2, use=3)
        at_least("strategy.rungs", rungs, 1, use=3)
        brackets = [(ceil(rungs / left * eta ** (left - 1)), left) for left in range(rungs, 0, -1)]
        super().__init__(space, seed, trials, brackets, eta, proposer, objective)
