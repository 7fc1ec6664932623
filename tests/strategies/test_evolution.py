"""Evolution against its algorithm."""

from dataclasses import replace
from random import Random

import pytest

from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.evolution import Evolution

SPACE = NasBench201Space()


def evolve(strategy, rewards):
    """Asks and tells; gives the trials."""
    trials = []
    for number, reward in enumerate(rewards):
        trial = replace(strategy.ask(number), reward=reward)
        strategy.tell(trial)
        trials.append(trial)
    return trials


def distance(first, other):
    return sum(first.mapping[name] != other.mapping[name] for name in first.mapping)


def test_a_child_differs_from_the_winner_of_its_tournament_in_one_decision():
    strategy = Evolution(SPACE, 0, 100, population=5, sample=50)  # everybody is in the tournament
    trials = evolve(strategy, [0.1, 0.9, 0.2, 0.3, 0.4])
    child = strategy.ask(5)
    assert distance(child.genotype, trials[1].genotype) == 1


def test_the_tournament_is_drawn_with_replacement_from_the_population():
    strategy = Evolution(SPACE, 0, 10**6, population=4, sample=2)
    trials = evolve(strategy, [0.1, 0.2, 0.3, 0.4])
    wins = [0] * 4
    for number in range(4, 2004):
        child = strategy.ask(number).genotype
        wins[min(range(4), key=lambda i: distance(child, trials[i].genotype))] += 1
    shares = [(2 * k + 1) / 16 for k in range(4)]  # the best of two draws out of four
    assert [w / 2000 for w in wins] == pytest.approx(shares, abs=0.04)


def test_with_aging_the_oldest_dies_however_good():
    strategy = Evolution(SPACE, 0, 100, population=3, sample=2)
    evolve(strategy, [0.9, 0.2, 0.3, 0.1])
    assert sorted(member.number for member in strategy.members) == [1, 2, 3]
    evolve(Evolution(SPACE, 0, 100, population=3, sample=2), [0.9] * 9)


def test_without_aging_the_worst_dies_be_it_the_child():
    strategy = Evolution(SPACE, 0, 100, population=3, sample=2, aging=False)
    evolve(strategy, [0.9, 0.2, 0.3, 0.1, 0.8])
    assert sorted(member.number for member in strategy.members) == [0, 2, 4]


def test_mutation_is_the_spaces():
    class Odd(NasBench201Space):
        def mutate(self, genotype, rng):
            return self.read_text("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")

    strategy = Evolution(Odd(), 0, 100, population=1, sample=1)
    evolve(strategy, [0.5])
    assert set(strategy.ask(1).genotype.mapping.values()) == {"none"}


def test_evolution_beats_random_draws_on_a_planted_problem():
    best = SPACE.sample(Random(99))
    strategy = Evolution(SPACE, 1, 200, population=10, sample=3)
    found = 0
    for number in range(150):
        trial = strategy.ask(number)
        hits = 6 - distance(trial.genotype, best)
        found = max(found, hits)
        strategy.tell(replace(trial, reward=hits / 6))
    assert found == 6  # a random draw hits all six with a chance of 1 %


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"population": 0}, r"strategy\.population \(0\) must be at least 1"),
        ({"sample": 0}, r"strategy\.sample \(0\) must be at least 1"),
        ({"population": 8}, r"strategy\.population \(8\) must be below strategy\.trials \(8\)"),
    ],
)
def test_impossible_populations_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Evolution(SPACE, 0, **values)
