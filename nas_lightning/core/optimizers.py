"""The optimisers of a search as plain settings that a strategy carries."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import cos, inf, pi

import torch
from torch import Tensor

__all__ = ["TRAVEL", "Adam", "Sgd"]

TRAVEL = 12.0  # twice the paper's 3e-4 times its 19,500 steps on CIFAR-10


@dataclass(frozen=True)
class Sgd:
    """Stochastic gradient descent with momentum; a cosine from `lr` to `lr_min` by epoch.

    A parameter without a gradient in a step stands still: neither decay nor momentum move it.

    Attributes:
        lr: learning rate of the first epoch, above 0.
        lr_min: learning rate that the cosine ends at, at least 0.
        momentum: share of the last update that is kept, in [0, 1).
        weight_decay: added to the gradient, times the parameter.
        clip: largest norm of all gradients together, above 0.
        nesterov: whether momentum looks ahead (Sutskever et al., 2013); needs momentum.

    Raises:
        ValueError: a value is out of its range.
    """

    lr: float = 0.025
    lr_min: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip: float = 5.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.lr_min <= self.lr or not 0 < self.lr < inf:
            raise ValueError(
                f"params_optimizer.lr ({self.lr}) must be > 0 and lr_min "
                f"({self.lr_min}) between 0 and it; use e.g. 0.025 and 0.001"
            )
        if not (0 <= self.momentum < 1 and 0 <= self.weight_decay < inf and self.clip > 0):
            raise ValueError(
                f"params_optimizer: momentum ({self.momentum}) must be in [0, 1), "
                f"weight_decay ({self.weight_decay}) >= 0, clip ({self.clip}) > 0"
            )
        if self.nesterov and not self.momentum:
            raise ValueError(
                f"params_optimizer.nesterov needs a momentum above 0, got {self.momentum}; "
                "use e.g. 0.9"
            )

    def build(self, params: Iterable[Tensor]) -> torch.optim.SGD:
        """Builds the optimiser at the first epoch's learning rate."""
        return torch.optim.SGD(
            params,
            self.lr,
            self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
            foreach=True,
        )

    @torch.no_grad()
    def ahead(
        self, w: Tensor, grad: Tensor | None, state: Mapping[str, Tensor | None], lr: float
    ) -> Tensor:
        """Returns what a parameter will be after its next step, without clipping or Nesterov.

        Source: the official code of DARTS (2019, arXiv:1806.09055); a missing buffer is zero.

        Args:
            w: the parameter.
            grad: its gradient, of its shape; None where it has none.
            state: the optimiser's state of it.
            lr: learning rate of the step.
        """
        if grad is None:
            return w.detach().clone()
        step = grad + self.weight_decay * w
        buffer = state.get("momentum_buffer")
        return w - lr * (step if buffer is None else step + self.momentum * buffer)

    def lr_at(self, epoch: int, epochs: int) -> float:
        """Returns the learning rate of an epoch (0-based) of `epochs`."""
        return self.lr_min + (self.lr - self.lr_min) * (1 + cos(pi * epoch / epochs)) / 2


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba, 2015, arXiv:1412.6980) with L2 decay, as DARTS moves its alphas.

    Attributes:
        lr: learning rate, above 0; None takes `TRAVEL` / (number of steps of the search), so that
            alphas can move as far in a short search on few images as in a long one on many.
        betas: decay of the two moments, each in [0, 1).
        weight_decay: added to the gradient, times the parameter.
        eps: added to the root of the second moment, above 0.

    Raises:
        ValueError: a value is out of its range.
    """

    lr: float | None = 3e-4
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 1e-3
    eps: float = 1e-8

    def __post_init__(self) -> None:
        if not (self.lr is None or 0 < self.lr < inf) or not 0 <= self.weight_decay < inf:
            raise ValueError(
                f"alpha_optimizer.lr ({self.lr}) must be > 0 and weight_decay "
                f"({self.weight_decay}) >= 0; use e.g. 3e-4 and 1e-3"
            )
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"alpha_optimizer.betas ({self.betas}) must be two numbers in [0, 1)")
        if not self.eps > 0:
            raise ValueError(f"alpha_optimizer.eps ({self.eps}) must be > 0; use e.g. 1e-8")

    def build(self, params: Iterable[Tensor], steps: Callable[[], int | float]) -> torch.optim.Adam:
        """Builds the optimiser.

        Args:
            params: what it moves.
            steps: returns the number of steps of the whole search; asked only without `lr`.
        """
        lr = TRAVEL / steps() if self.lr is None else self.lr
        return torch.optim.Adam(params, lr, self.betas, self.eps, self.weight_decay)
