"""Proximal policy optimisation: a policy learns from each batch of children several times.

Sources: Schulman et al., PPO, 2017 (arXiv:1707.06347), equation 7; Zoph et al., NASNet, 2018
(arXiv:1707.07012), appendix A.1, for the controller's settings. Deliberate differences: one
controller instead of NASNet's pool of workers; with several trials in flight the ratio is to the
policy before the update, though an earlier one drew some of the children; the defaults are a small
recipe with a higher learning rate and few children per update.
"""

import torch
from torch import Tensor

from nas_lightning.core.checks import at_least, positive
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.strategies.policy import Allowed, Chosen
from nas_lightning.strategies.reinforce import PolicyGradient

__all__ = ["Ppo"]


class Ppo(PolicyGradient):
    """Ascends on the clipped surrogate of a policy, several times per batch of children.

    NASNet has children=20 and lr=3.5e-4; its other values are the defaults here.

    Args (the others are those of `PolicyGradient`):
        passes: steps of Adam that learn from the same children, at least 1.
        clip: how far the ratio to the sampling policy may gain, above 0.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> strategy = Ppo(NasBench201Space(), seed=0, policy="independent")
    >>> strategy.ask(0) == strategy.ask(0)  # a trial depends on the rewards told so far
    True
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        trials: int = 8,
        policy: str = "controller",
        children: int = 4,
        passes: int = 5,
        clip: float = 0.2,
        lr: float = 0.01,
        baseline_decay: float = 0.95,
        reward_power: float = 1.0,
        entropy: float = 1e-5,
        grow_every: int | None = None,
        hidden: int = 100,
        layers: int = 1,
        init_range: float = 0.1,
        tanh_constant: float | None = None,
        temperature: float = 1.0,
    ) -> None:
        super().__init__(
            space,
            seed,
            trials,
            policy,
            children,
            lr,
            baseline_decay,
            reward_power,
            entropy,
            grow_every,
            hidden,
            layers,
            init_range,
            tanh_constant,
            temperature,
        )
        at_least("strategy.passes", passes, 1, use=5)
        positive("strategy.clip", clip, use=0.2)
        self.passes, self.clip = passes, clip

    def update(self, chosen: list[Chosen], allowed: list[Allowed], advantages: Tensor) -> None:
        """Takes the steps of Adam; the first one's log-probabilities are the sampling policy's."""
        old = None
        for _ in range(self.passes):
            log_prob, entropy = self.policy.log_prob(chosen, allowed)
            old = log_prob.detach() if old is None else old
            ratio, gains = (log_prob - old).exp(), advantages.to(log_prob)
            clipped = ratio.clamp(1.0 - self.clip, 1.0 + self.clip)
            surrogate = torch.minimum(ratio * gains, clipped * gains)
            loss = -(surrogate.mean() + self.entropy * entropy.mean())
            self.optimizer.zero_grad()
            torch.autograd.backward(loss)
            self.optimizer.step()
