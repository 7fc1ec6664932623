"""SDARTS: params are trained under perturbed mixing weights, so that alphas seek flat minima.

Source: Chen & Hsieh, Stabilizing Differentiable Architecture Search via Perturbation-based
Regularization, 2020 (arXiv:2002.05283), equations 4 and 5, algorithm 1, and the authors' code: the
perturbation is of the softmaxed weights, in the maximum norm, and what leaves the simplex is
clipped to [0, 1] and divided by its sum, which may carry it beyond the radius again.
Deliberate differences: each batch is normalised by its own statistics in the ascent, as in the
weight step it prepares (the code's ascent runs in evaluation mode); of several processes all ascend
on the mean of their losses.
"""

import torch
from torch import Tensor

from nas_lightning.core.checks import at_least, in_range, one_of
from nas_lightning.core.choices import Mixture
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext, averaged
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.strategies.alphas import AlphaStrategy

__all__ = ["SDarts", "onto_simplex"]


class SDarts(AlphaStrategy):
    """Smooth DARTS: first-order DARTS whose weight step sees a perturbed mixture.

    Args:
        epochs: length of the search; the paper has 50.
        perturbation: "random" (SDARTS-RS: uniform noise, drawn per step) or "adversarial"
            (SDARTS-ADV: what raises the training loss most, by projected gradient ascent; a step
            then runs `steps` + 2 more forwards, which count as training samples).
        epsilon_start: radius of the perturbation in the first epoch, in [0, 1].
        epsilon_end: radius that it grows to, linearly in epochs, in [0, 1].
        steps: steps of the ascent, each of 2 / `steps` of the radius.

    Raises: ValueError: a value is out of range.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> sdarts = SDarts(NasBench201Space(), seed=0, epochs=50)
    >>> sdarts.start_epoch(25)
    >>> round(sdarts.epsilon, 3)
    0.165
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        perturbation: str = "random",
        epsilon_start: float = 0.03,
        epsilon_end: float = 0.3,
        steps: int = 7,
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(lr=None),
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer)
        one_of("strategy.perturbation", perturbation, ("random", "adversarial"))
        in_range("strategy.epsilon_start", epsilon_start, "[0, 1]", use=0.03)
        in_range("strategy.epsilon_end", epsilon_end, "[0, 1]", use=0.3)
        at_least("strategy.steps", steps, 1, use=7)
        self.perturbation, self.steps = perturbation, steps
        self.epsilon_start, self.epsilon_end = epsilon_start, epsilon_end
        self.epsilon = epsilon_start

    def start_epoch(self, epoch: int) -> None:
        """Sets the radius; `epsilon_end` itself would be that of the epoch after the last."""
        super().start_epoch(epoch)
        share = epoch / self.epochs
        self.epsilon = self.epsilon_start + (self.epsilon_end - self.epsilon_start) * share

    def mixture(self, phase: str) -> Mixture:
        """Returns the softmax of alpha; in phase "params" with noise, if that is drawn."""
        mixture = super().mixture(phase)
        if phase == "alpha" or self.perturbation == "adversarial":
            return mixture
        return Mixture(self._noisy(mixture.weights), mixture.support)

    def search_step(self, train: Batch, val: Batch, context: SearchContext) -> Tensor:
        """Updates alphas under the plain mixture, then params under the perturbed one."""
        self.alpha_step(train, val, context)
        mixture = self.mixture("params")
        if self.perturbation == "adversarial":
            mixture = self.attacked(mixture, train, context)
        return context.minimise("params", lambda: context.loss(train, mixture, statistics=True))

    def attacked(self, plain: Mixture, train: Batch, context: SearchContext) -> Mixture:
        """Returns the mixture near a plain one that raises the training loss (equation 5).

        It begins with noise and follows the signs of the gradient. Where the loss ends lower than
        the plain mixture's, as in the authors' code the plain one is returned.
        """
        support = plain.support
        weights = self._noisy(plain.weights)
        for _ in range(self.steps):
            free = Mixture(weights.requires_grad_(), support)
            (gradient,) = context.gradient(self.alpha_loss(train, free, context), [weights])
            if gradient is None:
                return plain
            moved = weights.detach() + 2 * self.epsilon / self.steps * gradient.sign()
            shift = (moved - plain.weights).clamp(-self.epsilon, self.epsilon)
            weights = onto_simplex(plain.weights + shift, self.allowed)
        attacked = Mixture(weights, support)
        with torch.no_grad():
            losses = [self.alpha_loss(train, each, context) for each in (plain, attacked)]
        before, after = averaged(torch.stack(losses), context)
        return Mixture(torch.where(before > after, plain.weights, weights), support)

    def _noisy(self, weights: Tensor) -> Tensor:
        """Returns weights plus uniform noise within the radius, on the simplex (equation 4)."""
        noise = 2 * torch.rand(weights.shape, generator=self.rng, dtype=weights.dtype) - 1
        return onto_simplex(weights + self.epsilon * noise.to(weights.device), self.allowed)


def onto_simplex(weights: Tensor, allowed: Tensor) -> Tensor:
    """Returns weights (choices, options) clipped to [0, 1], each row divided by its sum.

    Where nothing of a row is left, its largest weight becomes 1. Options that are not allowed
    weigh zero.
    """
    clipped = weights.clamp(0, 1) * allowed
    best = weights.masked_fill(~allowed, float("-inf")).argmax(dim=-1, keepdim=True)
    largest = torch.zeros_like(weights).scatter(-1, best, 1.0) * allowed
    filled = torch.where(clipped.sum(dim=-1, keepdim=True) > 0, clipped, largest)
    return filled / filled.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
