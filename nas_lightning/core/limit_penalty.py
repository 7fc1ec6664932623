"""What limits add to the loss of alphas: an augmented Lagrangian of the expected cost.

Source: Hestenes, Multiplier and Gradient Methods, 1969; for inequalities Rockafellar, The
multiplier method of Hestenes and Powell applied to convex programming, 1973, equation 1.3.
"""

from collections.abc import Callable, Sequence
from copy import copy
from random import Random

import torch
from torch import Tensor, nn

from nas_lightning.core.choices import Mixture
from nas_lightning.core.search_space import SearchSpace

__all__ = ["LimitPenalty", "limit_penalty"]

SAMPLES = 64  # genotypes by which a mixture's cost is put in proportion to a child's


class LimitPenalty(nn.Module):
    """Draws alphas towards children within the limits of a space.

    A mixture exceeds the limit of a quantity by g = ratio * cost / bound - 1, where the cost is the
    mixture's expected one at the child's scale. The ratio is that of a child's cost to the
    mixture's, since a mixture may hold more than a child keeps, as DARTS' of all edges: first of
    random children, then after each epoch half of it is that of the child that discretization
    gives, whatever its size. With its multiplier m and the stiffness s, each limit adds
    (max(0, m + s * g)^2 - m^2) / (2 s) to the loss; after each epoch in which alphas moved, m
    becomes max(0, m + s * g). A quantity that has no expected cost adds nothing: it counts in the
    derivation alone.

    Args:
        space: the space within its limits.
        first: the scores that the search begins with.
        stiffness: above 0; how fast multipliers grow.

    Attributes:
        names: the quantities that add to the loss.
        multiplier: of each of them, double (quantities,).
        ratio: likewise; see above.
    """

    multiplier: Tensor
    ratio: Tensor

    def __init__(self, space: SearchSpace, first: Mixture, stiffness: float = 1.0) -> None:
        super().__init__()
        assert space.limits is not None, "a space without limits needs no penalty"
        self.space, self.limits = space, space.limits
        self.stiffness = stiffness
        whole = self.limits.expected(first.detach().to(torch.zeros(())))
        self.names: Sequence[str] = tuple(whole)
        free = copy(space)
        free.limits = None
        drawn = [free.sample(Random(number)) for number in range(SAMPLES)]
        ratios = [
            sum(self.limits.value(name, genotype) for genotype in drawn) / SAMPLES / float(cost)
            for name, cost in whole.items()
        ]
        self.register_buffer("ratio", torch.tensor(ratios, dtype=torch.float64))
        self.register_buffer("multiplier", torch.zeros(len(ratios), dtype=torch.float64))

    def excess(self, scores: Mixture) -> Tensor:
        """Returns g of each quantity (quantities,), differentiable in the scores' weights."""
        costs = self.limits.expected(scores)
        shares = [cost / self.limits.bounds[name] for name, cost in costs.items()]
        return self.ratio * torch.stack(shares).to(self.ratio) - 1.0

    def forward(self, scores: Mixture) -> Tensor:
        """Returns what the limits add to a loss, differentiable in the scores' weights."""
        pull = (self.multiplier + self.stiffness * self.excess(scores)).clamp(min=0.0)
        return ((pull**2 - self.multiplier**2) / (2.0 * self.stiffness)).sum()

    @torch.no_grad()
    def update(self, scores: Mixture) -> None:
        """Moves the ratios and multipliers after an epoch."""
        costs, best = self.limits.expected(scores), self.space.discretize(scores)
        for row, (name, cost) in enumerate(costs.items()):
            self.ratio[row] = (self.ratio[row] + self.limits.value(name, best) / float(cost)) / 2
        pull = self.multiplier + self.stiffness * self.excess(scores)
        self.multiplier.copy_(pull.clamp(min=0.0))


def limit_penalty(space: SearchSpace, scores: Callable[[], Mixture]) -> LimitPenalty | None:
    """Returns the penalty of a space's limits; None where no gradient leads from them to scores.

    `scores` gives those that the search begins with; without limits it is not called.
    """
    if space.limits is None or not (first := scores()).weights.requires_grad:
        return None
    penalty = LimitPenalty(space, first)
    return penalty if penalty.names else None
