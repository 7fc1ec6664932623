"""The two kinds of strategy: one-shot ones own alphas, black-box ones propose genotypes."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from nas_lightning.core.best_within import best_genotype
from nas_lightning.core.checks import at_least
from nas_lightning.core.choices import Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_context import Batch, SearchContext
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.seeding import keyed_seed

__all__ = ["BlackBoxStrategy", "OneShotStrategy", "Stage", "Trial"]


@dataclass(frozen=True)
class Stage:
    """How the supernet is built for a part of the search.

    `scale` are values that replace those of the space's scale, e.g. {"cells": 11}.
    """

    scale: Mapping[str, Any] = field(default_factory=dict)
    keep_params: bool = True  # a rebuilt supernet keeps what it shares with the one before
    number: int = 0  # tells stages of one scale apart that each need a supernet of their own

    def of(self, whole: Scale) -> Scale:
        """Returns the scale of this stage in a search of scale `whole`."""
        return replace(whole, **self.scale)


class OneShotStrategy(nn.Module, ABC):
    """A strategy that searches inside one supernet; it knows choices, not networks.

    Its state is its state_dict: parameters, buffers, and the generator of its draws. Methods
    marked "a hook" may be overridden; epochs are 0-based. `params_optimizer` updates the
    supernet's params, `alpha_optimizer` the strategy's parameters; `rng` is the generator of every
    draw, on the CPU.

    Raises: ValueError: `epochs` is below 1, or the space has no choices to mix.
    """

    allowed: Tensor  # bool (choices, options): the options that may still be chosen

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int,
        params_optimizer: Sgd,
        alpha_optimizer: Adam,
    ) -> None:
        super().__init__()
        at_least("strategy.epochs", epochs, 1, use=10)
        if not space.choices:
            raise ValueError(
                f"search space '{space.name}' has no choices that a supernet could mix; choose a "
                "black-box strategy such as strategy=random"
            )
        self.space, self.epochs = space, epochs
        self.params_optimizer, self.alpha_optimizer = params_optimizer, alpha_optimizer
        self.rng = torch.Generator().manual_seed(seed)
        columns = torch.arange(max(len(choice.options) for choice in space.choices))
        numbers = torch.tensor([len(choice.options) for choice in space.choices])
        self.register_buffer("allowed", columns[None, :] < numbers[:, None])
        self._support: tuple[tuple[int, int], tuple[tuple[int, ...], ...]] = ((0, 0), ())

    @abstractmethod
    def mixture(self, phase: str) -> Mixture:
        """Returns the weights of one supernet forward in a phase, "params" or "alpha"; may draw.

        In phase "params" the strategy needs no gradient.
        """

    @abstractmethod
    def scores(self) -> Mixture:
        """Returns the preference for each option, which is logged and discretized; never draws."""

    def preferences(self) -> dict[str, dict[str, float]]:
        """Returns the score of each allowed option by choice and option, as alphas.csv holds it."""
        scores = self.scores()
        rows = zip(self.space.choices, scores.weights.tolist(), scores.support, strict=True)
        return {c.name: {c.options[i]: row[i] for i in support} for c, row, support in rows}

    def stage(self, epoch: int) -> Stage:
        """Returns how the supernet is built in an epoch, on which alone it depends; a hook.

        Where it differs from the epoch before, the supernet and all optimisers are built anew.
        """
        return Stage()

    def first_epoch(self, epoch: int) -> int:
        """Returns the epoch in which an epoch's stage began."""
        stage = self.stage(epoch)
        while epoch > 0 and self.stage(epoch - 1) == stage:
            epoch -= 1
        return epoch

    def lr_at(self, epoch: int) -> float:
        """Returns the params' learning rate of an epoch: one cosine over their life; a hook.

        Their life begins with the search, or a stage that keeps none, and ends with the next such
        stage or the search.
        """
        begins = [0, *filter(self._starts_anew, range(1, self.epochs)), self.epochs]
        first = max(begin for begin in begins[:-1] if begin <= epoch)
        last = min(begin for begin in begins[1:] if begin > epoch)
        return self.params_optimizer.lr_at(epoch - first, last - first)

    @property
    def weight_decay(self) -> float:
        """The params' weight decay of the next epoch; a hook."""
        return self.params_optimizer.weight_decay

    @property
    def is_over(self) -> bool:
        """Whether the search ends after this epoch, though it is not the last one; a hook."""
        return False

    def notes(self) -> list[str]:
        """Returns what the search did that its result should say, in sentences; a hook."""
        return []

    def measurements(self) -> dict[str, float]:
        """Returns what the strategy measures, by name, logged per epoch as search/NAME; a hook.

        It has the same names in every epoch, and the same values on all processes.
        """
        return {}

    def _starts_anew(self, epoch: int) -> bool:
        stage = self.stage(epoch)
        return not stage.keep_params and stage != self.stage(epoch - 1)

    def start_epoch(self, epoch: int) -> None:
        """Sets what depends on the epoch; idempotent; a hook."""

    def finish_epoch(self, epoch: int, context: SearchContext, val: Iterable[Batch]) -> None:
        """Runs after the last step of an epoch, before it is validated; a hook.

        `val` are this process's validation batches, not augmented.
        """

    def search_step(self, train: Batch, val: Batch, context: SearchContext) -> Tensor:
        """Updates alphas, then params; returns the loss of the training batch; a hook.

        Source: Liu et al., DARTS, 2019 (arXiv:1806.09055), algorithm 1.
        """
        self.alpha_step(train, val, context)
        mixture = self.mixture("params")
        return context.minimise("params", lambda: context.loss(train, mixture, statistics=True))

    def alpha_step(self, train: Batch, val: Batch, context: SearchContext) -> None:
        """Updates the strategy's parameters by the validation loss; a hook."""
        context.minimise("alpha", lambda: self.alpha_loss(val, self.mixture("alpha"), context))

    def alpha_loss(self, batch: Batch, mixture: Mixture, context: SearchContext) -> Tensor:
        """Returns the loss of a mixture for an alpha step, without gradient to params; a hook."""
        still = {name: param.detach() for name, param in context.params.items()}
        return context.loss(batch, mixture, still)

    def derive(self, context: SearchContext | None = None, val: Iterable[Batch] = ()) -> Genotype:
        """Returns the genotype that the search ends with; a hook.

        `val` are this process's validation batches, for strategies that rank genotypes.
        """
        return best_genotype(self.space, self.scores())

    def support(self) -> tuple[tuple[int, ...], ...]:
        """Returns the allowed options of each choice; asks the device only after a change."""
        version = self.allowed.data_ptr(), self.allowed._version
        if self._support[0] != version:
            rows = self.allowed.tolist()
            support = tuple(tuple(i for i, good in enumerate(row) if good) for row in rows)
            self._support = version, support
        return self._support[1]

    def random(self) -> Random:
        """Returns a Python generator, seeded by a draw from the strategy's own."""
        return Random(int(torch.randint(2**62, (), generator=self.rng)))

    def get_extra_state(self) -> dict[str, Tensor]:
        """Returns the state of the generator, for state_dict."""
        return {"rng": self.rng.get_state()}

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        """Restores the state of the generator."""
        self.rng.set_state(state["rng"])


