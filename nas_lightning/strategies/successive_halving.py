"""Successive halving: many children are trained a little, the better ones continue.

Sources: Jamieson & Talwalkar, 2016 (arXiv:1502.07943); with several trials in flight ASHA, its
asynchronous variant: Li et al., 2020 (arXiv:1810.05934), algorithm 2, which promotes a child as
soon as it is among the best of its rung so far, sometimes wrongly, and never waits. Deliberate
differences: synchronous brackets follow one another until the trials are used up; the asynchronous
ones end with the trials too, so that some children may never be continued.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import signature

from nas_lightning.core.checks import at_least
from nas_lightning.core.objective import Objective
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import BlackBoxStrategy, Trial
from nas_lightning.strategies.rungs import Place, Rungs, RunningRungs, WaitingRungs

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
        asynchronous: whether a child is promoted before its rung is complete (ASHA); None says so
            where several trials are in flight.
        num_in_flight: trials that are asked before the first of them is told.

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
        asynchronous: bool | None,
        num_in_flight: int,
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
        self.is_asynchronous = num_in_flight > 1 if asynchronous is None else asynchronous
        kind = RunningRungs if self.is_asynchronous else WaitingRungs
        self._rungs: Rungs = kind(self.brackets, eta)
        self._asked: dict[int, tuple[Trial, Place]] = {}  # and not told yet
        self._num_proposed = 0
        self._proposals: dict[int, int] = {}  # numbers of new children for the proposer

    @property
    def is_waiting(self) -> bool:
        """Whether all children of the rung were asked and some are not told."""
        return self._rungs.is_waiting

    def ask(self, number: int) -> Trial:
        """Returns a new child at the least budget, or a promoted one at a larger budget."""
        if number not in self._asked:
            place = self._rungs.take()
            self._asked[number] = self._trial(number, place), place
        return self._asked[number][0]

    def tell(self, trial: Trial) -> None:
        """Notes a child, for its rung and, where it is new, for the proposer."""
        _, place = self._asked.pop(trial.number)
        if place.before is None:
            proposal = self._proposals.pop(trial.number)
            self.proposer.tell(replace(trial, number=proposal, budget=1.0))
        parent = [] if place.before is None else [place.before.number]
        self.ended = (*parent, *self._rungs.tell(trial, place))

    def _trial(self, number: int, place: Place) -> Trial:
        _, rungs = self.brackets[place.bracket]
        budget = float(self.eta ** (place.rung + 1 - rungs))
        if (before := place.before) is not None:
            return Trial(number, before.genotype, budget, before.number, before.budget)
        self._proposals[number] = self._num_proposed
        self._num_proposed += 1
        return Trial(number, self.proposer.ask(self._proposals[number]).genotype, budget)


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
        asynchronous: bool | None = None,
        num_in_flight: int = 1,
    ) -> None:
        brackets = [(eta ** (rungs - 1), rungs)]
        sizes = trials, eta, rungs, brackets
        super().__init__(space, seed, proposer, *sizes, objective, asynchronous, num_in_flight)
