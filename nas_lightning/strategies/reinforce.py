"""REINFORCE: a policy draws children, and makes more likely those with a higher reward than usual.

Sources: Zoph & Le, Neural Architecture Search with Reinforcement Learning, 2017
(arXiv:1611.01578), sections 3.2 and 4.1: several children per update, a moving average of rewards
as baseline, a power of the accuracy as reward, a depth that grows on schedule; Williams, 1992.
With policy "independent" it is the REINFORCE of Dong & Yang, NAS-Bench-201, 2020
(arXiv:2001.00326); as in its code the baseline is free of its first value's bias, and takes in a
batch before the batch is judged. Deliberate differences: one controller instead of Zoph & Le's
asynchronous replicas (with several trials in flight it learns from children that an
earlier policy drew, as theirs does); the defaults are a small recipe with a higher learning rate.
"""

from abc import abstractmethod
from math import copysign

import torch
from torch import Tensor

from nas_lightning.core.checks import at_least, in_range, one_of, positive
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.core.strategy import BlackBoxStrategy, Trial
from nas_lightning.strategies.controller import Controller
from nas_lightning.strategies.policy import Allowed, Chosen, IndependentPolicy

__all__ = ["PolicyGradient", "Reinforce"]


DRAWS = 8  # genotypes among which one within the limits is looked for: an LSTM draws slowly


class PolicyGradient(BlackBoxStrategy):
    """A strategy whose policy moves after every `children` trials, and stands still between.

    Args:
        policy: "controller" (an LSTM) or "independent" (one softmax per decision).
        children: trials per update; Zoph & Le have 8.
        lr: Adam's learning rate, above 0; Zoph & Le have 6e-4.
        baseline_decay: share of the baseline that an update keeps, in [0, 1).
        reward_power: power to which the reward's size is raised, above 0; Zoph & Le have 3.
        entropy: weight of the policy's entropy, at least 0; Zoph & Le have none.
        grow_every: trials between two steps of the space's growth; Zoph & Le have 1,600. None
            opens all of it.
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
        super().__init__(space, seed, trials)
        one_of("strategy.policy", policy, ("controller", "independent"))
        at_least("strategy.children", children, 1)
        positive("strategy.lr", lr, use=0.01)
        in_range("strategy.baseline_decay", baseline_decay, "[0, 1)", use=0.9)
        positive("strategy.reward_power", reward_power, use=1.0)
        at_least("strategy.entropy", entropy, 0, use=1e-5)
        at_least("strategy.grow_every", grow_every, 1, use="null")
        first = keyed_seed(seed, "policy")
        self.policy: Controller | IndependentPolicy
        if policy == "independent":
            self.policy = IndependentPolicy(space.decisions, first)
        else:
            self.policy = Controller(
                space.decisions, first, hidden, layers, init_range, tanh_constant, temperature
            )
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=lr)
        self.children, self.reward_power, self.grow_every = children, reward_power, grow_every
        self.baseline_decay, self.entropy = baseline_decay, entropy
        self._waiting: list[Trial] = []
        self._sum = self._weight = 0.0

    @abstractmethod
    def update(self, chosen: list[Chosen], allowed: list[Allowed], advantages: Tensor) -> None:
        """Moves the policy by N children's choices and `advantages` (N,), rewards above baseline.

        `allowed` are the options that each child was drawn from.
        """

    @property
    def baseline(self) -> float:
        """The moving average of the rewards, free of the bias of its start."""
        return self._sum / self._weight

    def allowed(self, number: int) -> Allowed:
        """Returns the options that a trial may choose."""
        return {} if self.grow_every is None else self.space.grown(number // self.grow_every)

    def ask(self, number: int) -> Trial:
        """Returns a genotype that the policy draws."""
        rng = self.random("policy", number)
        allowed = self.allowed(number)
        return Trial(number, self.space.kept(lambda: self.policy.sample(rng, allowed), rng, DRAWS))

    def tell(self, trial: Trial) -> None:
        """Gathers the rewards; the last one of an update moves baseline and policy."""
        self._waiting.append(trial)
        if len(self._waiting) < self.children:
            return
        trials, self._waiting = self._waiting, []
        powers = [copysign(abs(r) ** self.reward_power, r) for r in (t.told_reward for t in trials)]
        rewards, keep = torch.tensor(powers, dtype=torch.float64), self.baseline_decay
        self._sum = keep * self._sum + (1 - keep) * float(rewards.mean())
        self._weight = keep * self._weight + (1 - keep)
        chosen: list[Chosen] = [t.genotype.mapping for t in trials]
        self.update(chosen, [self._open(t) for t in trials], rewards - self.baseline)

    def _open(self, trial: Trial) -> Allowed:
        """Returns the options that a trial may choose, and those that the limits made it take."""
        chosen = trial.genotype.mapping
        return {
            name: options if chosen.get(name, options[0]) in options else (*options, chosen[name])
            for name, options in self.allowed(trial.number).items()
        }


class Reinforce(PolicyGradient):
    """Ascends on mean((reward - baseline) * log-probability) + entropy * entropy of the policy.

    >>> from dataclasses import replace
    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> strategy = Reinforce(NasBench201Space(), seed=0)
    >>> strategy.tell(replace(strategy.ask(0), reward=0.9))
    >>> strategy.baseline
    0.9
    """

    def update(self, chosen: list[Chosen], allowed: list[Allowed], advantages: Tensor) -> None:
        """Takes one step of Adam."""
        log_prob, entropy = self.policy.log_prob(chosen, allowed)
        gain = (advantages.to(log_prob) * log_prob).mean() + self.entropy * entropy.mean()
        self.optimizer.zero_grad()
        torch.autograd.backward(-gain)
        self.optimizer.step()
