"""Hyperband: successive halving with several trade-offs between many children and long trainings.

Source: Li et al., Hyperband, 2018 (arXiv:1603.06560), algorithm 1.
"""

from math import ceil

from nas_lightning.core.objective import Objective
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.strategies.successive_halving import Brackets, Proposer, check_rungs

__all__ = ["Hyperband"]


class Hyperband(Brackets):
    """Brackets from the most aggressive one (all rungs) to plain search (one rung), in turn.

    Args:
        trials: number of trainings, including those that continue an earlier one.
        proposer: makes the strategy that proposes children, see `Brackets`.
        eta: factor by which budgets grow and rungs shrink, at least 2.
        rungs: rungs of the most aggressive bracket, at least 1 (the paper's s_max + 1).
        objective: makes the rewards, for a proposer that takes it.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> from nas_lightning.strategies.random_search import RandomSearch
    >>> hyperband = Hyperband(NasBench201Space(), seed=0, proposer=RandomSearch)
    >>> hyperband.brackets  # children of the first rung, and rungs
    ((9, 3), (5, 2), (3, 1))
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
        check_rungs(eta, rungs)
        brackets = [(ceil(rungs / left * eta ** (left - 1)), left) for left in range(rungs, 0, -1)]
        super().__init__(space, seed, trials, brackets, eta, proposer, objective)
