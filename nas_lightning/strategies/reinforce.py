"""REINFORCE: a policy draws children, and makes more likely those with a higher reward than usual.

Sources: Zoph & Le, Neural Architecture Search with Reinforcement Learning, 2017
(arXiv:1611.01578), section 3.2; Williams, 1992. With policy "independent" it is the REINFORCE of
Dong & Yang, NAS-Bench-201, 2020 (arXiv:2001.00326). Deliberate differences: one controller instead
of the paper's asynchronous replicas; the defaults are a small recipe with a higher learning rate.
"""

import torch

from nas_lightning.core.checks import at_least
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.strategies.policy_gradient import Judged, PolicyGradient, build_policy

__all__ = ["Reinforce"]


class Reinforce(PolicyGradient):
    """Ascends on mean((reward - baseline) * log-probability) + entropy * entropy of the policy.

    Args:
        policy: "controller" (an LSTM) or "independent" (one softmax per decision).
        children: trials per update; the paper has 8.
        lr: Adam's learning rate, above 0; the paper has 6e-4.
        baseline_decay: share of the baseline that an update keeps, in [0, 1).
        reward_power: power to which the reward is raised, above 0; the paper has 3.
        entropy: weight of the policy's entropy, at least 0; the paper has none.
        grow_every: trials between two steps of growth of the space; None opens all of it. The
            paper has 1,600.
        hidden: units per layer of the controller.
        layers: layers of the controller.
        init_range: first parameters of the controller are uniform in [-init_range, init_range].
        tanh_constant: limit of the controller's logits; None leaves them.
        temperature: divisor of the controller's logits.

    >>> from dataclasses import replace
    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> strategy = Reinforce(NasBench201Space(), seed=0)
    >>> trial = strategy.ask(0)
    >>> strategy.tell(replace(trial, reward=0.9))
    >>> strategy.baseline
    0.9
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        trials: int = 8,
        policy: str = "controller",
        children: int = 1,
        lr: float = 0.01,
        baseline_decay: float = 0.9,
        reward_power: float = 1.0,
        entropy: float = 0.0,
        grow_every: int | None = None,
        hidden: int = 35,
        layers: int = 2,
        init_range: float = 0.08,
        tanh_constant: float | None = None,
        temperature: float = 1.0,
    ) -> None:
        first = build_policy(
            policy, space, seed, hidden, layers, init_range, tanh_constant, temperature
        )
        super().__init__(
            space, seed, trials, first, children, lr, baseline_decay, reward_power, grow_every
        )
        at_least("strategy.entropy", entropy, 0)
        self.entropy = entropy

    def update(self, judged: Judged) -> None:
        """Takes one step of Adam."""
        log_prob, entropy = self.policy.log_prob(judged.chosen, judged.allowed)
        gain = (judged.advantages.to(log_prob) * log_prob).mean() + self.entropy * entropy.mean()
        self.optimizer.zero_grad()
        torch.autograd.backward(-gain)
        self.optimizer.step()
