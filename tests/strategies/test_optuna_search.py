"""Optuna's samplers: what they are asked for and told."""

import sys
from dataclasses import replace
from random import Random

import pytest

from nas_lightning.core.objective import Objective
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.evaluation.pareto import non_dominated
from nas_lightning.search_spaces.chain import ChainSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.optuna_search import SAMPLERS, OptunaSearch

SPACE = NasBench201Space()
BEST = SPACE.sample(Random(5)).mapping


class Apart(Objective):
    """Accuracy up, parameters down."""

    names, directions = ("validation_accuracy", "parameters"), ("max", "min")

    def reward(self, measurements):
        return measurements["validation_accuracy"]


def hits(genotype):
    return sum(genotype.mapping[name] == option for name, option in BEST.items()) / 6


def search(strategy, count):
    trials = []
    for number in range(count):
        trial = strategy.ask(number)
        values = (
            hits(trial.genotype),
            sum(o == "nor_conv_3x3" for o in trial.genotype.mapping.values()),
        )
        told = replace(trial, reward=values[0], values=values if strategy.is_multiple else ())
        strategy.tell(told)
        trials.append(told)
    return trials


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_is_told_every_reward(sampler):
    strategy = OptunaSearch(SPACE, 0, Accuracy(), sampler=sampler, startup=2, population=3)
    trials = search(strategy, 6)
    assert [t.value for t in strategy.study.trials] == [t.reward for t in trials]
    assert [t.params for t in strategy.study.trials] == [t.genotype.mapping for t in trials]
    wanted = {"tpe": "TPE", "gp": "GP", "nsga2": "NSGAII", "nsga3": "NSGAIII", "random": "Random"}
    assert type(strategy.study.sampler).__name__ == wanted[sampler] + "Sampler"


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "nsga3"])
def test_values_that_are_kept_apart_give_optuna_the_same_front(sampler):
    strategy = OptunaSearch(SPACE, 0, Apart(), sampler=sampler, startup=5, population=8)
    trials = search(strategy, 30)
    front = non_dominated([t.values for t in trials], Apart.directions)
    assert {tuple(t.values) for t in strategy.study.best_trials} == {
        trials[i].values for i in front
    }


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_only_active_decisions_are_asked_for(sampler):
    space = ChainSpace(depths=(1, 2, 3))
    strategy = OptunaSearch(space, 0, Accuracy(), sampler=sampler, startup=4, population=4)
    trials = []
    for number in range(12):
        trials.append(strategy.ask(number))
        strategy.tell(replace(trials[-1], reward=len(trials[-1].genotype.choices) / 100))
    asked = [set(t.params) for t in strategy.study.trials]
    assert asked == [set(t.genotype.mapping) for t in trials]
    assert len(set(map(len, asked))) > 1


def test_tpe_comes_nearer_to_a_planted_genotype_than_its_random_start():
    trials = search(OptunaSearch(SPACE, 0, Accuracy(), startup=15), 60)
    mean = [sum(t.reward for t in part) / 15 for part in (trials[:15], trials[-15:])]
    assert mean[1] > mean[0] + 0.3


def test_without_optuna_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match=r"needs Optuna; pip install 'nas-lightning\[optuna\]'"):
        OptunaSearch(SPACE, 0, Accuracy())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sampler": "grid"}, r"unknown strategy\.sampler 'grid'; choose from: tpe, gp, nsga2"),
        ({"population": 1}, r"strategy\.population \(1\) must be at least 2"),
        ({"startup": -1}, r"strategy\.startup \(-1\) must be at least 0; use e\.g\. 10"),
    ],
)
def test_impossible_settings_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        OptunaSearch(SPACE, 0, Accuracy(), **values)
