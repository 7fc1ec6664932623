"""Evolution: the best of a few members of a population has a mutated child.

Source: Real et al., Regularized Evolution for Image Classifier Architecture Search, 2019
(arXiv:1802.01548), algorithm 1. Deliberate difference: the search space says what a mutation is;
by default one active decision is changed, each as likely.
"""

from nas_lightning.core.checks import at_least
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import BlackBoxStrategy, Trial

__all__ = ["Evolution"]


class Evolution(BlackBoxStrategy):
    """Tournament selection with mutation, regularized by age or not.

    The first `population` trials are drawn uniformly. Every other one mutates the best of
    `sample` members, drawn with replacement, and replaces the oldest member (aging) or the worst.

    Args:
        population: members that may have children; the paper has 100.
        sample: members in a tournament; the paper has 25.
        aging: whether the oldest member dies, not the worst.

    Raises: ValueError: a value is out of range, or the population leaves no trial to evolve.

    >>> from dataclasses import replace
    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> strategy = Evolution(NasBench201Space(), seed=0, trials=3, population=1, sample=1)
    >>> for number, reward in enumerate((0.2, 0.9)):
    ...     strategy.tell(replace(strategy.ask(number), reward=reward))
    >>> [member.number for member in strategy.members]  # the oldest one died
    [1]
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        trials: int = 8,
        population: int = 4,
        sample: int = 2,
        aging: bool = True,
    ) -> None:
        super().__init__(space, seed, trials)
        at_least("strategy.population", population, 1, use=4)
        at_least("strategy.sample", sample, 1, use=2)
        if population >= trials:
            smaller = f" or strategy.population={trials // 2}" if trials > 1 else ""
            raise ValueError(
                f"strategy.population ({population}) must be below strategy.trials ({trials}), or "
                f"nothing evolves; use strategy.trials={2 * population}{smaller}"
            )
        self.population, self.sample, self.aging = population, sample, aging
        self.members: list[Trial] = []
        self._told = 0

    def ask(self, number: int) -> Trial:
        """Returns a random genotype while the population fills, then a mutated winner."""
        rng = self.random("evolution", number)
        if len(self.members) < self.population:
            return Trial(number, self.space.sample(rng))
        winner = max(rng.choices(self.members, k=self.sample), key=lambda trial: trial.told_reward)
        return Trial(number, self.space.mutate(winner.genotype, rng))

    def tell(self, trial: Trial) -> None:
        """Lets the child in; once the population is full, the oldest or the worst goes."""
        if len(self.members) == self.population and self.aging:
            self.members[self._told % self.population] = trial  # in constant time
        else:
            self.members.append(trial)
        self._told += 1
        if len(self.members) > self.population:
            self.members.remove(min(self.members, key=lambda trial: trial.told_reward))
