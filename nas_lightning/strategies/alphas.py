"""The bases of strategies with alphas, a logit per option: in one stage, and in several."""

import logging
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from nas_lightning.core.checks import in_range
from nas_lightning.core.choices import Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import OneShotStrategy
from nas_lightning.strategies.relaxations import hard_weights, masked_softmax

__all__ = ["AlphaStrategy", "StagedStrategy", "gumbel_noise", "share_of", "stage_of"]

log = logging.getLogger(__name__)


class AlphaStrategy(OneShotStrategy):
    """A strategy with one logit, alpha, per option; its scores are their softmax.

    Args:
        warmup: share of the epochs in which alphas stand still, in [0, 1).

    Attributes:
        alpha: logits (choices, options), first drawn from a normal of standard deviation 1e-3.
        is_warm: whether alphas move.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int,
        params_optimizer: Sgd,
        alpha_optimizer: Adam,
        warmup: float = 0.0,
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer)
        in_range("strategy.warmup", warmup, "[0, 1)", use=0.3)
        self.alpha = nn.Parameter(torch.empty(self.allowed.shape))
        self.warmup, self.is_warm = warmup, True
        self.reset()

    def reset(self) -> None:
        """Draws initial alphas."""
        with torch.no_grad():
            self.alpha.copy_(1e-3 * torch.randn(self.alpha.shape, generator=self.rng))

    def start_epoch(self, epoch: int) -> None:
        """Ends the warm-up in time; a hook."""
        self.is_warm = epoch >= share_of(self.warmup, self.epochs)

    def scores(self) -> Mixture:
        """Returns the softmax of alpha over the allowed options."""
        return Mixture(masked_softmax(self.alpha, self.allowed), self.support())

    def mixture(self, phase: str) -> Mixture:
        """Returns the scores, without gradient in phase "params"."""
        scores = self.scores()
        return scores.detach() if phase == "params" else scores

    def alpha_step(self, train: Batch, val: Batch, context: SearchContext) -> None:
        """Moves alphas by the validation loss, unless the search warms up."""
        if self.is_warm:
            super().alpha_step(train, val, context)

    def derive(self, context: SearchContext | None = None, val: Iterable[Batch] = ()) -> Genotype:
        """Returns the genotype of the best scores; warns if alphas have not moved."""
        self.warn_of_warmup()
        return super().derive(context, val)

    def warn_of_warmup(self) -> None:
        """Warns if the cap of samples ended the search within a warm-up."""
        if not self.is_warm:
            log.warning(
                "the search ended in a warm-up (strategy.warmup), in which alphas do not move: the "
                "genotype knows nothing of it; let the search process more samples"
            )

    def draw_concrete(self, phase: str, tau: float, noise: Tensor | None = None) -> Tensor:
        """Returns softmax((log softmax(alpha) + noise) / tau) (choices, options), on the CPU.

        It is a draw from the concrete distribution (Maddison et al., 2017, arXiv:1611.00712), with
        a gradient in phase "alpha". The noise is Gumbel's, of the same shape; None draws it.
        """
        alpha = self.alpha if phase == "alpha" else self.alpha.detach()
        logits = alpha.cpu().masked_fill(~self.allowed.cpu(), float("-inf"))
        noise = gumbel_noise(logits, self.rng) if noise is None else noise.to(logits)
        return ((logits.log_softmax(dim=-1) + noise) / tau).softmax(dim=-1)

    def draw_one_hot(self, phase: str, tau: float, noise: Tensor | None = None) -> Mixture:
        """Returns the one-hot mixture of the largest weights of `draw_concrete`.

        In phase "alpha" its gradient goes straight to those weights, and so reaches all logits.
        """
        soft = self.draw_concrete(phase, tau, noise)
        option = soft.argmax(dim=-1)
        weights = hard_weights(soft, option).to(self.alpha.device)
        return Mixture(weights, tuple((index,) for index in option.tolist()))


class StagedStrategy(AlphaStrategy):
    """A search in stages of equal length, each of which begins with the best options so far.

    Args:
        warmup: share of each stage in which alphas stand still, in [0, 1).
        kept: share of the options that each stage begins with, in (0, 1], at first 1.
    """

    number: int  # stage of the epoch (0-based)
    done: Tensor  # int (): the stages that have begun, less one

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int,
        params_optimizer: Sgd,
        alpha_optimizer: Adam,
        warmup: float,
        kept: Sequence[float],
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer, warmup)
        if kept[0] != 1 or not all(0 < later <= share for share, later in pairwise(kept)):
            raise ValueError(
                f"strategy.kept ({list(kept)}) must begin with 1, since nothing is known yet to "
                "drop options by, and must not grow nor end at 0; use e.g. [1.0,0.5]"
            )
        self.kept, self.number = tuple(kept), 0
        self.register_buffer("done", torch.zeros((), dtype=torch.long))

    def start_epoch(self, epoch: int) -> None:
        """Begins a stage where it is time, and ends its warm-up; a hook."""
        self.number, within, length = stage_of(epoch, self.epochs, len(self.kept))
        self.is_warm = within >= share_of(self.warmup, length)
        if self.number > int(self.done):
            self.begin_stage(self.kept[self.number])
            self.done.fill_(self.number)

    def begin_stage(self, share: float) -> None:
        """Leaves a share of each choice's options, rounded up, those of highest alpha; a hook."""
        scores = self.alpha.detach().masked_fill(~self.allowed, float("-inf"))
        for row, choice in enumerate(self.space.choices):
            number = max(1, math.ceil(share * len(choice.options) - 1e-9))
            worst = scores[row].argsort(descending=True, stable=True)[number:]  # the later if equal
            self.allowed[row, worst] = False


def share_of(share: float, epochs: int) -> int:
    """Returns a share, in [0, 1), of a search in whole epochs; at least one epoch is left."""
    return min(round(share * epochs), epochs - 1)


def stage_of(epoch: int, epochs: int, stages: int) -> tuple[int, int, int]:
    """Returns an epoch's stage (0-based), the epoch within it, and the stage's length.

    Lengths differ by one epoch at most. A search with fewer epochs than stages has the first ones.

    >>> [stage_of(epoch, 4, 2) for epoch in range(4)]
    [(0, 0, 2), (0, 1, 2), (1, 0, 2), (1, 1, 2)]
    """
    stages, epoch = min(stages, epochs), min(epoch, epochs - 1)
    bounds = [epochs * number // stages for number in range(stages + 1)]
    number = max(n for n in range(stages) if bounds[n] <= epoch)
    return number, epoch - bounds[number], bounds[number + 1] - bounds[number]


def gumbel_noise(logits: Tensor, rng: torch.Generator) -> Tensor:
    """Returns standard Gumbel noise of the shape of logits, drawn again until it is finite."""
    while True:
        uniform = torch.rand(logits.shape, generator=rng, dtype=logits.dtype)
        noise = -(-uniform.log()).log()
        if torch.isfinite(noise).all():
            return noise
