"""Random search with weight sharing: uniform paths train a supernet, which then ranks samples.

Source: Li & Talwalkar, RSPS, 2019 (arXiv:1902.07638), section 4; Guo et al., Single Path One-Shot
(SPOS), 2020 (arXiv:1904.00420), for the evolution over the trained supernet and the recalibrated
statistics. What BatchNorm's statistics a candidate is measured with decides the ranking
(`statistics`): "batch" takes each validation batch's own, as RSPS's code does; "recalibrated"
takes them anew for each candidate from a few batches, as SPOS does; "running" takes those of the
supernet's training, which belong to no candidate. Deliberate differences from SPOS: those batches
are of the validation part; a mutation is the search space's (by default one decision, not each
one in ten); no candidate is refused for its cost.
"""

from collections.abc import Iterable, Sequence, Set
from random import Random

from nas_lightning.core.choices import Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext, listed
from nas_lightning.core.search_space import SearchSpace, uniform_mixture
from nas_lightning.core.strategy import OneShotStrategy

__all__ = ["RandomSharing"]

STATISTICS = ("batch", "recalibrated", "running")
TRIES = 10  # draws for each child that is to be new


class RandomSharing(OneShotStrategy):
    """Uniform single paths train the supernet; the best of many measured genotypes is found.

    Args:
        space: the search space.
        seed: seed of every draw.
        epochs: length of the search; RSPS has 50, and 250 on NAS-Bench-201.
        samples: genotypes drawn and measured at the end; RSPS has 1000, 100 on NAS-Bench-201.
            With evolution they are its first population.
        generations: generations of evolution that follow; 0 is random search, SPOS has 20. Each
            measures as many new ones, crossed and mutated in turn, from the best fifth of
            all so far.
        statistics: "batch", "recalibrated" or "running" (see above).
        recalibration: batches that recalibration takes, at least 1.
        params_optimizer: how the supernet's params are moved.

    Raises:
        ValueError: a value is out of its range.
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
        if samples < 1 or generations < 0 or recalibration < 1:
            raise ValueError(
                f"strategy.samples ({samples}) and recalibration ({recalibration}) must be at "
                f"least 1, generations ({generations}) at least 0; use e.g. 100, 10 and 0"
            )
        if statistics not in STATISTICS:
            raise ValueError(
                f"unknown strategy.statistics '{statistics}'; choose from: {', '.join(STATISTICS)}"
            )
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
        """Does nothing: a step moves the params of one path alone."""

    def derive(self, context: SearchContext, val: Iterable[Batch]) -> Genotype:
        """Returns the genotype that the supernet measures best, the first of equal ones.

        Raises:
            ValueError: there are no validation batches.
        """
        rng, batches = self.random(), listed(val, "random_sharing")
        found: dict[Genotype, float] = {}
        population = [self.space.sample(rng) for _ in range(self.samples)]
        for generation in range(self.generations + 1):
            for genotype in population:
                if genotype not in found:
                    found[genotype] = self._measure(context, genotype, batches)
            best = sorted(found, key=lambda g: -found[g])[: max(2, self.samples // 5)]
            if generation < self.generations:
                population = self._offspring(best, found.keys(), rng)
        return best[0]

    def _offspring(
        self, best: Sequence[Genotype], known: Set[Genotype], rng: Random
    ) -> list[Genotype]:
        """Returns as many children as there are samples; fewer where hardly one is new."""
        children: dict[Genotype, None] = {}
        for attempt in range(TRIES * self.samples):
            if len(children) == self.samples:
                break
            if attempt % 2:
                child = self.space.mutate(rng.choice(best), rng)
            else:
                child = self.space.crossover(rng.choice(best), rng.choice(best), rng)
            if child not in known:
                children[child] = None
        return list(children)

    def _measure(
        self, context: SearchContext, genotype: Genotype, batches: Sequence[Batch]
    ) -> float:
        mixture = self.space.mixture(genotype)
        if self.statistics == "recalibrated":
            return context.validate(mixture, batches, batches[: self.recalibration])
        return context.validate(mixture, batches, batch_statistics=self.statistics == "batch")
