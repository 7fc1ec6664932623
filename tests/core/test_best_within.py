"""What a one-shot search delivers within limits: exact in small spaces, checked in large ones."""

import pytest
import torch

from nas_lightning.core.best_within import MEASURED, MOST, best_genotype, score_of
from nas_lightning.core.choices import Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.limited import cost_measure, limited, smallest_child
from nas_lightning.core.limits import Limits
from nas_lightning.core.search_space import SearchSpace, uniform_mixture
from nas_lightning.core.shrinking import every
from nas_lightning.search_spaces.chain import ChainSpace
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.mobile import MobileSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space

SHAPE = (3, 16, 16)


def scores_of(space: SearchSpace, seed: int) -> Mixture:
    even = uniform_mixture(space.choices)
    noise = torch.randn(even.weights.shape, generator=torch.Generator().manual_seed(seed))
    return Mixture((noise + even.weights.gt(0).log()).softmax(dim=-1), even.support)


def tight(space: SearchSpace, share: float) -> SearchSpace:
    """The space within the size that a share of random children keeps."""
    scale = space.scale.of_data(SHAPE, 10)
    cost = space.cost(scale)
    sizes = (cost.of_child(space.mixture(space.sample(seed)))["parameters"] for seed in range(60))
    return limited(space, scale, {"parameters": sorted(sizes)[int(60 * share)]})


def test_without_limits_or_within_them_it_is_the_spaces_own_rule() -> None:
    space = DartsSpace()
    scores = scores_of(space, 0)
    assert best_genotype(space, scores) == space.discretize(scores)
    wide = limited(space, space.scale.of_data(SHAPE, 10), {"parameters": 1e9})
    assert best_genotype(wide, scores) == space.discretize(scores)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_in_a_small_space_no_other_genotype_within_the_limits_scores_higher(seed: int) -> None:
    space = tight(NasBench201Space(), 0.2)
    scores = scores_of(space, seed)
    assert space.count() <= MOST
    keeping = filter(space.limits.keeps, map(space.genotype, every(space.decisions)))
    best = best_genotype(space, scores)
    highest = max(score_of(space, scores, genotype) for genotype in keeping)
    assert score_of(space, scores, best) == pytest.approx(highest, abs=1e-12)
    assert space.limits.keeps(best)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [DartsSpace, MobileSpace, ChainSpace])
@pytest.mark.parametrize("seed", range(2))
def test_in_a_large_space_it_keeps_the_limits_and_loses_little(
    kind: type[SearchSpace], seed: int
) -> None:
    space = tight(kind(), 0.1)
    scores = scores_of(space, seed)
    best = best_genotype(space, scores)
    high = score_of(space, scores, space.discretize(scores))
    random = max(score_of(space, scores, space.sample(number)) for number in range(30))
    assert space.limits.keeps(best)
    assert high >= score_of(space, scores, best) > random
    assert score_of(space, scores, best) > high - 0.5 * (high - random)


def test_the_loss_of_score_is_within_the_gap_of_duality() -> None:
    """No genotype can score higher than the least of the relaxed problems (Everett 1963)."""
    space = tight(DartsSpace(), 0.05)
    scores, bound = scores_of(space, 0), space.limits.bounds["parameters"]
    weights = scores.weights.double().requires_grad_()
    cost = space.limits.expected(Mixture(weights, scores.support))["parameters"]
    (prices,) = torch.autograd.grad(cost / bound, weights)

    def relaxed(price: float) -> float:
        best = space.discretize(Mixture(weights.detach() - price * prices, scores.support))
        excess = space.limits.value("parameters", best) / bound - 1
        return score_of(space, scores, best) - price * excess

    least = min(relaxed(0.02 * 1.1**power) for power in range(80))
    assert 0.98 * least < score_of(space, scores, best_genotype(space, scores)) <= least + 1e-9


def test_options_out_of_the_support_are_taken_last() -> None:
    space = tight(NasBench201Space(), 0.3)
    scores = scores_of(space, 1)
    support = tuple((row[0], *row[2:]) for row in scores.support)  # no skip connection
    best = best_genotype(space, Mixture(scores.weights, support))
    assert "skip_connect" not in best.mapping.values()


@pytest.mark.parametrize(("kind", "share"), [(NasBench201Space, 0.3), (DartsSpace, 0.3)])
def test_few_children_are_measured_where_one_takes_long(
    kind: type[SearchSpace], share: float
) -> None:
    free = kind()
    scale = free.scale.of_data(SHAPE, 10)
    count = cost_measure(free, scale)
    measured: list[Genotype] = []

    def least(genotype: Genotype) -> dict[str, float]:
        return {"memory_mb": 4e-6 * count(genotype)["parameters"]}

    def measure(genotype: Genotype) -> dict[str, float]:
        measured.append(genotype)
        return {"memory_mb": least(genotype)["memory_mb"] + (0.1 if genotype == small else 9.0)}

    sizes = sorted(least(free.sample(seed))["memory_mb"] for seed in range(60))
    bound = sizes[int(60 * share)]
    small = smallest_child(free, Limits({"parameters": 1.0}, {"parameters": count}), "parameters")
    limits = Limits({"memory_mb": bound + 0.1}, {"memory_mb": measure}, least={"memory_mb": least})
    space = free.within(limits, small)
    scores = scores_of(space, 0)
    measured.clear()
    assert best_genotype(space, scores) == small  # nothing else keeps the limit
    assert len(measured) <= 2 * MEASURED + 1
    assert all(least(genotype)["memory_mb"] <= bound + 0.1 for genotype in measured)
