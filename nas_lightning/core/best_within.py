"""The best-scored genotype within limits: what a one-shot search delivers."""

from collections.abc import Iterable, Iterator
from copy import copy
from random import Random

import torch
from torch import Tensor

from nas_lightning.core.choices import Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.limits import Limits
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.shrinking import every

__all__ = ["best_genotype", "score_of"]

MOST = 20_000  # genotypes that are all compared
MEASURED = 200  # children in a search at most, where it takes long to measure one
HALVINGS = 23  # of the interval in which the price of the limits is sought


def best_genotype(space: SearchSpace, scores: Mixture) -> Genotype:
    """Returns the discretized scores or, where the space has limits, the best that keeps them.

    Up to 20,000 genotypes are all compared. In larger spaces it is the best of a search: limits
    get a price, by which options lose score as they cost more (Lagrangian relaxation, exact up to
    the gap of duality where costs are sums over choices: Everett, Generalized Lagrange multiplier
    method, 1963); then single decisions are changed for as long as one raises the score. Where it
    takes long to measure a child (memory), each of the two searches measures 200 at most: those
    that may keep the limits, in the order of their scores.

    >>> from nas_lightning.core.search_space import uniform_mixture
    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> space = NasBench201Space()
    >>> best_genotype(space, uniform_mixture(space.choices)).mapping["edge_0_1"]
    'none'
    """
    found, limits = space.discretize(scores), space.limits
    if limits is None or limits.keeps(found):
        return found
    judge = _Judge(space, scores)
    if space.count() <= MOST:
        every_one = (Genotype.of(space.name, chosen) for chosen in every(space.decisions))
        if best := judge.first(sorted(every_one, key=judge.score, reverse=True)):
            return best
    starts = list(_priced(space, scores, limits)) or [space.small]
    return judge.climbed(max(starts, key=judge.score))


def score_of(space: SearchSpace, scores: Mixture, genotype: Genotype) -> float:
    """Returns a genotype's score: the sum of those of its options.

    A choice that another choice leaves without effect counts as its best option, so that neither
    more nor fewer choices are better in themselves; an edge that is not taken counts nothing.
    """
    return _Judge(space, scores).score(genotype)


class _Judge:
    """Scores genotypes, and climbs from one to better ones within the limits."""

    def __init__(self, space: SearchSpace, scores: Mixture) -> None:
        self.space, self.left = space, MEASURED
        rows = zip(scores.weights.tolist(), scores.support, strict=True)
        self.rows = [[w if i in s else -1.0 for i, w in enumerate(row)] for row, s in rows]
        names = {choice.name for choice in space.choices}
        settled = {d.name for d in space.decisions if d.given and {n for n, _ in d.given} <= names}
        best = zip(space.choices, self.rows, strict=True)
        self.idle = [max(row) if choice.name in settled else 0.0 for choice, row in best]

    def score(self, genotype: Genotype) -> float:
        """Returns the score of a genotype (see `score_of`)."""
        if type(self.space).mixture is SearchSpace.mixture:  # decisions are named as choices
            chosen = genotype.mapping
            table = zip(self.space.choices, self.rows, self.idle, strict=True)
            return sum(
                row[choice.options.index(chosen[choice.name])] if choice.name in chosen else idle
                for choice, row, idle in table
            )
        taken = zip(self.rows, self.space.mixture(genotype).support, self.idle, strict=True)
        return sum(sum(row[i] for i in few) if few else idle for row, few, idle in taken)

    def climbed(self, genotype: Genotype) -> Genotype:
        """Returns a genotype that no change of one decision betters within the limits."""
        free, self.left = copy(self.space), MEASURED
        free.limits = None
        best: Genotype | None = genotype
        while best:
            genotype, high = best, self.score(best)
            better = [g for g in free.neighbours(best, Random(0)) if self.score(g) > high]
            best = self.first(sorted(better, key=self.score, reverse=True))
        return genotype

    def first(self, genotypes: Iterable[Genotype]) -> Genotype | None:
        """Returns the first genotype that keeps the limits, if one is met in time."""
        limits = self.space.limits
        assert limits is not None, "without limits the first one keeps them"
        for genotype in filter(limits.may_keep, genotypes):
            self.left -= limits.take_long
            if self.left < 0:
                return None
            if limits.keeps(genotype):
                return genotype
        return None


def _priced(space: SearchSpace, scores: Mixture, limits: Limits) -> Iterator[Genotype]:
    """Yields the genotypes within the limits that are best at some price of what is limited."""
    prices = _marginal_costs(scores, limits)
    if not prices.any():
        return
    weights = scores.weights.detach().cpu().double()

    def at(price: float) -> Genotype:
        return space.discretize(Mixture(weights - price * prices, scores.support))

    low, high = 0.0, 1.0
    while high < 1e9 and not limits.keeps(at(high)):
        low, high = high, 4 * high
    if limits.keeps(genotype := at(high)):
        yield genotype
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if limits.keeps(genotype := at(middle)):
            high = middle
            yield genotype
        else:
            low = middle


def _marginal_costs(scores: Mixture, limits: Limits) -> Tensor:
    """Returns by how much an option raises the limited quantities, as shares of their bounds."""
    weights = scores.weights.detach().cpu().double().requires_grad_()
    costs = limits.expected(Mixture(weights, scores.support))
    shares = [cost / limits.bounds[name] for name, cost in costs.items() if cost.requires_grad]
    if not shares:
        return torch.zeros_like(weights)
    (prices,) = torch.autograd.grad(torch.stack(shares).sum(), weights)
    return prices
