"""Successive halving: many children are trained a little, the better ones continue.

Source: Jamieson & Talwalkar, 2016 (arXiv:1502.07943). Deliberate difference: brackets follow one
another until the trials are used up. With several trials in flight a rung is still told as a whole
before any of its children is promoted; the asynchronous variant of Li et al., 2020
(arXiv:1810.05934), which promotes early and sometimes wrongly, is not here.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import signature

from nas_lightning.core.checks import at_least
from nas_lightning.core.objective import Objective
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import BlackBoxStrategy, Trial

__all__ = ["Brackets", "Proposer", "SuccessiveHalving"]

Proposer = Callable[..., BlackBoxStrategy]


class Brackets(BlackBoxStrategy):
    """Brackets of rungs: the best children of each rung continue with `eta` times the budget.

    Args:
        proposer: makes the strategy that proposes new children: random search, evolution, ...
        trials: number of trainings, including those that continue an earlier one.
        eta: factor by which budgets grow and rungs shrink, at least 2.
        rungs: rungs of the longest bracket, at least 1.
        brackets: children of the first rung and number of rungs of each bracket; they take turns.
        objective: makes the rewards, for a proposer that takes it.

    Raises: ValueError: a value is out of range, or the proposer is not black-box or has budgets.
    """

    needs_budgets = True

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        proposer: Proposer,
        trials: int,
        eta: int,
        rungs: int,
        brackets: Sequence[tuple[int, int]],
        objective: Objective | None,
    ) -> None:
        super().__init__(space, seed, trials)
        at_least("strategy.eta", eta, 2, use=3)
        at_least("strategy.rungs", rungs, 1, use=3)
        self.brackets, self.eta = tuple(brackets), eta
        self.budgets = tuple(float(eta**-rung) for rung in reversed(range(rungs)))
        runtime = {"space": space, "seed": seed, "objective": objective}
        taken = signature(proposer).parameters
        self.proposer = proposer(**{name: v for name, v in runtime.items() if name in taken})
        if not isinstance(self.proposer, BlackBoxStrategy) or self.proposer.needs_budgets:
            raise ValueError(
                f"strategy.proposer ({type(self.proposer).__name__}) must be a black-box strategy "
                "without budgets of its own; use e.g. "
                "strategy.proposer._target_=nas_lightning.strategies.evolution.Evolution"
            )
        self.needs_last_reward = self.proposer.needs_last_reward
        self._bracket = self._rung = self._num_proposed = 0
        self._promoted: list[Trial] = []  # to be continued in this rung
        self._asked: dict[int, Trial] = {}  # of this rung, and not told yet
        self._proposals: dict[int, int] = {}  # their numbers for the proposer
        self._told: list[Trial] = []  # of this rung

    @property
    def is_waiting(self) -> bool:
        """Whether all children of the rung were asked and some are not told."""
        return len(self._asked) + len(self._told) == self._size

    def ask(self, number: int) -> Trial:
        """Returns a new child at the least budget, or a promoted one at a larger budget."""
        if number not in self._asked:
            self._asked[number] = self._next(number)
        return self._asked[number]

    def tell(self, trial: Trial) -> None:
        """Notes a child; a full rung promotes its best ones or ends the bracket."""
        del self._asked[trial.number]
        if self._rung == 0:
            proposal = self._proposals.pop(trial.number)
            self.proposer.tell(replace(trial, number=proposal, budget=1.0))
        self._told.append(trial)
        if len(self._told) < self._size:
            return
        _, rungs = self.brackets[self._bracket]
        best = sorted(self._told, key=lambda t: (-t.told_reward, t.number))
        self._promoted = best[: len(best) // self.eta]
        self._told, self._rung = [], self._rung + 1
        if self._rung == rungs or not self._promoted:
            self._promoted, self._rung = [], 0
            self._bracket = (self._bracket + 1) % len(self.brackets)

    @property
    def _size(self) -> int:
        """The number of children in the rung."""
        return self.brackets[self._bracket][0] if self._rung == 0 else len(self._promoted)

    def _next(self, number: int) -> Trial:
        if self._rung == 0:
            self._proposals[number] = self._num_proposed
            self._num_proposed += 1
            genotype = self.proposer.ask(self._proposals[number]).genotype
            return Trial(number, genotype, self.budget())
        before = self._promoted[len(self._asked) + len(self._told)]
        return Trial(number, before.genotype, self.budget(), before.number, before.budget)

    def budget(self) -> float:
        """Returns the budget of the rung, a share of a whole evaluation in (0, 1]."""
        _, rungs = self.brackets[self._bracket]
        return float(self.eta ** (self._rung + 1 - rungs))


class SuccessiveHalving(Brackets):
    """One kind of bracket, again and again; the arguments are those of `Brackets`.

    The first rung has eta^(rungs - 1) children, each trained for one eta^(rungs - 1)-th of a whole
    training.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> from nas_lightning.strategies.random_search import RandomSearch
    >>> halving = SuccessiveHalving(NasBench201Space(), seed=0, proposer=RandomSearch)
    >>> halving.brackets, [round(budget, 3) for budget in halving.budgets]
    (((9, 3),), [0.111, 0.333, 1.0])
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        proposer: Proposer,
        trials: int = 13,
        eta: int = 3,
        rungs: int = 3,
        objective: Objective | None = None,
    ) -> None:
        brackets = [(eta ** (rungs - 1), rungs)]
        super().__init__(space, seed, proposer, trials, eta, rungs, brackets, objective)
