"""Dashboards see what a search prefers, whatever strategy it is."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from listener import Listener

from nas_lightning.core.choices import Mixture
from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.loggers import search_boards
from nas_lightning.loggers.dashboard import Dashboards, Guarded
from nas_lightning.loggers.search_boards import EpochBoard, TrialBoard
from nas_lightning.strategies.random_search import RandomSearch

NONE = "alpha/normal/node_2/normal/edge_0_2/none"
POOL = "alpha/normal/node_2/normal/edge_0_2/max_pool_3x3"


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def dashboards(listener):
    return Dashboards([Guarded(listener, "x")])


@pytest.fixture
def searching(trainer):
    """A Trainer with the optimisers of params and alphas."""
    trainer.optimizers = [SimpleNamespace(param_groups=[{"lr": lr}]) for lr in (0.1, 3e-4)]
    return trainer


class Favouring(RandomSearch):
    """Prefers each choice's last option, after every trial."""

    def scores(self):
        numbers = [len(choice.options) for choice in self.space.choices]
        weights = torch.zeros(len(numbers), max(numbers))
        for row, number in zip(weights, numbers, strict=True):
            row[number - 1] = 1.0
        return Mixture(weights, tuple(tuple(range(number)) for number in numbers))


def lines(listener):
    """Returns all numbers by name, at the moment that they were told for."""
    told = [word[1:] for word in listener.told if word[0] == "metrics"]
    return {(name, step): value for values, step in told for name, value in values.items()}


def pictures(listener):
    return [(word[1], *word[3].values()) for word in listener.told if word[0] == "picture"]


def drawn(listener):
    return [moment for name, moment in pictures(listener) if name == "search/alphas"]


def test_a_search_is_shown_from_its_start_in_the_weights_of_its_scores(
    searching, module, dashboards, listener
):
    EpochBoard(dashboards).on_train_start(searching, module)
    assert lines(listener)[NONE, -1] == module.strategy.scores().weights[0, 0].item()
    assert lines(listener)["search/alpha_lr", -1] == 3e-4
    assert pictures(listener) == [("search/alphas", -1), ("search/genotype", -1)]


def test_options_that_are_not_allowed_are_not_shown(searching, module, dashboards, listener):
    module.strategy.allowed[0, 0] = False
    EpochBoard(dashboards).on_train_start(searching, module)
    assert (NONE, -1) not in lines(listener)
    assert (POOL, -1) in lines(listener)


def test_a_genotype_is_drawn_when_it_changes(searching, module, dashboards, listener):
    log = EpochBoard(dashboards)
    for epoch in range(3):
        searching.current_epoch = epoch
        if epoch == 2:
            module.strategy.alpha.data[:, 4] = 9.0
        log.on_train_epoch_end(searching, module)
    assert pictures(listener) == [
        ("search/alphas", 0),
        ("search/genotype", 0),
        ("search/alphas", 1),
        ("search/alphas", 2),
        ("search/genotype", 2),
    ]


def test_a_resumed_search_goes_on_with_its_heat_map(searching, module, dashboards, listener):
    log, resumed = EpochBoard(dashboards), EpochBoard(dashboards)
    log.on_train_start(searching, module)
    log.on_train_epoch_end(searching, module)
    resumed.load_state_dict(log.state_dict())
    resumed.on_train_start(searching, module)  # shows nothing
    assert resumed.state_dict() == log.state_dict()
    assert pictures(listener)[-1] == ("search/alphas", 0)


def test_nothing_is_worked_out_for_dashboards_that_failed(searching, module):
    log = EpochBoard(Dashboards([Guarded(Listener("metrics"), "x")]))
    log.on_train_epoch_end(searching, module)
    before = log.state_dict()
    log.on_train_epoch_end(searching, module)
    assert log.state_dict() == before


def told_trial(strategy, number, reward):
    trial = strategy.ask(number)
    cost = {"wall_s": 2.0}
    return Trial(number, trial.genotype, reward=reward, measurements={"loss": 1.5}, cost=cost)


def test_trials_are_shown_once_with_reward_measurements_and_cost(module, dashboards, listener):
    strategy = RandomSearch(module.space, 0, 3)
    trials = [told_trial(strategy, number, reward) for number, reward in enumerate((0.5, 0.4))]
    trials[1] = replace(trials[1], failure="it was killed")
    board = TrialBoard(dashboards, strategy, Accuracy(), running=lambda: 3)
    board.show(trials[:1])
    board.show(trials)
    told = lines(listener)
    assert {name: told[name, 1] for name, step in told if step == 1} == {
        "search/reward": 0.4,
        "search/best_reward": 0.5,
        "search/loss": 1.5,
        "search/trial_wall_s": 2.0,
        "search/trials_running": 3.0,
        "search/trials_done": 2.0,
        "search/trials_failed": 1.0,
        "trial": 1,
    }
    assert pictures(listener) == [("search/genotype", 0)]


def test_trials_that_an_interrupted_search_showed_are_not_shown_again(module, dashboards, listener):
    strategy = RandomSearch(module.space, 0, 3)
    trials = [told_trial(strategy, number, reward) for number, reward in enumerate((0.5, 0.4))]
    board = TrialBoard(dashboards, strategy, Accuracy(), shown=1)
    board.show(trials[:1])
    assert listener.told == []
    board.show(trials)
    assert {step for _, step in lines(listener)} == {1}
    assert lines(listener)["search/best_reward", 1] == 0.5


def test_a_black_box_strategy_that_prefers_something_shows_it_alike(module, dashboards, listener):
    strategy = Favouring(module.space, 0, 3)
    TrialBoard(dashboards, strategy, Accuracy()).show([told_trial(strategy, 0, 0.5)])
    told = lines(listener)
    assert (told[NONE, 0], told["search/alpha_entropy", 0]) == (0.0, 0.0)
    assert told["search/skip_share", 0] == 0.0
    assert told["alpha/normal/node_2/normal/edge_0_2/dil_conv_5x5", 0] == 1.0
    assert ("search/alphas", 0) in pictures(listener)


def test_heat_maps_take_a_tenth_of_a_black_box_search(module, dashboards, listener, monkeypatch):
    strategy, clock = Favouring(module.space, 0, 40), SimpleNamespace(now=0.0)

    def draws_in_two_seconds(chart):
        clock.now += 2.0
        return "<svg/>"

    monkeypatch.setattr(search_boards, "monotonic", lambda: clock.now)
    monkeypatch.setattr(search_boards, "chart_svg", draws_in_two_seconds)
    board, trials = TrialBoard(dashboards, strategy, Accuracy()), []
    for number in range(40):
        clock.now += 1.0
        trials.append(told_trial(strategy, number, 0.5))
        board.show(trials)
    assert drawn(listener) == [0, 18, 36]
    for _ in range(2):
        board.draw()
        assert drawn(listener) == [0, 18, 36, 39]
