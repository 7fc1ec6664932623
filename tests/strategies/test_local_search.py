"""Local search climbs, and begins anew at the top."""

from dataclasses import replace
from random import Random

import pytest

from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.local_search import LocalSearch

SPACE = NasBench201Space()
NEIGHBOURS = 6 * 4


def distance(first, other):
    return sum(first.mapping[name] != other.mapping[name] for name in first.mapping)


def climb(strategy, reward, count, first=0):
    trials = []
    for number in range(first, first + count):
        trial = strategy.ask(number)
        trial = replace(trial, reward=reward(trial.genotype))
        strategy.tell(trial)
        trials.append(trial)
    return trials


def test_all_neighbours_of_the_start_are_evaluated_once_where_none_is_better():
    start, *around = climb(LocalSearch(SPACE, 0, 99), lambda g: 0.5, NEIGHBOURS + 1)
    assert {distance(start.genotype, t.genotype) for t in around} == {1}
    assert len({t.genotype for t in around}) == NEIGHBOURS


def test_at_the_top_a_new_climb_begins_from_a_random_genotype():
    strategy = LocalSearch(SPACE, 0, 99)
    start, *_, last = climb(strategy, lambda g: 0.5, NEIGHBOURS + 2)
    assert distance(start.genotype, last.genotype) > 1


@pytest.mark.parametrize("greedy", [True, False])
def test_the_only_top_of_a_planted_problem_is_reached(greedy):
    best = SPACE.sample(Random(5))
    strategy = LocalSearch(SPACE, 0, 999, greedy=greedy)
    trials = climb(strategy, lambda g: -distance(g, best), 6 * NEIGHBOURS + 1)
    assert max(t.reward for t in trials) == 0


def test_a_greedy_climb_moves_at_the_first_gain():
    best = SPACE.sample(Random(5))
    strategy = LocalSearch(SPACE, 0, 99)
    trials = climb(strategy, lambda g: -distance(g, best), 30)
    gain = next(i for i, t in enumerate(trials) if t.reward > trials[0].reward)
    assert distance(trials[gain].genotype, trials[gain + 1].genotype) == 1


def test_a_patient_climb_looks_at_all_neighbours_before_it_moves():
    best = SPACE.sample(Random(5))
    trials = climb(LocalSearch(SPACE, 0, 99, greedy=False), lambda g: -distance(g, best), 25)
    assert {distance(trials[0].genotype, t.genotype) for t in trials[1:]} == {1}


def test_a_climb_begins_at_the_best_of_several_draws():
    strategy = LocalSearch(SPACE, 0, 99, start=5)
    best = SPACE.sample(Random(5))
    trials = climb(strategy, lambda g: -distance(g, best), 5)
    assert strategy.centre is max(trials, key=lambda t: t.reward)


def test_a_climb_without_a_start_is_refused():
    with pytest.raises(ValueError, match=r"strategy\.start \(0\) must be at least 1"):
        LocalSearch(SPACE, 0, start=0)
