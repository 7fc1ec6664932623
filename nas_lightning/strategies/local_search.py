"""Local search: climb from neighbour to neighbour, and restart at the top.

Source: White et al., Local Search is State of the Art for NAS Benchmarks, 2020 (arXiv:2005.02960).
Deliberate difference: a new climb begins at the top, so that any number of trials can be used.
"""

from nas_lightning.core.checks import at_least
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import BlackBoxStrategy, Trial

__all__ = ["LocalSearch"]


class LocalSearch(BlackBoxStrategy):
    """Hill climbing over genotypes that differ in one decision, with random restarts.

    The neighbours of a genotype come in random order, without those already evaluated. Where
    none is better, the search restarts from a random genotype. A plateau is not walked.

    Args:
        start: random genotypes, at least 1; the climb begins at the best one.
        greedy: whether to move to the first better neighbour, not to the best of all.

    >>> from dataclasses import replace
    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> strategy = LocalSearch(NasBench201Space(), seed=0)
    >>> strategy.tell(replace(strategy.ask(0), reward=0.5))
    >>> len(strategy.queue)  # 6 edges with 4 other operations each
    24
    """

    needs_last_reward = True  # where it looks next depends on whether the last child was better

    def __init__(
        self, space: SearchSpace, seed: int, trials: int = 8, start: int = 1, greedy: bool = True
    ) -> None:
        super().__init__(space, seed, trials)
        at_least("strategy.start", start, 1)
        self.start, self.greedy = start, greedy
        self.left_to_draw = start
        self.best: Trial | None = None
        self.centre: Trial | None = None
        self.queue: list[Genotype] = []
        self._seen: set[Genotype] = set()

    def ask(self, number: int) -> Trial:
        """Returns a random genotype at a start, else the next neighbour."""
        if self.left_to_draw:
            return Trial(number, self.space.sample(self.random("local search", number)))
        return Trial(number, self.queue[-1])

    def tell(self, trial: Trial) -> None:
        """Notes a genotype's reward, and moves or restarts where it is time to."""
        self._seen.add(trial.genotype)
        is_better = self.best is None or trial.told_reward > self.best.told_reward
        self.best = trial if is_better else self.best
        if self.left_to_draw:
            self.left_to_draw -= 1
            is_time = self.left_to_draw == 0
        else:
            self.queue.pop()
            is_time = not self.queue or (self.greedy and is_better)
        if is_time:
            self._move(trial.number)

    def _move(self, number: int) -> None:
        if self.best is not self.centre and self.best is not None:
            self.centre = self.best
            rng = self.random("neighbours", number)
            around = self.space.neighbours(self.centre.genotype, rng)
            self.queue = [genotype for genotype in around if genotype not in self._seen]
            rng.shuffle(self.queue)
            if self.queue:
                return
        self.best = self.centre = None
        self.left_to_draw = self.start
