"""The share of a table's Pareto front that searches find."""

from random import Random

import pytest

from nas_lightning.benchmark.hypervolume import ReferenceFront, hypervolume, hypervolume_curve
from nas_lightning.benchmark.simulation import SimulatedSearch
from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.objectives import Accuracy, LatencyProduct
from nas_lightning.evaluation.tabular import TabularEvaluation
from nas_lightning.search_spaces.nasbench201 import NasBench201Space

SPACE = NasBench201Space()
DIRECTIONS = ("max", "min")


@pytest.fixture(scope="module")
def table():
    return TabularEvaluation(SPACE, "cifar10", epochs=200)


@pytest.fixture(scope="module")
def reference(table):
    return ReferenceFront(table, LatencyProduct(SPACE), [0.8, None])


def test_a_hypervolume_is_the_area_that_points_cover_together():
    rng = Random(0)
    points = [(rng.random(), rng.random()) for _ in range(12)]
    grid = [(i + 0.5) / 400 for i in range(400)]
    covered = sum(any(x < a and y > b for a, b in points) for x in grid for y in grid) / 400**2
    assert hypervolume(points, DIRECTIONS, (0.0, 1.0)) == pytest.approx(covered, abs=0.01)


def test_points_beyond_the_reference_cover_nothing():
    assert hypervolume([(0.4, 0.1), (0.9, 6.0)], DIRECTIONS, (0.5, 5.0)) == 0


def test_the_tables_own_front_is_all_of_it(table, reference):
    trials = [Trial(n, None, values=values) for n, values in enumerate(reference.front)]
    shares = reference.shares(trials)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert reference.point[0] == 0.8
    assert reference.point[1] > max(latency for _, latency in reference.front)


def test_a_curve_is_of_quartiles_over_searches(reference):
    whole = [Trial(n, None, values=values) for n, values in enumerate(reference.front)]
    searches = [
        SimulatedSearch(seed, 9, 1.0, (), tuple(whole[seed : seed + 9])) for seed in range(3)
    ]
    curve, last = hypervolume_curve(searches, reference)
    assert curve["evaluations"] == list(range(1, 10))
    assert sorted(last)[1] == pytest.approx(curve["median"][-1])


@pytest.mark.parametrize(
    ("objective", "reference", "message"),
    [
        (LatencyProduct(SPACE), [0.8], r"reference \(\[0\.8\]\) must be \[\], or have an entry"),
        (LatencyProduct(SPACE), [1.0, None], r"reference \(\[1\.0, .* must be worse than some chi"),
        (Accuracy(), [], r"validation_accuracy, which must be two"),
    ],
)
def test_impossible_reference_points_are_refused(table, objective, reference, message):
    with pytest.raises(ValueError, match=message):
        ReferenceFront(table, objective, reference)
