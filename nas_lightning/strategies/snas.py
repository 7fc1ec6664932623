"""SNAS: all operations run, weighted by a draw from a concrete distribution.

Source: Xie et al., SNAS, 2019 (arXiv:1812.09926), equations 4 to 10. Deliberate differences: the
cost that is charged is the exact expected cost of the space, as a share of a uniform mixture's;
the temperature falls on an exponential curve between two given values.
"""

from torch import Tensor

from nas_lightning.core.checks import at_least, one_of, positive
from nas_lightning.core.choices import Mixture
from nas_lightning.core.cost import QUANTITIES
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext
from nas_lightning.core.search_space import SearchSpace, uniform_mixture
from nas_lightning.strategies.alphas import AlphaStrategy

__all__ = ["Snas"]


class Snas(AlphaStrategy):
    """Stochastic neural architecture search.

    Args:
        epochs: length of the search; the paper has 150.
        bilevel: whether alphas descend on the validation batch, in steps of their own; else
            params and alphas descend together on the training batch, as in the paper.
        tau_start: temperature of the first epoch, above 0.
        tau_end: temperature of the last epoch, above 0.
        cost_weight: weight of the expected cost in the loss of alphas, at least 0.
        cost: what is charged: "parameters" or "multiply_adds".

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> snas = Snas(NasBench201Space(), seed=0)
    >>> round(snas.mixture("alpha").weights.sum().item(), 3)  # 1 per edge
    6.0
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        bilevel: bool = False,
        tau_start: float = 1.0,
        tau_end: float = 0.1,
        cost_weight: float = 0.0,
        cost: str = "parameters",
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(lr=None),
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer)
        positive("strategy.tau_start", tau_start, use=1.0)
        positive("strategy.tau_end", tau_end, use=0.1)
        at_least("strategy.cost_weight", cost_weight, 0)
        one_of("strategy.cost", cost, QUANTITIES)
        self.bilevel, self.cost_weight, self.cost = bilevel, cost_weight, cost
        self.tau_start, self.tau_end, self.tau = tau_start, tau_end, tau_start
        self._uniform_cost: float | None = None

    def start_epoch(self, epoch: int) -> None:
        """Lowers the temperature."""
        share = epoch / max(1, self.epochs - 1)
        self.tau = self.tau_start * (self.tau_end / self.tau_start) ** share

    def mixture(self, phase: str, noise: Tensor | None = None) -> Mixture:
        """Returns drawn weights (equation 5); None draws the Gumbel noise (choices, options)."""
        soft = self.draw_concrete(phase, self.tau, noise)
        return Mixture(soft.to(self.alpha.device), self.support())

    def search_step(self, train: Batch, val: Batch, context: SearchContext) -> Tensor:
        """Moves params and alphas together (equation 10), or one after the other."""
        if self.bilevel:
            return super().search_step(train, val, context)
        mixture = self.mixture("alpha")
        return context.minimise(
            "both", lambda: self._charged(context.loss(train, mixture, statistics=True), context)
        )

    def alpha_loss(self, batch: Batch, mixture: Mixture, context: SearchContext) -> Tensor:
        """Returns the loss of a mixture plus the weighted expected cost."""
        return self._charged(super().alpha_loss(batch, mixture, context), context)

    def _charged(self, loss: Tensor, context: SearchContext) -> Tensor:
        """Returns a loss plus the weighted expected cost, as a share of a uniform mixture's."""
        if not self.cost_weight:
            return loss
        if self._uniform_cost is None:  # constant, as the supernet has one scale
            costs = context.cost(uniform_mixture(self.space.choices))
            self._uniform_cost = float(costs[self.cost])
        share = context.cost(self.scores())[self.cost] / self._uniform_cost
        return loss + self.cost_weight * share.to(loss)
