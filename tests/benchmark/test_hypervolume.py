"""The share of a table's Pareto front that searches find."""

from random import Random

import pytest

from nas_lightning.benchmark.hypervolume import Yardstick, hypervolume, hypervolume_curve
from nas_lightning.benchmark.simulation import Simulated
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
def yardstick(table):
    return Yardstick(table, LatencyProduct(SPACE), [0.8, None])


def test_a_hypervolume_is_the_area_that_points_cover_together():
    rng = Random(0)
    points = [(rng.random(), rng.random()) for _ in range(12)]
    grid = [(i + 0.5) / 400 for i in range(400)]
    covered = sum(any(x < a and y > b for a, b in points) for x in grid for y in grid) / 400**2
    assert hypervolume(points, DIRECTIONS, (0.0, 1.0)) == pytest.approx(covered, abs=0.01)


def test_points_beyond_the_reference_cover_nothing():
    assert hypervolume([(0.4, 0.1), (0.9, 6.0)], DIRECTIONS, (0.5, 5.0)) == 0


def test_the_tables_own_front_is_all_of_it(table, yardstick):
    trials = [Trial(n, None, values=values) for n, values in enumerate(yardstick.front)]
    shares = yardstick.shares(trials)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert yardstick.reference[0] == 0.8
    assert yardstick.reference[1] > max(latency for _, latency in yardstick.front)


def test_a_curve_is_of_quartiles_over_searches(yardstick):
    whole = [Trial(n, None, values=values) for n, values in enumerate(yardstick.front)]
    searches = [Simulated(seed, 9, 1.0, (), tuple(whole[seed : seed + 9])) for seed in range(3)]
    curve, last = hypervolume_curve(searches, yardstick)
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
        Yardstick(table, objective, reference)
