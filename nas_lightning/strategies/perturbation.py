"""DARTS-PT: a supernet is trained as DARTS does, then projected, choice by choice.

Source: Wang et al., Rethinking Architecture Selection in Differentiable NAS, 2021
(arXiv:2108.04392), sections 4 and 5, and the official code. Alphas do not tell the strength of an
operation; what its removal costs the supernet does (see `projection`). From a share of the search
on, decisions are made at the end of epochs, and in between the supernet is tuned at a tenth of its
learning rate; the alphas of open choices move on. In section 5.3 they never move at all
(`fixed_alpha`), which was best.

Deliberate differences from the code: decisions are spread evenly over the rest of the search (there
one edge of each cell every five epochs), and a short search makes several at once; the momentum of
the params lasts beyond the first decision; no epoch follows the last one. To project what another
strategy has trained, see `nas-derive rule=perturbation`.
"""

import math
from collections.abc import Iterable
from dataclasses import replace

import torch

from nas_lightning.core.checks import in_range
from nas_lightning.core.choices import Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext, listed
from nas_lightning.core.search_space import SearchSpace, uniform_mixture
from nas_lightning.strategies.alphas import AlphaStrategy, share_of
from nas_lightning.strategies.projection import (
    num_open,
    projected,
    projected_genotype,
    validation_measure,
)
from nas_lightning.strategies.relaxations import masked_softmax

__all__ = ["Perturbation"]


class Perturbation(AlphaStrategy):
    """Differentiable search with perturbation-based selection.

    Args:
        epochs: length of the search with the projection; the paper has 50 + 81 on DARTS' space,
            100 + 25 on NAS-Bench-201.
        start: share of the epochs before the first decision, in [0, 1); at least one epoch.
        tuning: share of the learning rate with which the supernet is tuned from then on, in (0, 1].
        fixed_alpha: whether alphas never move.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> strategy = Perturbation(NasBench201Space(), seed=0, epochs=6)
    >>> [round(strategy.lr_at(epoch), 4) for epoch in range(6)]
    [0.025, 0.019, 0.007, 0.0025, 0.0021, 0.0014]
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        start: float = 0.5,
        tuning: float = 0.1,
        fixed_alpha: bool = False,
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(lr=None),
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer)
        in_range("strategy.start", start, "[0, 1)", use=0.5)
        in_range("strategy.tuning", tuning, "(0, 1]", use=0.1)
        self.start, self.tuning, self.fixed_alpha = start, tuning, fixed_alpha

    @property
    def trained(self) -> int:
        """The epochs before the first decision."""
        return max(1, share_of(self.start, self.epochs))

    def lr_at(self, epoch: int) -> float:
        """Returns an epoch's learning rate: one cosine until the first decision, one after it."""
        if epoch < self.trained:
            return self.params_optimizer.lr_at(epoch, self.trained)
        lr = self.tuning * self.params_optimizer.lr
        tuned = replace(self.params_optimizer, lr=lr, lr_min=min(lr, self.params_optimizer.lr_min))
        return tuned.lr_at(epoch - self.trained, self.epochs - self.trained)

    def scores(self) -> Mixture:
        """Returns the softmax of alpha over what is left; an edge that was removed has nothing."""
        runs = self.allowed.any(dim=-1, keepdim=True)
        return Mixture(masked_softmax(self.alpha, self.allowed | ~runs) * runs, self.support())

    def alpha_step(self, train: Batch, val: Batch, context: SearchContext) -> None:
        """Moves the alphas of open choices, unless they are fixed."""
        if not self.fixed_alpha and any(len(options) > 1 for options in self.support()):
            super().alpha_step(train, val, context)

    def finish_epoch(self, epoch: int, context: SearchContext, val: Iterable[Batch]) -> None:
        """Makes the epoch's part of the decisions that are left; needs validation batches."""
        number = num_open(self.space, self.support())
        if number and epoch + 1 >= self.trained:
            number = math.ceil(number / max(1, self.epochs - epoch))
            support = self._projected(context, listed(val, "perturbation"), number).support
            left = [[o in options for o in range(self.allowed.shape[1])] for options in support]
            self.allowed.copy_(torch.tensor(left))

    def derive(self, context: SearchContext | None = None, val: Iterable[Batch] = ()) -> Genotype:
        """Returns the genotype that the decisions leave.

        A search that was cut short has not made all of them: the rest is made here, by validation,
        or without a context by the largest weights.
        """
        mixture = self.scores()
        if context is not None and num_open(self.space, mixture.support):
            mixture = self._projected(context, listed(val, "perturbation"))
        every = uniform_mixture(self.space.choices).to(self.alpha)
        before = Mixture(masked_softmax(self.alpha.detach(), every.weights > 0), every.support)
        return projected_genotype(self.space, mixture, before)

    def _projected(
        self, context: SearchContext, batches: list[Batch], number: int | None = None
    ) -> Mixture:
        measure = validation_measure(context, batches)
        return projected(self.space, self.scores().detach(), measure, self.random(), number)
