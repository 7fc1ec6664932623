"""What the strategies that own a table of alphas share: their start, softmax, and schedules."""

import logging
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from nas_lightning.core.choices import Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import OneShotStrategy
from nas_lightning.strategies.relaxations import gumbel, masked_softmax

__all__ = ["AlphaStrategy", "linear", "restricted", "share_of"]

log = logging.getLogger(__name__)

INITIAL_SCALE = 1e-3


class AlphaStrategy(OneShotStrategy):
    """A strategy with one logit, alpha, an option; its scores are their softmax.

    Args:
        space: the search space.
        seed: seed of the initial alphas and of every draw.
        epochs: length of the search in epochs.
        params_optimizer: how the supernet's params are moved.
        alpha_optimizer: how alphas are moved.

    Attributes:
        alpha: logits (choices, options), drawn from a normal of standard deviation 1e-3.
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
        """Draws the alphas of a search's beginning."""
        noise = torch.randn(self.alpha.shape, generator=self.rng)
        with torch.no_grad():
            self.alpha.copy_(INITIAL_SCALE * noise)

    def scores(self) -> Mixture:
        """Returns the softmax of alpha over the allowed options."""
        return Mixture(masked_softmax(self.alpha, self.allowed), self.support())

    def alpha_step(self, train: Batch, val: Batch, context: SearchContext) -> None:
        """Moves alphas by the validation loss, once the params are warm."""
        if self.is_warm:
            super().alpha_step(train, val, context)

    def derive(self, context: SearchContext, val: Iterable[Batch]) -> Genotype:
        """Returns the genotype of the best scores; warns where alphas have not moved."""
        self.warn_of_still_alphas()
        return super().derive(context, val)

    def warn_of_still_alphas(self) -> None:
        """Warns of a search that ended in a warm-up, by its cap of samples."""
        if not self.is_warm:
            log.warning(
                "the search ended in a warm-up (strategy.warmup), in which alphas do not move: the "
                "genotype knows nothing of it; let the search process more samples"
            )

    def draw_concrete(self, phase: str, tau: float) -> Tensor:
        """Returns a draw (choices, options) from the concrete distribution of alpha, on the CPU.

        Args:
            phase: with "params" the draw carries no gradient.
            tau: temperature, above 0.
        """
        logits = self.alpha.cpu().masked_fill(~self.allowed.cpu(), float("-inf"))
        return gumbel(logits if phase == "alpha" else logits.detach(), tau, self.rng)


def linear(start: float, end: float, epoch: int, epochs: int) -> float:
    """Returns the value of an epoch (0-based) on a line from the first epoch to the last."""
    return start + (end - start) * epoch / max(1, epochs - 1)


def share_of(share: float, epochs: int) -> int:
    """Returns a share of a search in whole epochs, so that at least one epoch is left.

    Args:
        share: share of the search, in [0, 1).
        epochs: its length.
    """
    return min(round(share * epochs), epochs - 1)


def restricted(
    strategy: OneShotStrategy, where: Callable[[str], bool], option: str, setting: str
) -> None:
    """Leaves the named option alone to every choice whose name fits.

    Args:
        strategy: the strategy whose `allowed` is narrowed.
        where: says whether a choice's name fits.
        option: the option that stays.
        setting: the user's key that names it, for messages.

    Raises:
        ValueError: no choice fits, or one of them lacks the option.
    """
    rows = [i for i, choice in enumerate(strategy.space.choices) if where(choice.name)]
    if not rows:
        raise ValueError(
            f"search space '{strategy.space.name}' has no choices to hold at '{option}'; set "
            f"{setting}=null"
        )
    for row in rows:
        options = strategy.space.choices[row].options
        if option not in options:
            raise ValueError(f"unknown {setting} '{option}'; choose from: {', '.join(options)}")
        strategy.allowed[row] = False
        strategy.allowed[row, options.index(option)] = True
