"""The optimisers of a search as plain settings that a strategy carries."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import cos, pi

import torch
from torch import Tensor

from nas_lightning.core.checks import in_range, positive

__all__ = ["TRAVEL", "Adam", "Sgd", "known_steps"]

TRAVEL = 12.0  # twice the paper's 3e-4 times its 19,500 steps on CIFAR-10


@dataclass(frozen=True)
class Sgd:
    """Stochastic gradient descent with momentum, and a cosine from `lr` to `lr_min` over epochs.

    A parameter without a gradient stands still: neither decay nor momentum moves it.

    Attributes:
        lr: learning rate of the first epoch, above 0.
        lr_min: learning rate at the end of the cosine, in [0, lr].
        momentum: share of the last update that is kept, in [0, 1).
        weight_decay: factor of the parameter that is added to its gradient, at least 0.
        clip: largest norm of all gradients together, above 0.
        nesterov: whether momentum looks ahead (Sutskever et al., 2013); needs momentum.

    Raises: ValueError: a value is out of its range.
    """

    lr: float = 0.025
    lr_min: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip: float = 5.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        in_range("strategy.params_optimizer.lr", self.lr, "(0, inf)", use=0.025)
        in_range(
            "strategy.params_optimizer.lr_min", self.lr_min, f"[0, {self.lr}]", use=self.lr / 25
        )
        in_range("strategy.params_optimizer.momentum", self.momentum, "[0, 1)", use=0.9)
        in_range("strategy.params_optimizer.weight_decay", self.weight_decay, "[0, inf)", use=3e-4)
        positive("strategy.params_optimizer.clip", self.clip, use=5.0)
        if self.nesterov:
            in_range(
                "strategy.params_optimizer.momentum with nesterov", self.momentum, "(0, 1)", use=0.9
            )

    def build(self, params: Iterable[Tensor]) -> torch.optim.SGD:
        """Builds the optimiser at the first epoch's learning rate."""
        return torch.optim.SGD(
            params, self.lr, self.momentum, 0.0, self.weight_decay, self.nesterov, foreach=True
        )

    @torch.no_grad()
    def ahead(
        self, w: Tensor, grad: Tensor | None, state: Mapping[str, Tensor | None], lr: float
    ) -> Tensor:
        """Returns a parameter after its next step, without clipping or Nesterov.

        Source: the official code of DARTS (2019, arXiv:1806.09055); a missing buffer is zero.
        `state` is the parameter's entry in the optimiser's state.
        """
        if grad is None:
            return w.detach().clone()
        step = grad + self.weight_decay * w
        buffer = state.get("momentum_buffer")
        return w - lr * (step if buffer is None else step + self.momentum * buffer)

    def lr_at(self, epoch: float, epochs: int) -> float:
        """Returns the learning rate of an epoch (0-based), or between two, of `epochs`."""
        return self.lr_min + (self.lr - self.lr_min) * (1 + cos(pi * epoch / epochs)) / 2


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba, 2015, arXiv:1412.6980) with L2 decay, as DARTS updates its alphas.

    Attributes:
        lr: learning rate, above 0; None is `TRAVEL` / (steps of the search), so that alphas can
            move as far in a short search on few images as in a long one on many.
        betas: decay of the two moments, each in [0, 1).
        weight_decay: factor of the parameter that is added to its gradient, at least 0.
        eps: added to the root of the second moment, above 0.

    Raises: ValueError: a value is out of its range.
    """

    lr: float | None = 3e-4
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 1e-3
    eps: float = 1e-8

    def __post_init__(self) -> None:
        in_range("strategy.alpha_optimizer.lr", self.lr, "(0, inf)", use=3e-4)
        in_range("strategy.alpha_optimizer.weight_decay", self.weight_decay, "[0, inf)", use=1e-3)
        if len(self.betas) != 2:
            raise ValueError(
                f"strategy.alpha_optimizer.betas ({self.betas}) must be two numbers; "
                "use e.g. [0.5,0.999]"
            )
        in_range("strategy.alpha_optimizer.betas", self.betas, "[0, 1)", use="[0.5,0.999]")
        positive("strategy.alpha_optimizer.eps", self.eps, use=1e-8)

    def build(self, params: Iterable[Tensor], steps: Callable[[], int | float]) -> torch.optim.Adam:
        """Builds the optimiser; `steps` of the whole search are asked for only without `lr`."""
        lr = self.lr_of(steps)
        return torch.optim.Adam(params, lr, self.betas, self.eps, self.weight_decay)

    def lr_of(self, steps: Callable[[], int | float]) -> float:
        """Returns the learning rate; `steps` of the whole search are asked for only without it."""
        return TRAVEL / steps() if self.lr is None else self.lr


def known_steps(steps: int | None) -> int:
    """Returns the steps of the whole search, by which an `Adam` sets a learning rate of None.

    Raises: ValueError: they are not known.
    """
    if steps is None:
        raise ValueError(
            "steps (None) must be those of the whole search, by which a strategy sets an "
            "alpha_optimizer.lr of None; give SearchUpdates steps=epochs * batches, or the "
            "strategy e.g. alpha_optimizer=Adam(lr=3e-4)"
        )
    return steps
