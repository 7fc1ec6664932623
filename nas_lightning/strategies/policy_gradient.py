"""The base of strategies that learn a policy: draw children, gather rewards, update.

Source: Zoph & Le, Neural Architecture Search with Reinforcement Learning, 2017
(arXiv:1611.01578), sections 3.2 and 4.1: several children per update, an exponential moving
average of rewards as baseline, a power of the accuracy as reward, a depth that grows on schedule.
As in NAS-Bench-201's code the baseline is free of its first value's bias, and takes in a batch
before the batch is judged.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_lightning.core.checks import at_least, in_range, one_of, positive
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.core.strategy import BlackBoxStrategy, Trial
from nas_lightning.strategies.controller import Controller
from nas_lightning.strategies.policy import Allowed, IndependentPolicy

__all__ = ["Judged", "PolicyGradient", "build_policy"]

Policy = Controller | IndependentPolicy
POLICIES = ("controller", "independent")


@dataclass(frozen=True)
class Judged:
    """The children that an update learns from.

    Attributes:
        chosen: the choices of N genotypes.
        allowed: the options that were allowed when each of them was drawn.
        advantages: rewards above the baseline (N,), in double precision.
    """

    chosen: Sequence[dict[str, str]]
    allowed: Sequence[Allowed]
    advantages: Tensor


class PolicyGradient(BlackBoxStrategy):
    """A strategy whose policy moves after every `children` trials, and stands still between.

    `policy` draws the children; the other arguments are those of `Reinforce`.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        trials: int,
        policy: Policy,
        children: int,
        lr: float,
        baseline_decay: float,
        reward_power: float,
        grow_every: int | None,
    ) -> None:
        super().__init__(space, seed, trials)
        at_least("strategy.children", children, 1)
        positive("strategy.lr", lr, use=0.01)
        in_range("strategy.baseline_decay", baseline_decay, "[0, 1)", use=0.9)
        positive("strategy.reward_power", reward_power, use=1.0)
        at_least("strategy.grow_every", grow_every, 1, use="null")
        self.policy = policy
        self.optimizer = torch.optim.Adam(policy.parameters(), lr=lr)
        self.children, self.reward_power, self.grow_every = children, reward_power, grow_every
        self.baseline_decay = baseline_decay
        self._waiting: list[Trial] = []
        self._sum = self._weight = 0.0

    @abstractmethod
    def update(self, judged: Judged) -> None:
        """Moves the policy by the rewards of some children."""

    @property
    def baseline(self) -> float:
        """The moving average of the rewards, free of the bias of its start."""
        return self._sum / self._weight

    def allowed(self, number: int) -> Allowed:
        """Returns the options that a trial may choose."""
        if self.grow_every is None:
            return {}
        return self.space.grown(number // self.grow_every)

    def ask(self, number: int) -> Trial:
        """Returns a genotype that the policy draws."""
        rng = self.random("policy", number)
        return Trial(number, self.space.genotype(self.policy.sample(rng, self.allowed(number))))

    def tell(self, trial: Trial) -> None:
        """Gathers the rewards; the last one of an update moves baseline and policy."""
        self._waiting.append(trial)
        if len(self._waiting) < self.children:
            return
        trials, self._waiting = self._waiting, []
        rewards = torch.tensor([self._shaped(t) for t in trials], dtype=torch.float64)
        keep = self.baseline_decay
        self._sum = keep * self._sum + (1 - keep) * float(rewards.mean())
        self._weight = keep * self._weight + (1 - keep)
        chosen = [t.genotype.mapping for t in trials]
        allowed = [self.allowed(t.number) for t in trials]
        self.update(Judged(chosen, allowed, rewards - self.baseline))

    def _shaped(self, trial: Trial) -> float:
        """Returns the reward raised to its power; a negative one keeps its sign."""
        size = float(abs(trial.told_reward) ** self.reward_power)
        return size if trial.told_reward >= 0 else -size


def build_policy(
    kind: str,
    space: SearchSpace,
    seed: int,
    hidden: int,
    layers: int,
    init_range: float,
    tanh_constant: float | None,
    temperature: float,
) -> Policy:
    """Returns a "controller" with the values that follow, or an "independent" policy.

    Raises:
        ValueError: there is no such policy, or a value is out of range.
    """
    one_of("strategy.policy", kind, POLICIES)
    first = keyed_seed(seed, "policy")
    if kind == "independent":
        return IndependentPolicy(space.decisions, first)
    return Controller(
        space.decisions, first, hidden, layers, init_range, tanh_constant, temperature
    )
