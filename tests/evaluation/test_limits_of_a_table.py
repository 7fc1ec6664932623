"""Evolution within limits, against the best that NAS-Bench-201's table has within them."""

from dataclasses import replace

import numpy as np
import pytest

from nas_lightning.core.limited import cost_measure, limited
from nas_lightning.evaluation.table_file import read_table
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.evolution import Evolution

SPACE = NasBench201Space()
SCALE = SPACE.published_scale().of_data((3, 32, 32), 10)
POINT = 0.01


@pytest.fixture(scope="module")
def table():
    return read_table("nasbench201", SPACE)


@pytest.mark.slow  # 20 searches of 500 children
def test_evolution_comes_within_three_tenths_of_a_point_of_the_best_of_each_limit(table):
    accuracies = table.accuracies("cifar10_val_200")
    sizes = table.numbers("cifar10_params")
    bounds = np.unique(sizes)[np.linspace(0, len(np.unique(sizes)) - 1, 20).astype(int)]
    gaps = [
        accuracies[sizes <= bound].max() - _found(table, accuracies, float(bound))
        for bound in bounds
    ]
    assert max(gaps) <= 0.3 * POINT


def test_the_limits_count_parameters_as_the_table_does(table):
    measure, sizes = cost_measure(SPACE, SCALE), table.numbers("cifar10_params")
    codes = list(table.rows.items())[::500]
    counted = [measure(SPACE.decode(code))["parameters"] for code, _ in codes]
    assert counted == [sizes[row] for _, row in codes]


def _found(table, accuracies, bound):
    """Returns the best accuracy of 500 trials, with the paper's population and tournaments."""
    space = limited(SPACE, SCALE, {"parameters": bound})
    strategy, best = Evolution(space, seed=0, trials=500, population=100, sample=25), 0.0
    for number in range(500):
        trial = strategy.ask(number)
        reward = accuracies[table.row(trial.genotype)]
        strategy.tell(replace(trial, reward=reward))
        best = max(best, reward)
    return best
