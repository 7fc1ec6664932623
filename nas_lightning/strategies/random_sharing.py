"""Random search with weight sharing: uniform paths train a supernet, which then ranks samples.

Source: Li & Talwalkar, RSPS, 2019 (arXiv:1902.07638), section 4; Guo et al., Single Path One-Shot
(SPOS), 2020 (arXiv:1904.00420), for the evolution over the trained supernet and the recalibrated
statistics. The BatchNorm statistics that a candidate is measured with decide the ranking
(`statistics`): "batch" takes each validation batch's own, as RSPS's code does; "recalibrated"
takes them anew for each candidate from a few batches, as SPOS does; "running" takes those of the
supernet's training, which belong to no candidate. Deliberate differences from SPOS: those batches
are of the validation part; a mutation is the search space's (by default one decision, not each
one in ten); no candidate is refused for its cost.
"""

from collections.abc import Callable, Iterable, Sequence, Set
from random import Random

from nas_lightning.core.checks import at_least, one_of
from nas_lightning.core.choices import Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext, listed
from nas_lightning.core.search_space import SearchSpace, uniform_mixture
from nas_lightning.core.strategy import OneShotStrategy

__all__ = ["RandomSharing", "evolved", "ranking_data"]

TRIES = 10  # draws per child that is to be new


class RandomSharing(OneShotStrategy):
    """Uniform single paths train the supernet; the best of many measured genotypes is found.

    Args:
        epochs: length of the search; RSPS has 50, and 250 on NAS-Bench-201.
        samples: genotypes drawn and measured at the end; RSPS has 1000, 100 on NAS-Bench-201.
            With evolution they are its first population.
        generations: generations of evolution that follow; 0 is random search, SPOS has 20. Each
            measures as many new genotypes, crossed and mutated in turn, from the best fifth so far.
        statistics: "batch", "recalibrated" or "running" (see above).
        recalibration: batches that recalibration takes, at least 1.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> sharing = RandomSharing(NasBench201Space(), seed=0)
    >>> [len(options) for options in sharing.mixture("params").support]  # one path
    [1, 1, 1, 1, 1, 1]
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        samples: int = 50,
        generations: int = 0,
        statistics: str = "batch",
        recalibration: int = 4,
        params_optimizer: Sgd = Sgd(),
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, Adam())
        at_least("strategy.samples", samples, 1, use=100)
        at_least("strategy.generations", generations, 0)
        at_least("strategy.recalibration", recalibration, 1, use=4)
        one_of("strategy.statistics", statistics, ("batch", "recalibrated", "running"))
        self.samples, self.generations = samples, generations
        self.statistics, self.recalibration = statistics, recalibration

    def mixture(self, phase: str) -> Mixture:
        """Returns the one-hot mixture of a genotype drawn uniformly over the space."""
        return self.space.mixture(self.space.sample(self.random())).to(self.allowed.float())

    def scores(self) -> Mixture:
        """Returns equal weights: training prefers nothing."""
        weights = uniform_mixture(self.space.choices).weights.to(self.allowed.device)
        return Mixture(weights, self.support())

    def alpha_step(self, train: Batch, val: Batch, context: SearchContext) -> None:
        """Does nothing: a step only moves the params of one path."""

    def derive(self, context: SearchContext | None = None, val: Iterable[Batch] = ()) -> Genotype:
        """Returns the genotype that the supernet measures best, the first of equal ones."""
        context, batches = ranking_data("random_sharing", context, val)

        def measure(genotype: Genotype) -> float:
            return self._measure(context, genotype, batches)

        return evolved(self.space, measure, self.samples, self.generations, self.random())[0]

    def _measure(self, context: SearchContext, genotype: Genotype, batches: list[Batch]) -> float:
        mixture, is_recalibrated = self.space.mixture(genotype), self.statistics == "recalibrated"
        first = batches[: self.recalibration] if is_recalibrated else None
        is_of_batch = self.statistics == "batch"
        value = context.validate(mixture, batches, first, batch_statistics=is_of_batch)
        return context.reward(value)


def evolved(
    space: SearchSpace,
    measure: Callable[[Genotype], float],
    samples: int,
    generations: int,
    rng: Random,
) -> list[Genotype]:
    """Returns all genotypes that an evolution in a supernet measures, the best first (SPOS).

    They are `samples` that are drawn, and in each generation as many new children of the best fifth
    so far, two at least. `measure` returns what is higher where a genotype is better.
    """
    measured: dict[Genotype, float] = {}
    population = [space.sample(rng) for _ in range(samples)]
    for generation in range(generations + 1):
        fresh = dict.fromkeys(population)
        measured |= {genotype: measure(genotype) for genotype in fresh}
        ranked = sorted(measured, key=lambda g: -measured[g])
        if generation < generations:
            best = ranked[: max(2, samples // 5)]
            population = _offspring(space, best, measured.keys(), samples, rng)
    return ranked


def _offspring(
    space: SearchSpace,
    best: Sequence[Genotype],
    measured: Set[Genotype],
    number: int,
    rng: Random,
) -> list[Genotype]:
    """Returns as many new children as are asked for; fewer where few are new."""
    children: list[Genotype] = []
    for attempt in range(TRIES * number):
        if len(children) == number:
            break
        if attempt % 2:
            child = space.mutate(rng.choice(best), rng)
        else:
            child = space.crossover(rng.choice(best), rng.choice(best), rng)
        if child not in measured and child not in children:
            children.append(child)
    return children


def ranking_data(
    strategy: str, context: SearchContext | None, val: Iterable[Batch]
) -> tuple[SearchContext, list[Batch]]:
    """Returns the context and the validation batches by which the named strategy ranks genotypes.

    Raises: ValueError: there is no context or no batch.
    """
    if context is None:
        raise ValueError(
            f"strategy={strategy} measures genotypes in its supernet, so that derive needs a "
            "search context, got None; use derive of the SupernetModule, with validation batches"
        )
    return context, listed(val, strategy)
