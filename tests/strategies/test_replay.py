"""Contracts of every black-box strategy of the configuration: replay, and valid genotypes."""

from dataclasses import replace
from functools import cache

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from nas_lightning.config.making import make
from nas_lightning.config.paths import config_dir
from nas_lightning.core.strategy import BlackBoxStrategy
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space


def is_black_box(path):
    target = get_object(OmegaConf.load(path)["_target_"])
    return isinstance(target, type) and issubclass(target, BlackBoxStrategy)


FILES = [p for p in sorted((config_dir() / "strategy").glob("*.yaml")) if is_black_box(p)]
SPACES = {"plain": NasBench201Space(), "conditional": DartsSpace(nodes=2)}
TRIALS = 20


def made(path, space, seed=3):
    node = OmegaConf.load(path)
    node["trials"] = TRIALS
    if "fit_steps" in node:
        node["fit_steps"] = 5
    values = {"space": space, "seed": seed, "objective": Accuracy()}
    return make(node, "strategy", kind=BlackBoxStrategy, **values)


def search(strategy, count=TRIALS, twice=False):
    """Asks and tells; with `twice` every trial is asked twice, as after an interruption."""
    trials = []
    for number in range(count):
        trial = strategy.ask(number)
        trial = strategy.ask(number) if twice else trial
        reward = int(trial.genotype.id[:4], 16) / 65536
        values = {"validation_accuracy": reward, "train_time_s": 1.0}
        told = replace(trial, reward=reward, values=(reward,), measurements=values)
        strategy.tell(told)
        trials.append(told)
    return trials


@cache
def searched(path, space):
    return search(made(path, space))


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_replayed_search_asks_for_the_same(path, space):
    whole = searched(path, space)
    assert search(made(path, space), twice=True) == whole
    assert search(made(path, space, seed=4)) != whole


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_trial_is_a_genotype_of_the_space(path, space):
    trials = searched(path, space)
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert all(space.validate(trial.genotype) for trial in trials)
