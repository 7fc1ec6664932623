"""DARTS-: an auxiliary skip beside the mixture of each edge, whose weight falls to zero.

Source: Chu et al., DARTS-, 2021 (arXiv:2009.01027), section 3 and algorithm 1, and the official
code. Each edge gives beta * skip(x) + the softmax mixture, with beta shared by all edges and not
searched; the skip among the options is then free to compete with the others. The default decay is
linear, from 1, as in the official script. Deliberate differences:

- The auxiliary skip is the "skip_connect" option of the edge itself, whose weight is raised by
  beta. At stride 1 a skip is the identity without params or BatchNorm, so that this is the paper's
  forward. At stride 2 (reduction cells of DARTS's space) and where a space
  gives its skip params, the two share them; the official code has a second factorized reduction.
- An edge without a "skip_connect" gets none; the official code adds one everywhere.
- beta reaches 0 in the last epoch, so that it is gone in short searches too; theirs, 1 - epoch /
  epochs, ends with one step left (0.02 of 50 epochs).
- What is validated after an epoch, and discretized, is the mixture without beta.
"""

import logging
import math

import torch
from torch import Tensor

from nas_lightning.core.checks import at_least, one_of
from nas_lightning.core.choices import SKIP, Mixture
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.strategies.alphas import AlphaStrategy

__all__ = ["DartsMinus", "decayed"]

log = logging.getLogger(__name__)

DECAYS = ("linear", "cosine")


class DartsMinus(AlphaStrategy):
    """Differentiable architecture search with auxiliary skips.

    Args:
        epochs: length of the search; the paper has 50.
        beta: weight of the auxiliary skips in the first epoch, at least 0; the paper has 1. A space
            without a "skip_connect" is warned of, since it is searched as by DARTS.
        decay: how beta falls to 0 in the last epoch: "linear" or "cosine".

    Raises: ValueError: a value is out of range.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> darts_minus = DartsMinus(NasBench201Space(), seed=0, epochs=3)
    >>> darts_minus.start_epoch(1)
    >>> round(darts_minus.mixture("alpha").weights.sum().item(), 3)  # 1 + 0.5 per edge
    9.0
    >>> round(darts_minus.scores().weights.sum().item(), 3)
    6.0
    """

    is_skip: Tensor  # bool (choices, options)

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        beta: float = 1.0,
        decay: str = "linear",
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(lr=None),
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer)
        at_least("strategy.beta", beta, 0, use=1.0)
        one_of("strategy.decay", decay, DECAYS)
        self.beta, self.decay, self.beta_now = beta, decay, beta
        is_skip = torch.zeros_like(self.allowed)
        for row, choice in enumerate(space.choices):
            if SKIP in choice.options:
                is_skip[row, choice.options.index(SKIP)] = True
        self.register_buffer("is_skip", is_skip, persistent=False)
        if not is_skip.any():
            log.warning(
                "search space '%s' has no skip_connect: strategy.beta and decay do nothing",
                space.name,
            )

    def start_epoch(self, epoch: int) -> None:
        """Lowers the weight of the auxiliary skips."""
        super().start_epoch(epoch)
        self.beta_now = self.beta * decayed(self.decay, epoch, self.epochs)

    def mixture(self, phase: str) -> Mixture:
        """Returns the softmax of alpha with beta added to the weight of each skip."""
        mixture = super().mixture(phase)
        if not self.beta_now:
            return mixture
        skips = self.is_skip & self.allowed
        return Mixture(mixture.weights + self.beta_now * skips, mixture.support)


def decayed(decay: str, epoch: int, epochs: int) -> float:
    """Returns what is left of 1 in an epoch: all in the first, nothing in the last of several.

    >>> [round(decayed("cosine", epoch, 5), 3) for epoch in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """
    share = epoch / max(1, epochs - 1)
    return 1.0 - share if decay == "linear" else (1.0 + math.cos(math.pi * share)) / 2.0
