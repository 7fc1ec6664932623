"""Contracts of every black-box strategy of the configuration: replay, valid genotypes, limits."""

from dataclasses import replace
from functools import cache

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf
from representatives import some_slow

from nas_lightning.config.making import make
from nas_lightning.config.paths import config_dir
from nas_lightning.core.limited import cost_measure, limited
from nas_lightning.core.scale import Scale
from nas_lightning.core.strategy import BlackBoxStrategy
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space


def is_black_box(path):
    target = get_object(OmegaConf.load(path)["_target_"])
    return isinstance(target, type) and issubclass(target, BlackBoxStrategy)


FILES = [p for p in sorted((config_dir() / "strategy").glob("*.yaml")) if is_black_box(p)]
SCALE = Scale(channels=4, cells=3).of_data((1, 8, 8), 10)
CONDITIONAL = DartsSpace(nodes=2)
BOUND = 2_200  # parameters: one genotype in 20 keeps it, the smallest has 1,102
SPACES = {
    "plain": NasBench201Space(),
    "conditional": CONDITIONAL,
    "limited": limited(CONDITIONAL, SCALE, {"parameters": BOUND}),
}
TRIALS = 14
FEW = 5  # that a search with another seed does not ask for too
QUICK = {"fit_steps": 5, "candidates": 10, "ensemble": 2, "hidden": 8, "layers": 1}


def made(path, space, seed=3):
    node = OmegaConf.load(path)
    node["trials"] = TRIALS
    node.update({key: value for key, value in QUICK.items() if key in node})
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


# reinforce learns its policy as ppo does; one search within the limits is in another test
LIKE_OTHERS = [
    "ppo-conditional",
    "reinforce-conditional",
    "predictor-limited",
    *(f"{n}-limited" for n in ("annealing", "optuna", "ppo", "reinforce")),
]
CASES = {f"{path.stem}-{name}": (path, SPACES[name]) for path in FILES for name in SPACES}


@pytest.fixture(params=some_slow(CASES, *LIKE_OTHERS))
def case(request):
    return CASES[request.param]


def test_a_replayed_search_asks_for_the_same(case):
    path, space = case
    whole = searched(path, space)
    assert search(made(path, space), twice=True) == whole
    if space.limits is None:  # where each draw is cheap
        assert search(made(path, space, seed=4), FEW) != whole[:FEW]


def test_every_trial_is_a_genotype_of_the_space(case):
    path, space = case
    trials = searched(path, space)
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert all(space.validate(trial.genotype) for trial in trials)


@pytest.mark.parametrize("path", some_slow(FILES, "ppo"))
def test_no_trial_is_beyond_the_limits(path):
    size = cost_measure(CONDITIONAL, SCALE)
    trials = searched(path, SPACES["limited"])
    assert max(size(trial.genotype)["parameters"] for trial in trials) <= BOUND


@pytest.mark.parametrize("path", some_slow(FILES, "ppo"))
def test_limits_that_all_genotypes_keep_change_nothing(path):
    loose = limited(CONDITIONAL, SCALE, {"parameters": 10**9})
    assert searched(path, loose) == searched(path, CONDITIONAL)
