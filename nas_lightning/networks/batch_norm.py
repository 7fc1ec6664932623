"""BatchNorm whose running statistics move only when a forward pass is told to move them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas_lightning.core.scale import Scale
from nas_lightning.networks.synchronised_norm import synchronised_norm

__all__ = [
    "SETTLED",
    "BatchNorm",
    "Norm",
    "batch_norms",
    "is_synchronised",
    "kept_state",
    "normalised_once",
    "normalised_together",
    "recalibrated",
    "set_mode",
    "settle",
    "still_statistics",
    "synchronise",
]

MOMENTUM = 0.1
STATISTICS, PARAMS = ("running_mean", "running_var"), ("weight", "bias")
SETTLED = 10  # steps after which the momentum stays


class BatchNorm(nn.BatchNorm2d):
    """BatchNorm (Ioffe & Szegedy, 2015, arXiv:1502.03167) with eps 1e-5 and momentum 0.1.

    It differs from torch's: `fixed` always normalises by the running statistics, images with fewer
    channels are normalised by the leading ones, and while `synchronised` is true the statistics
    come from the batches of all processes. Batches are not counted.
    """

    def __init__(self, channels: int, affine: bool = True, fixed: bool = False) -> None:
        super().__init__(channels, affine=affine)
        self.fixed = fixed
        self.synchronised = False

    def forward(self, x: Tensor) -> Tensor:
        """Returns x (N, channels, H, W) normalised per channel."""
        if x.is_meta:  # costs are traced there, and torch's kernel only takes time
            return x
        from_batch = self.training and not self.fixed
        keep = not from_batch or self.track_running_stats
        mean, var = (self.running_mean, self.running_var) if keep else (None, None)
        present: tuple[Tensor | None, ...] = (mean, var, self.weight, self.bias)
        mean, var, weight, bias = (_leading(tensor, x.shape[1]) for tensor in present)
        if from_batch and self.synchronised:
            return synchronised_norm(x, mean, var, weight, bias, self.momentum or 0.0, self.eps)
        return F.batch_norm(x, mean, var, weight, bias, from_batch, self.momentum or 0.0, self.eps)

    @property
    def is_shared(self) -> bool:
        """Whether another of the same channels gives the same output, now."""
        return self.training and not self.fixed and not self.affine


def normalised_together(
    norms: Sequence[nn.Module], x: Tensor, scale: Tensor | None = None
) -> Tensor:
    """Returns x (N, E * C, H, W) of which each of E BatchNorms of one kind normalises C channels.

    `scale` (E * C,) multiplies the outputs. They all are in one mode, and of one momentum.
    """
    members = [norm for norm in norms if isinstance(norm, BatchNorm)]
    first, num = members[0], len(members)
    if num == 1 and scale is None:
        out: Tensor = first(x)
        return out
    weight, bias = (None if scale is None else scale.to(first.running_var)), None
    if first.affine:
        weight, bias = (torch.cat([getattr(n, name) for n in members]) for name in PARAMS)
        weight, bias = (weight, bias) if scale is None else (weight * scale, bias * scale)
    if first.training and not first.fixed:
        return _by_batch(members, x, weight, bias)
    mean, var = (torch.cat([getattr(n, name) for n in members]) for name in STATISTICS)
    return F.batch_norm(x, mean, var, weight, bias, False, 0.0, first.eps)


def normalised_once(norms: Sequence[BatchNorm], x: Tensor) -> Tensor:
    """Returns what each of several BatchNorms that are shared makes of x (N, C, H, W)."""
    return _by_batch(norms, x, None, None)


def _by_batch(
    norms: Sequence[BatchNorm], x: Tensor, weight: Tensor | None, bias: Tensor | None
) -> Tensor:
    """Normalises by the batch and moves the statistics of norms: of a part of the channels each.

    Where all have as many channels as x, each has them all.
    """
    first, mean, var = norms[0], None, None
    if first.track_running_stats:  # of this batch alone, with momentum 1
        like: Tensor = getattr(first, STATISTICS[0])
        mean, var = like.new_zeros(2, x.shape[1]).unbind()
    if first.synchronised:
        out = synchronised_norm(x, mean, var, weight, bias, 1.0, first.eps)
    else:
        out = F.batch_norm(x, mean, var, weight, bias, True, 1.0, first.eps)
    if mean is not None and var is not None:
        statistics = [getattr(n, name) for name in STATISTICS for n in norms]
        parts = [part for values in (mean, var) for part in torch.split(values, first.num_features)]
        times = len(statistics) // len(parts)
        moved = [part for part in parts for _ in range(times)]
        torch._foreach_lerp_(statistics, moved, first.momentum or 0.0)
    return out


def _leading(tensor: Tensor | None, channels: int) -> Tensor | None:
    return tensor if tensor is None or len(tensor) == channels else tensor[:channels]


@dataclass(frozen=True)
class Norm:
    """Which BatchNorm a network is built with, and whether its maps have 2 axes or 1."""

    affine: bool  # inside cells
    after_pools: bool
    fixed: bool  # statistics never come from the batch
    axes: int = 2  # that kernels reach along: 1 on signals, whose maps have height 1

    @classmethod
    def of(cls, scale: Scale) -> "Norm":
        """Returns the BatchNorm of a scale."""
        is_search = scale.flavour == "search"
        return cls(not is_search, is_search, scale.batch_norm == "fixed", scale.axes)

    def __call__(self, channels: int) -> BatchNorm:
        """Returns a BatchNorm for inside a cell."""
        return BatchNorm(channels, self.affine, self.fixed)

    def always_affine(self, channels: int) -> BatchNorm:
        """Returns a BatchNorm for outside cells, affine in both flavours."""
        return BatchNorm(channels, True, self.fixed)


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """Returns the BatchNorms of a network that have running statistics, torch's own too."""
    norms = (module for module in network.modules() if isinstance(module, _BatchNorm))
    return [norm for norm in norms if norm.track_running_stats]


