"""Hyperband: successive halving from many children trained a little to few trained in full.

Source: Li et al., 2018 (arXiv:1603.06560), algorithm 1. Deliberate difference: brackets follow one
another until the trials are used up. With several trials in flight it is asynchronous (Li et al.,
2020, arXiv:1810.05934): every bracket is ASHA with a least budget of its own. A choice of ours: new
children take turns among the brackets, each as many as its first rung has; promotions of all
brackets come first.
"""

from math import ceil

from nas_lightning.core.objective import Objective
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.strategies.successive_halving import Brackets, Proposer

__all__ = ["Hyperband"]


class Hyperband(Brackets):
    """Brackets from the most aggressive one (all rungs) to plain search (one rung), in turn.

    The arguments are those of `Brackets`; `rungs` is the paper's s_max + 1.

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
        asynchronous: bool | None = None,
        num_in_flight: int = 1,
    ) -> None:
        brackets = [(ceil(rungs / left * eta ** (left - 1)), left) for left in range(rungs, 0, -1)]
        sizes = trials, eta, rungs, brackets
        super().__init__(space, seed, proposer, *sizes, objective, asynchronous, num_in_flight)
