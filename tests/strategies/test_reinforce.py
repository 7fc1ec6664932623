"""REINFORCE against its equation."""

from dataclasses import replace
from random import Random

import pytest
import torch

from nas_lightning.search_spaces.chain import ChainSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.reinforce import Reinforce

SPACE = NasBench201Space()


def told(strategy, rewards, first=0):
    trials = []
    for number, reward in enumerate(rewards, first):
        trial = replace(strategy.ask(number), reward=reward)
        strategy.tell(trial)
        trials.append(trial)
    return trials


@pytest.mark.parametrize("policy", ["controller", "independent"])
def test_an_update_descends_on_the_papers_surrogate(policy):
    settings = {"policy": policy, "children": 3, "entropy": 0.1, "reward_power": 3.0}
    strategy, twin = (Reinforce(SPACE, 0, 99, **settings) for _ in range(2))
    rewards = [0.5, 0.9, 0.7]
    trials = told(strategy, rewards)
    cubes = torch.tensor([r**3 for r in rewards])
    chosen = [t.genotype.mapping for t in trials]
    log_prob, entropy = twin.policy.log_prob(chosen, [{}] * 3)
    loss = -((cubes - cubes.mean()) * log_prob).mean() - 0.1 * entropy.mean()
    loss.backward()
    pairs = list(zip(strategy.policy.parameters(), twin.policy.parameters(), strict=True))
    moved = [(one, other) for one, other in pairs if other.grad is not None]
    assert len(moved) > 0
    for one, other in moved:
        assert torch.allclose(one.grad, other.grad, atol=1e-7)
        assert not torch.equal(one, other)


def test_the_baseline_is_a_moving_average_without_the_bias_of_its_start():
    strategy = Reinforce(SPACE, 0, 99, policy="independent", baseline_decay=0.9)
    told(strategy, [0.5])
    assert strategy.baseline == pytest.approx(0.5)
    told(strategy, [0.9], first=1)
    assert strategy.baseline == pytest.approx((0.09 * 0.5 + 0.1 * 0.9) / 0.19)


def test_the_policy_stands_still_until_all_children_of_an_update_are_told():
    strategy = Reinforce(SPACE, 0, 99, children=4)
    before = [p.clone() for p in strategy.policy.parameters()]
    told(strategy, [0.1, 0.9, 0.5])
    assert all(map(torch.equal, before, strategy.policy.parameters()))
    told(strategy, [0.2], first=3)
    assert not all(map(torch.equal, before, strategy.policy.parameters()))


def test_the_depth_grows_on_schedule():
    strategy = Reinforce(ChainSpace(depths=(1, 2, 3)), 0, 99, grow_every=10)
    trials = told(strategy, [0.5] * 40)
    depths = [int(t.genotype.mapping["depth"]) for t in trials]
    assert {max(depths[i : i + 10]) for i in (0, 10)} == {1, 2}
    assert max(depths[20:]) == 3


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["controller", "independent"])
def test_a_planted_option_becomes_likely(policy):
    best = SPACE.sample(Random(5)).mapping
    strategy = Reinforce(SPACE, 0, 999, policy=policy, lr=0.02)
    hits = []
    for number in range(250):
        trial = strategy.ask(number)
        mapping = trial.genotype.mapping
        hits.append(sum(mapping[name] == option for name, option in best.items()) / 6)
        strategy.tell(replace(trial, reward=hits[-1]))
    assert sum(hits[-40:]) / 40 > sum(hits[:40]) / 40 + 0.3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"policy": "random"},
            r"unknown strategy\.policy 'random'; choose from: controller, indepe",
        ),
        ({"children": 0}, r"strategy\.children \(0\) must be at least 1"),
        ({"lr": 0.0}, r"strategy\.lr \(0\.0\) must be above 0"),
        ({"baseline_decay": 1.0}, r"strategy\.baseline_decay \(1\.0\) must be in \[0, 1\)"),
        ({"reward_power": 0.0}, r"strategy\.reward_power \(0\.0\) must be above 0"),
        ({"entropy": -1.0}, r"strategy\.entropy \(-1\.0\) must be at least 0"),
        ({"grow_every": 0}, r"strategy\.grow_every \(0\) must be at least 1; use e\.g\. null"),
    ],
)
def test_impossible_settings_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Reinforce(SPACE, 0, **values)
