"""What strategies share that learn a policy: draw children, gather rewards, update.

Source: Zoph & Le, Neural Architecture Search with Reinforcement Learning, 2017
(arXiv:1611.01578), sections 3.2 and 4.1: several children an update, an exponential moving average
of rewards as baseline, a power of the accuracy as reward, a depth that grows on schedule. As in
NAS-Bench-201's code the baseline is free of its first value's bias, and takes in a batch before
the batch is judged.
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

__all__ = ["Batch", "PolicyGradient"]

POLICIES = ("controller", "independent")


@dataclass(frozen=True)
class Batch:
    """What an update learns from.

    Attributes:
        chosen: the choices of N genotypes.
        allowed: what was open when each of them was drawn.
        advantages: rewards above the baseline (N,), in double precision.
    """

    chosen: Sequence[dict[str, str]]
    allowed: Sequence[Allowed]
    advantages: Tensor


class PolicyGradient(BlackBoxStrategy):
    """A strategy whose policy moves after every `children` trials.

    Between updates the policy stands still, so that the one that drew a batch is the one that the
    update begins from.

    Args:
        space: the search space.
        seed: seed of the first parameters and of all draws.
        trials: number of children to evaluate.
        policy: "controller" (an LSTM) or "independent" (one softmax a decision).
        children: trials an update.
        lr: Adam's learning rate, above 0.
        baseline_decay: share of the baseline that an update keeps, in [0, 1).
        reward_power: the reward is raised to this power, above 0; the paper has 3.
        grow_every: trials between two steps of growth of the space; None opens all of it.
        hidden: units of a layer of the controller.
        layers: layers of the controller.
        init_range: the controller's first parameters are uniform in [-init_range, init_range].
        tanh_constant: limits the controller's logits; None does not.
        temperature: what the controller's logits are divided by.

    Raises:
        ValueError: a value is out of its range.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        trials: int,
        policy: str,
        children: int,
        lr: float,
        baseline_decay: float,
        reward_power: float,
        grow_every: int | None,
        hidden: int,
        layers: int,
        init_range: float,
        tanh_constant: float | None,
        temperature: float,
    ) -> None:
        super().__init__(space, seed, trials)
        one_of("strategy.policy", policy, POLICIES)
        at_least("strategy.children", children, 1)
        positive("strategy.lr", lr, use=0.01)
        in_range("strategy.baseline_decay", baseline_decay, "[0, 1)", use=0.9)
        positive("strategy.reward_power", reward_power, use=1.0)
        at_least("strategy.grow_every", grow_every, 1, use="null")
        first = keyed_seed(seed, "policy")
        self.policy: Controller | IndependentPolicy = IndependentPolicy(space.decisions, first)
        if policy == "controller":
            options = (hidden, layers, init_range, tanh_constant, temperature)
            self.policy = Controller(space.decisions, first, *options)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=lr)
        self.children, self.reward_power, self.grow_every = children, reward_power, grow_every
        self.baseline_decay = baseline_decay
        self._waiting: list[Trial] = []
        self._sum = self._weight = 0.0

    @abstractmethod
    def update(self, batch: Batch) -> None:
        """Moves the policy by what a batch of children was worth."""

    @property
    def baseline(self) -> float:
        """The moving average of the rewards, free of the bias of its start."""
        return self._sum / self._weight

    def allowed(self, number: int) -> Allowed:
        """Returns the options that are open to a trial."""
        if self.grow_every is None:
            return {}
        return self.space.grown(number // self.grow_every)

    def ask(self, number: int) -> Trial:
        """Returns a genotype that the policy draws."""
        rng = self.random("policy", number)
        return Trial(number, self.space.genotype(self.policy.sample(rng, self.allowed(number))))

    def tell(self, trial: Trial) -> None:
        """Gathers the rewards; a full batch moves baseline and policy."""
        self._waiting.append(trial)
        if len(self._waiting) < self.children:
            return
        batch, self._waiting = self._waiting, []
        rewards = torch.tensor([self._shaped(t) for t in batch], dtype=torch.float64)
        keep = self.baseline_decay
        self._sum = keep * self._sum + (1 - keep) * float(rewards.mean())
        self._weight = keep * self._weight + (1 - keep)
        chosen = [t.genotype.mapping for t in batch]
        allowed = [self.allowed(t.number) for t in batch]
        self.update(Batch(chosen, allowed, rewards - self.baseline))

    def _shaped(self, trial: Trial) -> float:
        """Returns the reward raised to its power; a negative one keeps its sign."""
        size = float(abs(trial.told_reward) ** self.reward_power)
        return size if trial.told_reward >= 0 else -size
