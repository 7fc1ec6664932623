"""Fair DARTS: a sigmoid per option in place of the softmax, and edges that may be left out.

Source: Chu et al., Fair DARTS, 2020 (arXiv:1911.12126), the sigmoid mixture, the zero-one
loss in its squared form and the threshold, as in the official code. Options do not compete: the
weights of an edge need not sum to 1. Deliberate differences:

- The authors' space is without "none", which a sigmoid makes useless: it has no gradient and stays
  at 0.5. Where a space has it, neither the zero-one loss nor the threshold counts it.
- Choices of every kind have sigmoids, also those of sizes or inputs, whose options exclude each
  other; a genotype takes the best one (see `threshold_genotype`).
- The code adds the zero-one loss to the params' loss too, on which it has no effect.
- By default the learning rate of alpha is set by the length of the search, and that of params is
  DARTS's (experiment=fair_darts_cifar has the code's 0.003 and 0.005).
"""

import logging
from collections.abc import Iterable

import torch
from torch import Tensor

from nas_lightning.core.checks import at_least, in_range
from nas_lightning.core.choices import NONE, Mixture
from nas_lightning.core.cut_path import CUT, cuts_every_path
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.threshold import can_leave_edges_out, threshold_genotype
from nas_lightning.strategies.alphas import AlphaStrategy

__all__ = ["FairDarts", "zero_one_loss"]

log = logging.getLogger(__name__)


class FairDarts(AlphaStrategy):
    """Differentiable architecture search in which options do not compete.

    Args:
        epochs: length of the search; the paper has 50.
        zero_one: weight of the zero-one loss, at least 0; the paper has 10.
        threshold: score from which an operation deserves its edge, in [0, 1]; the paper has 0.85. A
            space that cannot leave edges out is warned of.

    Raises: ValueError: a value is out of range.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> fair_darts = FairDarts(NasBench201Space(), seed=0)
    >>> fair_darts.preferences()["edge_0_1"]["skip_connect"]
    0.5
    """

    counted: Tensor  # bool (choices, options): all but "none"

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        zero_one: float = 10.0,
        threshold: float = 0.85,
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(lr=None, betas=(0.9, 0.999)),
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer)
        at_least("strategy.zero_one", zero_one, 0, use=10.0)
        in_range("strategy.threshold", threshold, "[0, 1]", use=0.85)
        self.zero_one, self.threshold = zero_one, threshold
        counted = torch.ones_like(self.allowed)
        for row, choice in enumerate(space.choices):
            if NONE in choice.options:
                counted[row, choice.options.index(NONE)] = False
        self.register_buffer("counted", counted, persistent=False)
        if not can_leave_edges_out(space):
            log.warning(
                "search space '%s' cannot leave edges out: strategy.threshold does nothing (cells "
                "of DARTS need search_space.min_edges=0, NAS-Bench-201's the operation none)",
                space.name,
            )

    def reset(self) -> None:
        """Sets alphas to 0, their first values in the official code."""
        with torch.no_grad():
            self.alpha.zero_()

    def scores(self) -> Mixture:
        """Returns the sigmoid of alpha of the allowed options."""
        return Mixture(self.alpha.sigmoid() * self.allowed, self.support())

    def alpha_loss(self, batch: Batch, mixture: Mixture, context: SearchContext) -> Tensor:
        """Returns the loss of a mixture plus the weighted zero-one loss."""
        loss = super().alpha_loss(batch, mixture, context)
        counted = self.allowed & self.counted
        return loss + self.zero_one * zero_one_loss(self.alpha.sigmoid(), counted)

    def derive(self, context: SearchContext | None = None, val: Iterable[Batch] = ()) -> Genotype:
        """Returns the genotype of the options above the threshold; warns where it cuts all paths.

        A child of such a genotype is built and trained as any other: its head sees zeros.
        """
        scores = self.scores()
        genotype = threshold_genotype(self.space, scores, self.threshold)
        if can_leave_edges_out(self.space) and cuts_every_path(self.space, genotype):
            best = scores.weights.detach()[self.counted].max().item()
            log.warning(
                "%s; lower strategy.threshold (%s; the highest score is %.4f) or search for more "
                "strategy.epochs",
                CUT,
                self.threshold,
                best,
            )
        return genotype


def zero_one_loss(sigmoids: Tensor, counted: Tensor) -> Tensor:
    """Returns minus the mean squared distance of the counted sigmoids from 0.5.

    >>> zero_one_loss(torch.tensor([[0.0, 0.5, 1.0]]), torch.tensor([[True, True, False]]))
    tensor(-0.1250)
    """
    distances = (sigmoids - 0.5) ** 2 * counted
    return -distances.sum() / counted.sum().clamp(min=1)
