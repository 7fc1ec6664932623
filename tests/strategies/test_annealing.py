"""Simulated annealing against its acceptance rule, and its growing and shrinking children."""

from dataclasses import replace
from math import exp
from random import Random

import pytest

from nas_lightning.core.decisions import Decision
from nas_lightning.core.strategy import Trial
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.annealing import Annealing

SPACE = NasBench201Space()


def test_a_worse_child_is_accepted_as_often_as_kirkpatrick_says():
    strategy = Annealing(SPACE, 0, 4000, temperature=0.05, final_temperature=0.05)
    genotype = SPACE.sample(Random(0))
    strategy.accepted = Trial(0, genotype, reward=0.9)
    worse = [Trial(number, genotype, reward=0.87) for number in range(1, 4000)]
    share = sum(map(strategy.accepts, worse)) / len(worse)
    assert share == pytest.approx(exp(-0.03 / 0.05), abs=0.024)  # three standard deviations
    assert all(strategy.accepts(replace(trial, reward=0.9)) for trial in worse[:50])


def test_the_temperature_falls_geometrically_from_the_first_change_to_the_last():
    strategy = Annealing(SPACE, 0, 101, temperature=0.1, final_temperature=0.001)
    found = [strategy.temperature(number) for number in (1, 50, 51, 100)]
    assert found[0] == pytest.approx(0.1)
    assert found[3] == pytest.approx(0.001)
    assert found[2] / found[1] == pytest.approx(0.01 ** (1 / 99))


def test_the_first_child_is_the_smallest_of_the_draws():
    strategy = Annealing(SPACE, 3, 8, start=16)
    first = strategy.size(strategy.ask(0).genotype)
    single = [Annealing(SPACE, seed, 8, start=1) for seed in range(20)]
    sizes = [strategy.size(one.ask(0).genotype) for one in single]
    assert first < sum(sizes) / len(sizes)
    assert first == min(sizes)


def test_children_grow_shrink_and_swap_by_one_decision():
    strategy, centre = Annealing(SPACE, 0, 60, temperature=1e6, final_temperature=1e6), None
    changes = []
    for number in range(60):
        trial = strategy.ask(number)
        if centre is not None:
            changes.append(strategy.size(trial.genotype) - strategy.size(centre))
            pairs = zip(centre.choices, trial.genotype.choices, strict=True)
            assert sum(one != other for one, other in pairs) == 1
        strategy.tell(replace(trial, reward=0.5))
        centre = trial.genotype
    assert min(changes) < 0 < max(changes)
    assert 0 in changes


def test_a_rejected_child_is_left_for_the_one_before():
    strategy = Annealing(SPACE, 0, 99, temperature=1e-9, final_temperature=1e-9)
    first = replace(strategy.ask(0), reward=0.9)
    strategy.tell(first)
    strategy.tell(replace(strategy.ask(1), reward=0.1))
    assert strategy.accepted is first


def test_sizes_are_compared_on_few_cells_however_deep_the_search():
    deep = NasBench201Space(scale=replace(SPACE.scale, cells=50))
    genotype = SPACE.sample(Random(1))
    assert Annealing(deep, 0).size(genotype) == Annealing(SPACE, 0).size(genotype)


class Unmixed(NasBench201Space):
    """A space of decisions without a supernet."""

    def __init__(self):
        super().__init__()
        self.decisions = tuple(Decision(c.name, c.options, c.kind) for c in self.choices)
        self.choices = ()

    def child(self, genotype, scale):
        return SPACE.child(genotype, scale)


def test_a_space_without_a_supernet_is_walked_alike():
    plain, unmixed = Annealing(SPACE, 0), Annealing(Unmixed(), 0)
    for number in range(4):
        trial = plain.ask(number)
        assert unmixed.ask(number) == trial
        for strategy in (plain, unmixed):
            strategy.tell(replace(trial, reward=0.5))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"start": 0}, r"strategy\.start \(0\) must be at least 1"),
        ({"temperature": 0.0}, r"strategy\.temperature \(0\.0\) must be above 0; use e\.g\. 0\.05"),
        ({"final_temperature": 0.0}, r"final_temperature \(0\.0\) must be above 0"),
    ],
)
def test_impossible_settings_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Annealing(SPACE, 0, **values)
