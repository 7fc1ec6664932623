"""beta-DARTS: alphas are held together by a regulariser that grows over the search.

Source: Ye et al., beta-DARTS, 2022 (arXiv:2203.01665), the beta-decay regularisation: the mean of
log sum exp(alpha); its schedule is that of the official code, by epoch. Deliberate differences: the
mean is over the choices of all kinds of cells together; the search is of first order (the official
code regularises no other); alphas learn at DARTS's rate of this package, set by the length of the
search (experiment=beta_darts_cifar has the paper's 3e-4).
"""

from torch import Tensor

from nas_lightning.core.checks import at_least
from nas_lightning.core.choices import Mixture
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.strategies.alphas import AlphaStrategy

__all__ = ["BetaDarts", "beta_decay"]


UNUSED = (
    "strategy beta_darts applied no regulariser, whose weight is 0 in the first epoch: the search "
    "was that of strategy=darts; use more epochs, or let it process more samples"
)


class BetaDarts(AlphaStrategy):
    """Differentiable architecture search with the beta-decay regulariser.

    Args:
        epochs: length of the search; the paper has 50 on DARTS's space, 100 on NAS-Bench-201.
        weight: of the regulariser, lambda, at least 0: it grows linearly from 0 in the first epoch
            and would reach this value one epoch after the last; the paper has 50.

    Raises: ValueError: a value is out of range.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> beta_darts = BetaDarts(NasBench201Space(), seed=0, epochs=5)
    >>> beta_darts.start_epoch(4)
    >>> beta_darts.weight_now
    40.0
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        weight: float = 50.0,
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(lr=None),
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer)
        at_least("strategy.weight", weight, 0, use=50.0)
        self.weight, self.weight_now = weight, 0.0

    def start_epoch(self, epoch: int) -> None:
        """Raises the weight of the regulariser."""
        super().start_epoch(epoch)
        self.weight_now = self.weight * epoch / self.epochs

    def notes(self) -> list[str]:
        """Returns that the regulariser was not applied, where that is so."""
        return [UNUSED] if self.weight and not self.weight_now else []

    def alpha_loss(self, batch: Batch, mixture: Mixture, context: SearchContext) -> Tensor:
        """Returns the loss of a mixture plus the weighted regulariser."""
        loss = super().alpha_loss(batch, mixture, context)
        if not self.weight_now:
            return loss
        return loss + self.weight_now * beta_decay(self.alpha, self.allowed)


def beta_decay(alpha: Tensor, allowed: Tensor) -> Tensor:
    """Returns the mean over choices of log sum exp(alpha) over their allowed options.

    Its gradient is the softmax of alpha divided by the number of choices.

    >>> import torch
    >>> beta_decay(torch.zeros(3, 2), torch.ones(3, 2, dtype=torch.bool)).exp()
    tensor(2.)
    """
    return alpha.masked_fill(~allowed, float("-inf")).logsumexp(dim=-1).mean()
