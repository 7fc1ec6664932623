"""Successive halving and Hyperband against the algorithm: rungs, promotions, budgets."""

from dataclasses import replace
from functools import partial

import pytest

from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.darts import Darts
from nas_lightning.strategies.hyperband import Hyperband
from nas_lightning.strategies.optuna_search import OptunaSearch
from nas_lightning.strategies.random_search import RandomSearch
from nas_lightning.strategies.successive_halving import SuccessiveHalving

SPACE = NasBench201Space()


class Spied(RandomSearch):
    """Notes what it is told."""

    def __init__(self, space, seed):
        super().__init__(space, seed)
        self.told = []

    def tell(self, trial):
        self.told.append(trial)


def search(strategy, count):
    trials = []
    for number in range(count):
        trial = strategy.ask(number)
        reward = int(trial.genotype.id[:4], 16) / 65536
        trials.append(replace(trial, reward=reward, values=(reward,)))
        strategy.tell(trials[-1])
    return trials


def test_a_bracket_has_rungs_of_a_third_with_three_times_the_budget():
    trials = search(SuccessiveHalving(SPACE, 0, Spied), 26)
    bracket = [1 / 9] * 9 + [1 / 3] * 3 + [1.0]
    assert [t.budget for t in trials] == pytest.approx(bracket * 2)


@pytest.mark.parametrize("kind", [SuccessiveHalving, Hyperband])
def test_the_budgets_are_told_beforehand(kind):
    strategy = kind(SPACE, 0, Spied)
    assert {t.budget for t in search(strategy, 22)} == set(strategy.budgets)


def test_the_best_children_of_a_rung_are_trained_on():
    trials = search(SuccessiveHalving(SPACE, 0, Spied), 13)
    first, second, last = trials[:9], trials[9:12], trials[12]
    best = sorted(first, key=lambda t: -t.reward)[:3]
    assert [t.parent for t in first] == [None] * 9
    assert [t.parent for t in second] == [t.number for t in best]
    assert [t.genotype for t in second] == [t.genotype for t in best]
    assert last.parent == 9
    assert last.genotype == best[0].genotype


@pytest.mark.parametrize("kind", [SuccessiveHalving, Hyperband])
def test_the_proposer_is_told_of_every_new_child_under_its_own_number(kind):
    strategy = kind(SPACE, 0, Spied)
    new = [t for t in search(strategy, 22) if t.parent is None]
    told = strategy.proposer.told
    assert [t.number for t in told] == list(range(len(new)))
    assert [(t.genotype, t.reward) for t in told] == [(t.genotype, t.reward) for t in new]
    assert [RandomSearch(SPACE, 0).ask(n).genotype for n in range(len(new))] == [
        t.genotype for t in new
    ]


@pytest.mark.parametrize("kind", [SuccessiveHalving, Hyperband])
def test_a_proposer_may_want_to_know_the_objective(kind):
    strategy = kind(SPACE, 0, partial(OptunaSearch, startup=3), objective=Accuracy())
    assert all(SPACE.validate(trial.genotype) for trial in search(strategy, 5))


@pytest.mark.parametrize("kind", [SuccessiveHalving, Hyperband])
@pytest.mark.parametrize("proposer", [Darts, partial(SuccessiveHalving, proposer=RandomSearch)])
def test_a_proposer_that_cannot_be_asked_is_refused(kind, proposer):
    name = getattr(proposer, "func", proposer).__name__
    message = rf"strategy\.proposer \({name}\) must be a black-box strategy without budgets"
    with pytest.raises(ValueError, match=message):
        kind(SPACE, 0, proposer)


def test_hyperbands_brackets_are_those_of_the_paper():
    strategy = Hyperband(SPACE, 0, Spied, eta=3, rungs=5)  # the paper's table 1: R = 81
    assert strategy.brackets == ((81, 5), (34, 4), (15, 3), (8, 2), (5, 1))


def test_hyperbands_brackets_take_turns():
    trials = search(Hyperband(SPACE, 0, Spied, eta=3, rungs=3), 23)
    nines = [round(9 * t.budget) for t in trials]
    assert nines == [*[1] * 9, 3, 3, 3, 9, *[3] * 5, 9, 9, 9, 9, 1]


@pytest.mark.parametrize("kind", [SuccessiveHalving, Hyperband])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"eta": 1}, r"strategy\.eta \(1\) must be at least 2"),
        ({"rungs": 0}, r"strategy\.rungs \(0\) must be at least 1; use e\.g\. 3"),
    ],
)
def test_impossible_brackets_are_refused(kind, values, message):
    with pytest.raises(ValueError, match=message):
        kind(SPACE, 0, partial(RandomSearch), **values)
