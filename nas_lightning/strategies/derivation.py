"""Rules that derive genotypes again from a trained supernet, whatever strategy trained it.

Sources: Liu et al., DARTS, 2019 (arXiv:1806.09055), section 2.4, for the space's own rule; Chu et
al., Fair DARTS, 2020 (arXiv:1911.12126), section 4.3, for the threshold; Wang et al., DARTS-PT,
2021 (arXiv:2108.04392), for perturbation (see `projection`); Guo et al., SPOS, 2020
(arXiv:1904.00420), for evolution in the supernet (see `random_sharing`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from random import Random

import torch

from nas_lightning.core.best_within import best_genotype, score_of
from nas_lightning.core.choices import Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.threshold import threshold_genotype
from nas_lightning.strategies.projection import Measure, projected, projected_genotype
from nas_lightning.strategies.random_sharing import evolved

__all__ = ["RULES", "SETTINGS", "Rule", "Trained"]

TRIES = 10  # draws per genotype that is to be new
LEAST = 1e-12  # weight of an option that is drawn all the same


@dataclass(frozen=True)
class Trained:
    """A trained supernet, as rules see it.

    Attributes:
        space: the search space, whose limits every genotype keeps.
        scores: the strategy's preference for each option; needs no gradient.
        measure: what a mixture is worth on validation data, higher is better.
        fitness: what a genotype's path is worth, with BatchNorm recalibrated for it.
        rng: of every draw.
        samples: genotypes that rank measures, and evolution per generation.
        generations: of evolution, after the first population.
        threshold: score from which an operation deserves its edge.
    """

    space: SearchSpace
    scores: Mixture
    measure: Measure
    fitness: Callable[[Genotype], float]
    rng: Random
    samples: int
    generations: int
    threshold: float


Rule = Callable[[Trained, int], list[Genotype]]  # some genotypes, the rule's best first


def by_space(trained: Trained, number: int) -> list[Genotype]:
    """Returns what the space's own rule makes of the scores, then its best-scored neighbours."""
    return _around(trained, best_genotype(trained.space, trained.scores), number)


def by_argmax(trained: Trained, number: int) -> list[Genotype]:
    """Returns the genotype of the leading option of each choice, then its best-scored neighbours.

    Options that no genotype can take, such as DARTS' "none", compete too, which they do not in the
    space's own rule: an edge that such an option leads is taken only if too few others are left.
    """
    scores, decisions = trained.scores, {d.name: d.options for d in trained.space.decisions}
    weights = scores.weights.clone()
    for row, choice in enumerate(trained.space.choices):
        takes = decisions.get(choice.name, choice.options)
        best = max(scores.support[row], key=weights[row].__getitem__, default=None)
        if best is not None and choice.options[best] not in takes:
            weights[row] *= LEAST
    return _around(trained, best_genotype(trained.space, replace(scores, weights=weights)), number)


def by_threshold(trained: Trained, number: int) -> list[Genotype]:
    """Returns the genotype without edges whose operations score too low, then its neighbours."""
    first = threshold_genotype(trained.space, trained.scores, trained.threshold)
    return _around(trained, first, number)


def by_perturbation(trained: Trained, number: int) -> list[Genotype]:
    """Returns what projections find, each in a random order of its own, the fittest first."""

    def found() -> Iterator[Genotype]:
        while True:
            mixture = projected(trained.space, trained.scores, trained.measure, trained.rng)
            yield projected_genotype(trained.space, mixture, trained.scores)

    genotypes = dict.fromkeys(islice(found(), number))
    return sorted(genotypes, key=trained.fitness, reverse=True)


def by_rank(trained: Trained, number: int) -> list[Genotype]:
    """Returns the fittest of genotypes that are drawn by the scores."""
    drawn: dict[Genotype, None] = {}
    for _ in range(TRIES * trained.samples):
        if len(drawn) == trained.samples:
            break
        drawn[_drawn(trained)] = None
    return sorted(drawn, key=trained.fitness, reverse=True)[:number]


def by_evolution(trained: Trained, number: int) -> list[Genotype]:
    """Returns the fittest that evolution in the supernet finds; it starts at uniform draws."""
    space, rng = trained.space, trained.rng
    return evolved(space, trained.fitness, trained.samples, trained.generations, rng)[:number]


RULES: dict[str, Rule] = {
    "space": by_space,
    "argmax": by_argmax,
    "threshold": by_threshold,
    "perturbation": by_perturbation,
    "rank": by_rank,
    "evolution": by_evolution,
}
# Attributes of `Trained` that only some rules use, each with their names.
SETTINGS: dict[str, tuple[str, ...]] = {
    "samples": ("rank", "evolution"),
    "generations": ("evolution",),
    "threshold": ("threshold",),
}


def _around(trained: Trained, first: Genotype, number: int) -> list[Genotype]:
    space, scores = trained.space, trained.scores

    def score(genotype: Genotype) -> float:
        return score_of(space, scores, genotype)

    nearest = sorted(set(space.neighbours(first, trained.rng)), key=lambda g: (-score(g), g.id))
    return [first, *nearest[: number - 1]]


def _drawn(trained: Trained) -> Genotype:
    """Returns a genotype whose options, and edges, are drawn in proportion to their scores.

    The largest of log weights with Gumbel noise is such a draw (Maddison et al., 2014).
    """
    space, scores = trained.space, trained.scores
    seed = trained.rng.randrange(2**62)
    generator = torch.Generator().manual_seed(seed)
    logits = scores.weights.cpu().double().clamp(min=LEAST).log()

    def draw() -> dict[str, str]:
        uniform = torch.rand(logits.shape, generator=generator, dtype=torch.double)
        noise = -(-uniform.clamp(min=LEAST).log()).log()
        return space.discretize(Mixture(logits + noise, scores.support)).mapping

    return space.kept(draw, trained.rng)
