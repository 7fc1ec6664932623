"""The base of strategies with alphas: a table of logits, one per option of each choice."""

import logging
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nas_lightning.core.choices import Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import OneShotStrategy
from nas_lightning.strategies.relaxations import concrete, gumbel_noise, masked_softmax

__all__ = ["AlphaStrategy", "share_of"]

log = logging.getLogger(__name__)

INITIAL_SCALE = 1e-3


class AlphaStrategy(OneShotStrategy):
    """A strategy with one logit, alpha, per option; its scores are their softmax.

    Attributes:
        alpha: logits (choices, options), first drawn from a normal of standard deviation 1e-3.
        is_warm: whether alphas move; a strategy with a warm-up sets it in `start_epoch`.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int,
        params_optimizer: Sgd,
        alpha_optimizer: Adam,
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer)
        self.alpha = nn.Parameter(torch.empty(self.allowed.shape))
        self.is_warm = True
        self.reset()

    def reset(self) -> None:
        """Draws initial alphas."""
        noise = torch.randn(self.alpha.shape, generator=self.rng)
        with torch.no_grad():
            self.alpha.copy_(INITIAL_SCALE * noise)

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
        """Returns the genotype of the best scores; warns where alphas have not moved."""
        self.warn_of_warmup()
        return super().derive(context, val)

    def warn_of_warmup(self) -> None:
        """Warns where the cap of samples ended the search within a warm-up."""
        if not self.is_warm:
            log.warning(
                "the search ended in a warm-up (strategy.warmup), in which alphas do not move: the "
                "genotype knows nothing of it; let the search process more samples"
            )

    def draw_concrete(self, phase: str, tau: float, noise: Tensor | None = None) -> Tensor:
        """Returns a draw (choices, options) from the concrete distribution of alpha, on the CPU.

        Args:
            phase: in "params" the draw carries no gradient.
            tau: temperature, above 0.
            noise: Gumbel noise (choices, options); None draws it.
        """
        alpha = self.alpha if phase == "alpha" else self.alpha.detach()
        logits = alpha.cpu().masked_fill(~self.allowed.cpu(), float("-inf"))
        noise = gumbel_noise(logits, self.rng) if noise is None else noise.to(logits)
        return concrete(logits, noise, tau)


def share_of(share: float, epochs: int) -> int:
    """Returns a share, in [0, 1), of a search in whole epochs; at least one epoch is left."""
    return min(round(share * epochs), epochs - 1)
