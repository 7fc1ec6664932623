"""The augmented Lagrangian of limits: its value, its gradient, and how multipliers move."""

import pytest
import torch
from torch import Tensor

from nas_lightning.core.choices import Mixture
from nas_lightning.core.limit_penalty import LimitPenalty, limit_penalty
from nas_lightning.core.limited import limited
from nas_lightning.core.search_space import SearchSpace, uniform_mixture
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.mobile import MobileSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space

SHAPE = (3, 16, 16)


def within(space: SearchSpace, **bounds: float) -> tuple[SearchSpace, Mixture]:
    """The space within limits, and even scores in float64 with a gradient."""
    even = uniform_mixture(space.choices)
    weights = even.weights.double().requires_grad_()
    return limited(space, space.scale.of_data(SHAPE, 10), bounds), Mixture(weights, even.support)


@pytest.mark.parametrize("kind", [NasBench201Space, MobileSpace])  # mobile: products of factors
def test_the_gradient_is_that_of_finite_differences(kind: type[SearchSpace]) -> None:
    space, scores = within(
        kind(), parameters=150_000 if kind is MobileSpace else 20_000, multiply_adds=2e7
    )
    penalty = LimitPenalty(space, scores)
    penalty.multiplier.fill_(0.3)

    def value(weights: Tensor) -> Tensor:
        return penalty(Mixture(weights, scores.support))

    (gradient,) = torch.autograd.grad(value(scores.weights), scores.weights)
    assert gradient.abs().max() > 0
    step, rng = 1e-6, torch.Generator().manual_seed(0)
    for _ in range(5):
        towards = torch.randn(gradient.shape, generator=rng).double()
        start = scores.weights.detach()
        slope = (value(start + step * towards) - value(start - step * towards)) / (2 * step)
        assert float((gradient * towards).sum()) == pytest.approx(float(slope), rel=1e-5)


def test_the_excess_is_a_random_childs_at_even_scores() -> None:
    """DARTS' mixture holds all edges, of which a child keeps two a node."""
    space, scores = within(DartsSpace(), parameters=30_000)
    sizes = [space.limits.value("parameters", DartsSpace().sample(seed)) for seed in range(64)]
    penalty = LimitPenalty(space, scores)
    drawn = sum(sizes) / len(sizes) / 30_000 - 1
    assert float(penalty.excess(scores.detach())[0]) == pytest.approx(drawn, abs=0.05)


def test_multipliers_grow_while_a_limit_is_exceeded_and_never_fall_below_zero() -> None:
    space, scores = within(NasBench201Space(), parameters=20_000)
    penalty = LimitPenalty(space, scores)
    excess = float(penalty.excess(scores.detach())[0])
    assert excess > 0
    assert float(penalty(scores.detach())) == pytest.approx(penalty.stiffness * excess**2 / 2)
    penalty.update(scores)
    grown = penalty.stiffness * float(penalty.excess(scores.detach())[0])
    assert float(penalty.multiplier) == pytest.approx(grown)
    assert grown > 0
    small = space.mixture(space.small).to(scores.weights.detach())
    for _ in range(20):
        penalty.update(small)
    assert float(penalty.multiplier) == 0.0
    assert float(penalty(small)) == 0.0


def test_scores_without_a_gradient_and_spaces_without_limits_have_no_penalty() -> None:
    space, scores = within(NasBench201Space(), parameters=20_000)
    assert limit_penalty(space, scores.detach) is None
    assert limit_penalty(NasBench201Space(), lambda: scores) is None
