from collections import Counter

import pytest
import torch
from plain_context import SCALE, SPACE, PlainContext, batch, one_shot

from nas_lightning.core.search_space import uniform_mixture
from nas_lightning.search_spaces.darts import DartsSpace


def test_a_step_trains_one_path_and_nothing_else():
    strategy = one_shot("random_sharing")
    context = PlainContext(strategy)
    strategy.search_step(batch(), batch(seed=2), context)
    ((which, mixture, grads),) = context.taken
    assert which == "params"
    assert all(len(row) == 1 for row in mixture.support)
    assert sum(grad is not None for grad in grads) == 3 * 3 + 2
    assert list(strategy.parameters()) == []


def test_paths_are_uniform_over_the_space():
    strategy = one_shot("random_sharing")
    counts = Counter(strategy.mixture("params").support[0] for _ in range(800))
    assert len(counts) == 4
    assert max(counts.values()) - min(counts.values()) < 100  # 4 standard deviations


def test_the_best_of_the_samples_is_found_and_evolution_finds_better_ones():
    best = SPACE.mixture(SPACE.best())
    found = {}
    for generations in (0, 12):
        strategy = one_shot("random_sharing", seed=1, samples=30, generations=generations)
        context = PlainContext(strategy)
        context.worth = best.weights
        genotype = strategy.derive(context, [batch()])
        worths = [float((m.weights * best.weights).sum()) for m, _ in context.validated]
        found[generations] = float((SPACE.mixture(genotype).weights * best.weights).sum())
        assert found[generations] == max(worths)
    assert found[12] == 6.0 > found[0]


def test_evolution_crosses_and_mutates_the_best_fifth_of_its_time(monkeypatch):
    strategy = one_shot("random_sharing", seed=1, samples=20, generations=3)
    space, context = strategy.space, PlainContext(strategy)
    context.worth = torch.rand(6, 4, generator=torch.Generator().manual_seed(0))
    ranks = {"crossover": [], "mutate": []}

    def noted(name, call):
        def noting(*given):
            worths = {
                mixture.support: float((mixture.weights * context.worth).sum())
                for mixture, _ in context.validated
            }
            order = sorted(worths, key=lambda support: -worths[support])
            ranks[name] += [order.index(space.mixture(parent).support) for parent in given[:-1]]
            return call(*given)

        return noting

    for name in ranks:
        monkeypatch.setattr(space, name, noted(name, getattr(space, name)))
    strategy.derive(context, [batch()])
    assert set(ranks["crossover"]) == set(ranks["mutate"]) == {0, 1, 2, 3}


@pytest.mark.parametrize("samples", [1, 2, 8])
def test_each_generation_measures_as_many_new_genotypes_as_there_are_samples(samples):
    strategy = one_shot("random_sharing", seed=1, samples=samples, generations=3)
    context = PlainContext(strategy)
    strategy.derive(context, [batch()])
    assert len({mixture.support for mixture, _ in context.validated}) == 4 * samples


def test_evolution_ends_where_a_space_has_nothing_new():
    space = DartsSpace(nodes=1, ops=("skip_connect", "max_pool_3x3"))
    strategy = one_shot("random_sharing", space, samples=30, generations=3)
    context = PlainContext(strategy, space, SCALE)
    context.worth = torch.zeros(len(space.choices), 2)
    strategy.derive(context, [batch()])
    measured = [mixture.support for mixture, _ in context.validated]
    assert len(measured) == len(set(measured)) < 120


@pytest.mark.parametrize(
    ("statistics", "recalibrates", "of_batch"),
    [("batch", False, True), ("recalibrated", True, False), ("running", False, False)],
)
def test_candidates_are_measured_with_the_statistics_that_were_asked_for(
    statistics, recalibrates, of_batch
):
    strategy = one_shot("random_sharing", samples=2, statistics=statistics, recalibration=1)
    context = PlainContext(strategy)
    strategy.derive(context, [batch(), batch()])
    for _, how in context.validated:
        assert (how.recalibrate is not None) is recalibrates
        assert how.batch_statistics is of_batch
        assert how.recalibrate is None or len(how.recalibrate) == 1


def test_without_validation_batches_nothing_can_be_ranked():
    strategy = one_shot("random_sharing")
    with pytest.raises(ValueError, match="strategy=random_sharing takes its rewards from valid"):
        strategy.derive(PlainContext(strategy), [])


def test_training_prefers_nothing():
    weights = one_shot("random_sharing").scores().weights
    assert torch.equal(weights, uniform_mixture(SPACE.choices).weights)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 0}, r"strategy.samples \(0\) must be at least 1"),
        ({"statistics": "own"}, "unknown strategy.statistics 'own'; choose from: batch, recal"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        one_shot("random_sharing", **settings)
