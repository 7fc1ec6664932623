"""Searches on a table, charged the time of their trainings."""

import pytest

from nas_lightning.benchmark.simulation import simulate
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.evaluation.tabular import TabularEvaluation
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.random_search import RandomSearch

SPACE = NasBench201Space()


@pytest.fixture(scope="module")
def evaluation():
    return TabularEvaluation(SPACE, "cifar10", table="synthetic")


def run(evaluation, budget_s, trials=10**6):
    return simulate(RandomSearch(SPACE, 0, trials), evaluation, Accuracy(), budget_s)


def test_a_search_ends_before_the_child_that_would_pass_the_budget(evaluation):
    found = run(evaluation, 5000.0)
    random = RandomSearch(SPACE, 0)
    seconds = [
        evaluation.evaluate(random.ask(n), 0)[0]["train_time_s"]
        for n in range(found.num_trials + 1)
    ]
    assert found.spent_s == pytest.approx(sum(seconds[:-1]))
    assert found.spent_s <= 5000 < sum(seconds)


def test_what_is_found_has_the_best_reward_of_all(evaluation):
    found = run(evaluation, None, trials=50)
    random = RandomSearch(SPACE, 0)
    trials = [random.ask(n) for n in range(50)]
    best = max(trials, key=lambda t: evaluation.evaluate(t, 0)[0]["validation_accuracy"])
    assert (found.num_trials, found.best) == (50, best.genotype)


def test_gains_are_in_the_order_of_time(evaluation):
    times = [seconds for seconds, _ in run(evaluation, 20_000.0).gains]
    assert times == sorted(times)
    assert len(times) > 3


def test_a_budget_below_the_first_child_is_refused(evaluation):
    with pytest.raises(ValueError, match=r"budget_s \(1\.0\) must allow a search to find a child"):
        run(evaluation, 1.0)
