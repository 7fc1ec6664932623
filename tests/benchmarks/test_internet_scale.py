"""The simulation of many workers: its orders, its clock and its losses."""

from random import Random

import pytest
from internet_scale import ATTEMPTS, SILENCE_S, Fleet, searched

from nas_lightning.evaluation.tabular import TabularEvaluation
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.evolution import Evolution


class Listener(Evolution):
    def __init__(self, space):
        super().__init__(space, seed=0, trials=60, population=10, sample=3)
        self.told = []

    def tell(self, trial):
        self.told.append(trial.genotype.id)
        super().tell(trial)


@pytest.fixture(scope="module")
def evaluation():
    return TabularEvaluation(NasBench201Space(), "cifar10", epochs=200)


def told(evaluation, order, luck, workers=8):
    strategy = Listener(evaluation.table.space)
    searched(strategy, Fleet(evaluation, 0.0, Random(luck)), workers, order)
    return strategy.told


def test_the_virtual_order_does_not_depend_on_the_luck_of_machines(evaluation):
    assert told(evaluation, "virtual", luck=0) == told(evaluation, "virtual", luck=1)


def test_the_order_of_arrival_depends_on_the_luck_of_machines(evaluation):
    assert told(evaluation, "arrival", luck=0) != told(evaluation, "arrival", luck=1)


def test_one_worker_has_one_order(evaluation):
    assert told(evaluation, "virtual", 0, workers=1) == told(evaluation, "arrival", 0, workers=1)


def test_a_machine_that_is_always_lost_ends_in_a_failure(evaluation):
    trial = Evolution(evaluation.table.space, seed=0).ask(0)
    seconds, result = Fleet(evaluation, 1.0, Random(0)).train(trial)
    assert result.told_reward == 0
    assert result.failure
    assert seconds > ATTEMPTS * SILENCE_S