@dataclass(frozen=True)
class Trial:
    """One genotype to be evaluated, and later its result.

    The child is trained for `budget`, a share in (0, 1] of a whole evaluation, which includes the
    `start` that its parent's child has had.
    """

    number: int  # 0-based
    genotype: Genotype
    budget: float = 1.0
    parent: int | None = None  # number of the trial whose child is trained further
    start: float = 0.0
    after: int | None = field(default=None, compare=False)  # trials told before it was asked; None:
    # all those with a lower number
    reward: float | None = None  # higher is better; None until told
    values: tuple[float, ...] = ()  # those that the objective keeps apart, as measured
    measurements: Mapping[str, float] = field(default_factory=dict)  # by quantity
    cost: Mapping[str, float] = field(default_factory=dict)  # by the cost meter's six names
    asking_s: float = field(default=0.0, compare=False)  # which the strategy took to propose it
    failure: str = ""  # why the child could not be evaluated; "" where it was

    @property
    def told_reward(self) -> float:
        """The reward of a trial that was told."""
        assert self.reward is not None, f"trial {self.number} has no reward: it was not told yet"
        return self.reward


class BlackBoxStrategy(ABC):
    """A strategy that proposes genotypes and learns from their rewards.

    Trial n draws from generators keyed on the seed and n (see `random`), so that its state is
    restored by asking and telling again from a journal. `trials` is the number of children.

    Raises: ValueError: `trials` is below 1.
    """

    needs_budgets = False  # whether the evaluation must support budgets below 1 and parents
    needs_last_reward = False  # whether a trial can be asked only when all before it are told
    budgets: tuple[float, ...] = (1.0,)  # shares of a whole evaluation, in (0, 1]
    ended: tuple[int, ...] = ()  # trials whose children, by the last `tell`, train no further

    def __init__(self, space: SearchSpace, seed: int, trials: int) -> None:
        at_least("strategy.trials", trials, 1, use=8)
        self.space, self.seed, self.trials = space, seed, trials

    @property
    def is_waiting(self) -> bool:
        """Whether it has nothing to ask before one of the asked trials is told; a hook."""
        return False

    @abstractmethod
    def ask(self, number: int) -> Trial:
        """Returns trial `number`; called in order, maybe twice before the trial is told.

        Unless it `needs_last_reward`, trials before this one may not be told yet.
        """

    @abstractmethod
    def tell(self, trial: Trial) -> None:
        """Learns from a finished trial; in any order, unless it `needs_last_reward`."""

    def random(self, purpose: str, number: int) -> Random:
        """Returns a Python generator keyed on the seed, a purpose and a trial's number."""
        return Random(keyed_seed(self.seed, purpose, number))

    def scores(self) -> Mixture | None:
        """Returns the preference for each option, or None if there is none; a hook."""
        return None