def settle(norms: Iterable[_BatchNorm], step: int) -> None:
    """Sets the momentum of running statistics for a training step (0-based).

    Over the first steps they are the mean of all batches so far, then the usual moving average, so
    that their initial values never count. torch's own BatchNorms keep their momentum.
    """
    for norm in norms:
        if isinstance(norm, BatchNorm):
            norm.momentum = max(MOMENTUM, 1.0 / (step + 1))


def set_mode(network: nn.Module, training: bool) -> None:
    """Sets a network's mode if it is in the other one: setting it anew takes time."""
    if network.training != training:
        network.train(training)


def recalibrated(
    network: nn.Module, batches: Iterable[Tensor], forward: Callable[[Tensor], Tensor]
) -> None:
    """Sets a network's running statistics to their means over batches of images (N, C, H, W).

    `forward` runs the network, which is left in training mode.
    """
    network.train()
    norms = batch_norms(network)
    for number, x in enumerate(batches):
        for norm in norms:
            norm.momentum = 1.0 / (number + 1)
        forward(x)


def synchronise(norms: Iterable[_BatchNorm], synchronised: bool) -> None:
    """Sets whether BatchNorms take their statistics from the batches of all processes.

    Raises: ValueError: they are to be synchronised, and one is torch's own, in a user's module.
    """
    for norm in norms:
        if isinstance(norm, BatchNorm):
            norm.synchronised = synchronised
        elif synchronised:
            raise ValueError(
                f"hardware.sync_batchnorm=true cannot synchronise torch's {type(norm).__name__}; "
                "use nas_lightning.networks.batch_norm.BatchNorm in your module, or leave it out"
            )


def is_synchronised(norms: Iterable[_BatchNorm]) -> bool:
    """Returns whether BatchNorms take their statistics from the batches of all processes."""
    return any(isinstance(norm, BatchNorm) and norm.synchronised for norm in norms)


@contextmanager
def still_statistics(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Keeps training forwards inside the block from moving running statistics."""
    for norm in norms:  # past nn.Module.__setattr__, which takes ten times as long
        vars(norm)["track_running_stats"] = False
    try:
        yield
    finally:
        for norm in norms:
            vars(norm)["track_running_stats"] = True


@contextmanager
def kept_state(network: nn.Module, still: Sequence[_BatchNorm] = ()) -> Iterator[None]:
    """Restores a network's buffers, mode and BatchNorm momenta after the block.

    Training forwards inside the block do not move the `still` BatchNorms, which is faster than to
    restore them, where nothing else moves them.
    """
    still_ones = set(still)
    modules = [module for module in network.modules() if module not in still_ones]
    buffers = [(b, b.clone()) for module in modules for b in module.buffers(recurse=False)]
    momenta = [(module, module.momentum) for module in modules if isinstance(module, _BatchNorm)]
    was_training = network.training
    try:
        with still_statistics(still):
            yield
    finally:
        set_mode(network, was_training)
        for norm, momentum in momenta:
            norm.momentum = momentum
        with torch.no_grad():
            for buffer, old in buffers:
                buffer.copy_(old)
