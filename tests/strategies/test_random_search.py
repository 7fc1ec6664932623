import pytest

from nas_lightning.core.strategy import Trial
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.random_search import RandomSearch

SPACE = DartsSpace(nodes=1)


def test_a_trial_depends_on_seed_and_number_alone():
    search, other = RandomSearch(SPACE, seed=3), RandomSearch(SPACE, seed=3)
    asked = [search.ask(number) for number in range(5)]
    assert [other.ask(number) for number in (4, 2, 0)] == [asked[4], asked[2], asked[0]]
    assert [trial.number for trial in asked] == [0, 1, 2, 3, 4]


def test_other_seeds_and_numbers_draw_other_genotypes():
    drawn = {RandomSearch(SPACE, seed).ask(n).genotype for seed in (0, 1) for n in range(10)}
    assert len(drawn) > 15


def test_trials_are_genotypes_of_the_space_without_a_reward():
    trial = RandomSearch(SPACE, seed=0).ask(0)
    assert SPACE.validate(trial.genotype) == trial.genotype
    assert (trial.reward, dict(trial.measurements), dict(trial.cost)) == (None, {}, {})


def test_being_told_changes_nothing():
    search, untold = RandomSearch(SPACE, seed=0), RandomSearch(SPACE, seed=0)
    search.tell(Trial(0, search.ask(0).genotype, reward=1.0))
    assert search.ask(1) == untold.ask(1)


def test_a_search_without_trials_is_refused():
    with pytest.raises(ValueError, match=r"strategy.trials \(0\) must be at least 1"):
        RandomSearch(SPACE, seed=0, trials=0)
