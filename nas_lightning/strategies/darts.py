"""DARTS: each choice is relaxed to a softmax mixture that gradient descent moves, bilevel.

Source: Liu, Simonyan & Yang, DARTS, 2019 (arXiv:1806.09055), equations 2 (the mixture, see
`AlphaStrategy`) to 8, and the official code for the optimisers and the look-ahead's momentum.
Deliberate differences: only the weight step moves BatchNorm's running statistics (train-mode
results are the same), and by default the learning rate of alpha is set by the length of the search
instead of the paper's 3e-4, which could not move alphas in the few steps of a small data set
(experiment=darts_cifar has it).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nas_lightning.core.checks import one_of, positive
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.surrogate import surrogate
from nas_lightning.strategies.alphas import AlphaStrategy

__all__ = ["Darts"]

Params = Mapping[str, Tensor]


class Darts(AlphaStrategy):
    """Differentiable architecture search of first or second order.

    Args:
        epochs: length of the search; the paper has 50.
        order: "first" (alphas descend on the validation loss at the current params) or
            "second" (at the params after the next weight step, by finite differences).
        radius: radius of the finite differences, divided by the gradient's norm (equation 8).

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> darts = Darts(NasBench201Space(), seed=0)
    >>> round(darts.preferences()["edge_0_1"]["skip_connect"], 2)
    0.2
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        order: str = "first",
        radius: float = 0.01,
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(lr=None),
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer)
        one_of("strategy.order", order, ("first", "second"))
        positive("strategy.radius", radius, use=0.01)
        self.order, self.radius = order, radius

    def alpha_step(self, train: Batch, val: Batch, context: SearchContext) -> None:
        """Moves alphas by the gradient of either order."""
        if self.order == "first":
            super().alpha_step(train, val, context)
        else:
            context.minimise("alpha", lambda: self._surrogate(train, val, context))

    def hypergradient(
        self, train: Batch, val: Batch, context: SearchContext
    ) -> tuple[Tensor, Tensor]:
        """Returns the second-order gradient of alpha (equations 7 and 8) and the loss.

        The look-ahead w' = w - lr * (momentum * buffer + gradient + decay * w) is not taken.
        """
        params, loss = context.params, context.loss(train, self.mixture("params"))
        grads = context.gradient(loss, list(params.values()))
        ahead = {n: w.requires_grad_() for n, w in context.lookahead(grads).items()}
        loss = context.loss(val, self.mixture("alpha"), ahead)
        outer, *direction = context.gradient(loss, [self.alpha, *ahead.values()])
        if outer is None:  # the validation loss may depend on alphas through the params alone
            outer = torch.zeros_like(self.alpha)
        norms = torch._foreach_norm([d for d in direction if d is not None])
        step = self.radius / torch.linalg.vector_norm(torch.stack(norms))
        with context.draws_again():  # operations' noise is no part of the difference
            plus = self._gradient_at(train, _moved(params, direction, step), context)
        minus = self._gradient_at(train, _moved(params, direction, -step), context)
        return outer - context.lr * (plus - minus) / (2 * step), loss.detach()

    def _gradient_at(self, train: Batch, params: Params, context: SearchContext) -> Tensor:
        """Returns the gradient of alpha of the training loss at some params."""
        loss = context.loss(train, self.mixture("alpha"), params)
        (gradient,) = context.gradient(loss, [self.alpha])
        assert gradient is not None
        return gradient

    def _surrogate(self, train: Batch, val: Batch, context: SearchContext) -> Tensor:
        gradient, loss = self.hypergradient(train, val, context)
        return surrogate(loss, [self.alpha], [gradient])


def _moved(params: Params, direction: Sequence[Tensor | None], step: Tensor) -> dict[str, Tensor]:
    """Returns the params moved along a direction; they carry no gradient."""
    with torch.no_grad():
        pairs = zip(params.items(), direction, strict=True)
        return {n: p.detach() if d is None else p + step * d for (n, p), d in pairs}
