"""The Pareto front of a search."""

from random import Random

import pytest

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.objective import Objective, dominates
from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.pareto import non_dominated, pareto_front

DIRECTIONS = ("max", "min")


class Both(Objective):
    names, directions = ("validation_accuracy", "parameters"), DIRECTIONS

    def reward(self, measurements):
        return measurements["validation_accuracy"]

    def is_met(self, measurements):
        return measurements["parameters"] < 100


def trial(number, accuracy, parameters):
    measured = {"validation_accuracy": accuracy, "parameters": parameters}
    return Trial(
        number,
        Genotype.of("toy", {"op": str(number)}),
        values=(accuracy, parameters),
        measurements=measured,
    )


def test_the_front_is_what_nothing_dominates():
    rng = Random(0)
    points = [(rng.randrange(9) / 9, float(rng.randrange(9))) for _ in range(60)]
    wanted = [
        i
        for i, point in enumerate(points)
        if not any(dominates(other, point, DIRECTIONS) for other in points)
        and points.index(point) == i
    ]
    assert non_dominated(points, DIRECTIONS) == wanted


@pytest.mark.parametrize(
    ("first", "other", "wanted"),
    [((1, 1), (1, 1), False), ((1, 0), (1, 1), True), ((2, 2), (1, 1), False)],
)
def test_a_point_dominates_where_it_is_nowhere_worse_and_somewhere_better(first, other, wanted):
    assert dominates(first, other, DIRECTIONS) is wanted


def test_the_file_lists_the_front_with_its_genotypes_best_first():
    trials = [trial(0, 0.5, 1), trial(1, 0.4, 2), trial(2, 0.9, 9), trial(3, 1.0, 100)]
    front = pareto_front(trials, Both())["front"]
    assert [entry["trial"] for entry in front] == [2, 0]
    assert front[0]["choices"] == {"op": "2"}
    assert front[0]["values"] == {"validation_accuracy": 0.9, "parameters": 9}
