"""DrNAS: mixing weights are drawn from a Dirichlet distribution whose concentration is learned.

Source: Chen et al., DrNAS, 2021 (arXiv:2006.10355), sections 2 and 3, and the official code.
Deliberate differences: params that a wider stage keeps are the leading slices of its tensors
(the authors' code copies channels at random); where `partial` changes, the momentum of params and
the moments of alphas' Adam begin anew (theirs survive). The L2 regulariser is the weight decay of
alphas' Adam, as in the authors' code, which has either it or the divergence.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from nas_lightning.core.checks import at_least, equal_length
from nas_lightning.core.choices import Mixture
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import Stage
from nas_lightning.strategies.alphas import StagedStrategy, stage_of

__all__ = ["DrNas", "concentration_of", "dirichlet", "divergence_from_flat"]


class DrNas(StagedStrategy):
    """Dirichlet neural architecture search, with progressive stages.

    Args:
        epochs: length of the search; the paper has 50 on DARTS's space.
        partial: parts of the channels of which one is run (see PC-DARTS), per stage; the paper
            has 6 and 4 for 36 channels. (1,) is one stage on all channels.
        kept: share of the options that each stage begins with, as many as `partial`.
        warmup: share of a stage in which alphas stand still, in [0, 1); the paper has 0.4.
        kl: weight of the divergence from the flat Dirichlet, at least 0. It replaces the L2
            regulariser, the paper's default: above 0, `alpha_optimizer.weight_decay` must be 0.

    Raises: ValueError: a value is out of range, or does not fit the space or the other ones.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> drnas = DrNas(NasBench201Space(), seed=0, epochs=4)
    >>> round(drnas.mixture("alpha").weights.sum().item(), 3)  # 1 per edge, drawn
    6.0
    >>> drnas.start_epoch(2)
    >>> drnas.allowed.sum(dim=1).tolist()  # the second stage keeps half of 5, rounded up
    [3, 3, 3, 3, 3, 3]
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        partial: Sequence[int] = (1, 1),
        kept: Sequence[float] = (1.0, 0.5),
        warmup: float = 0.4,
        kl: float = 0.0,
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(lr=None),
    ) -> None:
        equal_length("[6,4] and [1.0,0.5]", partial=partial, kept=kept)
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer, warmup, kept)
        at_least("strategy.kl", kl, 0)
        if max(partial) > 1 and not space.has_partial_channels:
            raise ValueError(
                f"search space '{space.name}' has no partial channels, strategy.partial is "
                f"{list(partial)}; set strategy.partial=[{','.join('1' * len(partial))}]"
            )
        if kl and alpha_optimizer.weight_decay:
            raise ValueError(
                f"strategy.kl ({kl}) takes the place of strategy.alpha_optimizer.weight_decay "
                f"({alpha_optimizer.weight_decay}); set strategy.alpha_optimizer.weight_decay=0"
            )
        self.partial, self.kl = tuple(partial), kl

    def stage(self, epoch: int) -> Stage:
        """Returns the stage of an epoch; a wider one keeps its params."""
        number, _, _ = stage_of(epoch, self.epochs, len(self.partial))
        return Stage({"partial": self.partial[number]} if self.space.has_partial_channels else {})

    def mixture(self, phase: str) -> Mixture:
        """Returns drawn weights (section 2.2)."""
        concentration = self.concentration().cpu()
        if phase == "params":
            concentration = concentration.detach()
        weights = dirichlet(concentration, self.allowed.cpu(), self.rng)
        return self._mixture(weights.to(self.alpha.device))

    def scores(self) -> Mixture:
        """Returns the mean of the Dirichlet over the allowed options."""
        concentration = self.concentration() * self.allowed
        return self._mixture(concentration / concentration.sum(dim=-1, keepdim=True))

    def concentration(self) -> Tensor:
        """Returns the concentration of every option (choices, options)."""
        return concentration_of(self.alpha)

    def alpha_loss(self, batch: Batch, mixture: Mixture, context: SearchContext) -> Tensor:
        """Returns the loss of a mixture plus the weighted divergence (equation 3)."""
        loss = super().alpha_loss(batch, mixture, context)
        if not self.kl:
            return loss
        return loss + self.kl * divergence_from_flat(self.concentration(), self.allowed).sum()

    def _mixture(self, weights: Tensor) -> Mixture:
        partial = self.partial[self.number] if self.space.has_partial_channels else None
        return Mixture(weights, self.support(), partial=partial)


def concentration_of(alpha: Tensor) -> Tensor:
    """Returns the concentration elu(alpha) + 1 of logits (choices, options)."""
    # as a sum it would be exactly 0, without gradient, from alpha = -17 downwards
    return torch.where(alpha > 0, alpha + 1.0, alpha.clamp(max=0).exp())


def dirichlet(concentration: Tensor, allowed: Tensor, rng: torch.Generator) -> Tensor:
    """Returns a draw of each row from a Dirichlet, with the reparameterised gradient (section 2.2).

    The draw is one of normalised gamma variates. Options that are not allowed weigh zero.
    """
    gammas = torch._standard_gamma(concentration, generator=rng)
    gammas = gammas.clamp_min(torch.finfo(gammas.dtype).tiny) * allowed
    return gammas / gammas.sum(dim=-1, keepdim=True)


def divergence_from_flat(concentration: Tensor, allowed: Tensor) -> Tensor:
    """Returns the divergence (choices,) of each row's Dirichlet from Dirichlet(1, ..., 1).

    It is Kullback-Leibler's (equation 3), over the allowed options, without asking the device.
    """
    own = torch.where(allowed, concentration, 1.0)  # a 1 adds nothing to the sums below
    total = (own * allowed).sum(dim=-1)
    number = allowed.sum(dim=-1).to(own.dtype)
    pull = (own - 1.0) * (own.digamma() - total.digamma()[:, None])
    return total.lgamma() - number.lgamma() - own.lgamma().sum(dim=-1) + pull.sum(dim=-1)
