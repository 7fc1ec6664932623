"""Successive halving and Hyperband against the algorithm: rungs, promotions, budgets."""

from dataclasses import replace
from functools import partial
from random import Random

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


def test_trials_end_where_their_child_was_trained_on_or_lost_its_rung():
    strategy, ended = SuccessiveHalving(SPACE, 0, Spied), []
    tell = strategy.tell
    strategy.tell = lambda trial: (tell(trial), ended.append(strategy.ended))
    trials = search(strategy, 13)
    parents = [trial.parent for trial in trials[9:12]]
    others = [number for number in range(9) if number not in parents]
    first, second, third = parents
    rungs = [*[()] * 8, tuple(others), (first,), (second,), (third, 10, 11), (9, 12)]
    assert ended == rungs


@pytest.mark.parametrize("kind", [SuccessiveHalving, Hyperband])
@pytest.mark.parametrize("in_flight", [1, 3])
def test_a_trial_that_ended_is_never_trained_on(kind, in_flight):
    strategy, ended = kind(SPACE, 0, Spied, trials=60, num_in_flight=in_flight), set()
    for trial, told in flown(strategy, 60, in_flight, Random(0)):
        ended.update(strategy.ended)
        assert trial.parent not in ended
        assert {t.parent for t in told} - {None} <= ended
        assert in_flight == 1 or {t.number for t in told if t.budget == 1} <= ended


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


def flown(strategy, count, in_flight, order):
    """Asks up to `in_flight` ahead, tells in an order; yields each asked trial with those told."""
    flight, told, asked = [], [], 0
    while len(told) < count:
        while asked < count and len(flight) < in_flight:
            flight.append(strategy.ask(asked))
            asked += 1
            yield flight[-1], tuple(told)
        trial = flight.pop(order.randrange(len(flight)))
        reward = int(trial.genotype.id[:4], 16) / 65536 * (1 + trial.budget)
        told.append(replace(trial, reward=reward, values=(reward,)))
        strategy.tell(told[-1])


def promotable(told, asked, budget, eta):
    """The trials of one budget that algorithm 2 of ASHA promotes next, by the text."""
    rung = [t for t in told if t.budget == budget]
    top = sorted(rung, key=lambda t: -t.reward)[: len(rung) // eta]
    return [t for t in top if t.number not in {a.parent for a in asked}]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("in_flight", [2, 5])
def test_asha_promotes_the_best_so_far_of_the_highest_rung_and_never_waits(in_flight, seed):
    strategy = SuccessiveHalving(SPACE, seed, Spied, trials=60, num_in_flight=in_flight)
    budgets, asked = sorted(strategy.budgets), []
    for trial, told in flown(strategy, 60, in_flight, Random(seed)):
        found = [t for b in budgets[-2::-1] for t in promotable(told, asked, b, 3)]
        if found:
            expected = budgets[budgets.index(found[0].budget) + 1], found[0].number
            assert (trial.budget, trial.parent) == pytest.approx(expected)
            assert (trial.genotype, trial.start) == (found[0].genotype, found[0].budget)
        else:
            assert (trial.budget, trial.parent) == (pytest.approx(1 / 9), None)
        assert not strategy.is_waiting
        asked.append(trial)
    assert {t.budget for t in asked} == set(budgets)


def test_asynchronous_hyperband_shares_new_children_out_among_the_brackets():
    strategy = Hyperband(SPACE, 0, Spied, trials=40, num_in_flight=4)
    asked = [trial for trial, _ in flown(strategy, 40, 4, Random(0))]
    new = [round(9 * t.budget) for t in asked if t.parent is None]
    assert new[:18] == [*[1] * 9, *[3] * 5, *[9] * 3, 1]
    ninths = {t.number: round(9 * t.budget) for t in asked}
    steps = {(ninths[t.parent], ninths[t.number]) for t in asked if t.parent is not None}
    assert steps == {(1, 3), (3, 9)}


@pytest.mark.parametrize("kind", [SuccessiveHalving, Hyperband])
@pytest.mark.parametrize(
    ("asynchronous", "in_flight", "expected"),
    [(None, 1, False), (None, 2, True), (False, 2, False), (True, 1, True)],
)
def test_promotion_is_asynchronous_where_several_are_in_flight(
    kind, asynchronous, in_flight, expected
):
    strategy = kind(SPACE, 0, Spied, asynchronous=asynchronous, num_in_flight=in_flight)
    assert strategy.is_asynchronous is expected
    for number in range(9):
        strategy.ask(number)
    assert strategy.is_waiting is not expected


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
