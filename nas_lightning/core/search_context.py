"""What a one-shot strategy may ask of the supernet that it searches and of the data."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor

from nas_lightning.core.choices import Mixture

__all__ = ["Batch", "SearchContext", "averaged", "listed"]

Batch = tuple[Tensor, Tensor]  # images (N, C, H, W) and targets (N, ...)


class SearchContext(Protocol):
    """The supernet and the data, as a one-shot strategy sees them."""

    lr: float  # learning rate of the supernet's params in this epoch

    @property
    def params(self) -> Mapping[str, Tensor]:
        """The supernet's params by name, in the order of its optimiser."""

    @property
    def op_params(self) -> Mapping[str, Sequence[str]]:
        """The names of each operation's params, by the operation's name (see `core.op_params`)."""

    def loss(
        self,
        batch: Batch,
        mixture: Mixture,
        params: Mapping[str, Tensor] | None = None,
        statistics: bool = False,
    ) -> Tensor:
        """Returns the mean loss of a batch under a mixture.

        `params` take the place of the supernet's own, and BatchNorm's running statistics move only
        with `statistics`.
        """

    def gradient(self, loss: Tensor, wrt: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
        """Returns the gradient of a loss, averaged over processes; None where there is none.

        A single path may depend on nothing in `wrt`, e.g. where zero operations cut it.
        """

    def draws_again(self) -> AbstractContextManager[None]:
        """Lets what follows the block draw the same random numbers as it: noise and dropout.

        So two losses differ by what was changed between them alone.
        """

    def lookahead(self, grads: Sequence[Tensor | None]) -> dict[str, Tensor]:
        """Returns the params after the next weight step with these gradients, not taken."""

    def minimise(self, which: str, closure: Callable[[], Tensor]) -> Tensor:
        """Takes one optimiser step and returns the closure's value, detached.

        `which` is "params" (the supernet's), "alpha" (the strategy's) or "both". The closure
        returns a loss, or a surrogate whose gradient is the wanted update.
        """

    def validate(
        self,
        mixture: Mixture,
        batches: Iterable[Batch],
        recalibrate: Iterable[Batch] | None = None,
        batch_statistics: bool = False,
    ) -> float:
        """Returns the main metric of a mixture on batches, averaged over processes; buffers stay.

        BatchNorm's statistics are first taken from the batches `recalibrate`; `batch_statistics`
        normalises each batch by its own.
        """

    def snapshot(self) -> dict[str, Any]:
        """Returns a copy, on the CPU, of all that steps move: params, alphas, optimisers' state.

        It holds tensors, numbers and texts in dicts and lists alone, as a checkpoint may.
        """

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Sets params, alphas and optimisers to what a snapshot of the same stage holds."""

    def reward(self, value: float) -> float:
        """Returns a figure of `validate` such that higher is better: an error as its negative."""

    def cost(self, mixture: Mixture) -> dict[str, Tensor]:
        """Returns the expected cost of a mixture by quantity, differentiable in its weights."""


def averaged(values: Tensor, context: SearchContext) -> Tensor:
    """Returns the mean of a tensor over processes.

    A context averages gradients, and this is one: of the inner product with another tensor.
    """
    with torch.enable_grad():
        other = torch.zeros_like(values, requires_grad=True)
        (mean,) = context.gradient((other * values.detach()).sum(), [other])
    assert mean is not None
    return mean


def listed(val: Iterable[Batch], strategy: str) -> list[Batch]:
    """Returns the validation batches by which a strategy, named in the message, ranks genotypes.

    Raises: ValueError: there are none.
    """
    batches = list(val)
    if not batches:
        raise ValueError(
            f"strategy={strategy} takes its rewards from validation batches, of which there must "
            "be at least 1, got 0; hold samples out (e.g. data.validation_share=0.2), hand their "
            "loader to a Trainer with limit_val_batches above 0 and check_val_every_n_epoch=1, and "
            "their batches to derive"
        )
    return batches
