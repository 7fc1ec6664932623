"""PPO against its equation."""

from dataclasses import replace
from random import Random

import pytest
import torch

from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.ppo import Ppo

SPACE = NasBench201Space()
REWARDS = (0.5, 0.9, 0.6)
CLIP, ENTROPY, PASSES = 0.02, 0.1, 4


@pytest.mark.parametrize("policy", ["controller", "independent"])
def test_an_update_ascends_on_the_clipped_ratio_to_the_policy_that_sampled(policy):
    settings = {"policy": policy, "children": 3, "passes": PASSES, "clip": CLIP, "lr": 0.05}
    strategy, twin = (Ppo(SPACE, 0, 99, entropy=ENTROPY, **settings) for _ in range(2))
    trials = [replace(strategy.ask(n), reward=reward) for n, reward in enumerate(REWARDS)]
    chosen, rewards = (
        [t.genotype.mapping for t in trials],
        torch.tensor(REWARDS, dtype=torch.double),
    )
    stored = twin.policy.log_prob(chosen, [{}] * 3)[0].detach()
    gains, ratios = (rewards - rewards.mean()).float(), []
    for _ in range(PASSES):
        log_prob, entropy = twin.policy.log_prob(chosen, [{}] * 3)
        ratio = torch.exp(log_prob - stored)
        ratios.append(ratio.detach())
        bounded = torch.where(gains > 0, ratio.clamp(max=1 + CLIP), ratio.clamp(min=1 - CLIP))
        (-(bounded * gains).mean() - ENTROPY * entropy.mean()).backward()
        twin.optimizer.step()
        twin.optimizer.zero_grad()
    for trial in trials:
        strategy.tell(trial)
    assert torch.equal(ratios[0], torch.ones(3))
    assert (torch.stack(ratios) - 1).abs().max() > CLIP  # the clip has had an effect
    for one, other in zip(strategy.policy.parameters(), twin.policy.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-4)  # Adam divides by tiny gradients


def test_a_planted_option_becomes_likely():
    best = SPACE.sample(Random(5)).mapping
    strategy, hits = Ppo(SPACE, 0, 999, policy="independent", lr=0.05), []
    for number in range(240):
        trial = strategy.ask(number)
        mapping = trial.genotype.mapping
        hits.append(sum(mapping[name] == option for name, option in best.items()) / 6)
        strategy.tell(replace(trial, reward=hits[-1]))
    assert sum(hits[-40:]) / 40 > sum(hits[:40]) / 40 + 0.3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"passes": 0}, r"strategy\.passes \(0\) must be at least 1"),
        ({"clip": 0.0}, r"strategy\.clip \(0\.0\) must be above 0; use e\.g\. 0\.2"),
        ({"entropy": -1.0}, r"strategy\.entropy \(-1\.0\) must be at least 0"),
    ],
)
def test_impossible_settings_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Ppo(SPACE, 0, **values)
