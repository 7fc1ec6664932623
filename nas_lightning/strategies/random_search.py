"""Random search: genotypes drawn uniformly, the baseline of every comparison.

Source: Li & Talwalkar, Random Search and Reproducibility for NAS, 2019 (arXiv:1902.07638).
"""

from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import BlackBoxStrategy, Trial

__all__ = ["RandomSearch"]


class RandomSearch(BlackBoxStrategy):
    """Draws every genotype uniformly over the space; the best one counts.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> strategy = RandomSearch(NasBench201Space(), seed=0, trials=2)
    >>> strategy.ask(1).genotype == strategy.ask(0).genotype
    False
    """

    def __init__(self, space: SearchSpace, seed: int, trials: int = 8) -> None:
        super().__init__(space, seed, trials)

    def ask(self, number: int) -> Trial:
        """Returns trial `number`, which depends on nothing but seed and number."""
        return Trial(number, self.space.sample(self.random("random search", number)))

    def tell(self, trial: Trial) -> None:
        """Does nothing: random search learns nothing."""
