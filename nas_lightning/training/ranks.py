"""Several processes of one training: how Lightning runs them, and how they are kept equal."""

import inspect
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.plugins import LayerSync
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from nas_lightning.core.strategy import OneShotStrategy
from nas_lightning.networks.batch_norm import batch_norms, synchronise

__all__ = [
    "Mean",
    "OwnSignals",
    "average_statistics",
    "check_agreement",
    "mean_of",
    "means",
    "plugins_of",
    "strategy_of",
]

TIMEOUT = timedelta(minutes=30)  # that a process waits for the others
Mean = Callable[[Tensor], Tensor]  # returns a tensor's mean over processes


class _Unwrapped(DDPStrategy):
    """Several processes without a wrapper around the module, which averages gradients itself."""

    def configure_ddp(self) -> None:
        pass  # all processes build the module alike from one seed


class _SyncNorms(LayerSync):
    """Has BatchNorm take its statistics from the whole batch, not a process's part of it."""

    def apply(self, model: nn.Module) -> nn.Module:
        synchronise(batch_norms(model), True)
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        synchronise(batch_norms(model), False)
        return model


class OwnSignals(L.Callback):
    """Keeps the process's own handler of SIGTERM, which Lightning replaces.

    Lightning's tells the other processes by a collective operation, in the middle of whichever
    one the training is in.
    """

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Notes the handler."""
        self._handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restores the handler."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._handler)


def strategy_of(wraps: bool) -> DDPStrategy:
    """Returns how Lightning runs several processes, with a wrapper that averages gradients or not.

    Its graph is static: all steps of a child use the same params, though not always all of them.
    """
    if not wraps:
        return _Unwrapped(timeout=TIMEOUT)
    # torch 2.13 has a new name for what keeps buffers apart until they are averaged
    names = inspect.signature(DistributedDataParallel.__init__).parameters
    apart = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"
    options: dict[str, Any] = {apart: False, "static_graph": True, "gradient_as_bucket_view": True}
    return DDPStrategy(timeout=TIMEOUT, **options)


def plugins_of(sync_batchnorm: bool) -> list[Any]:
    """Returns the plugins of a Trainer; several processes are started by the command, not by it."""
    return [LightningEnvironment(), *([_SyncNorms()] if sync_batchnorm else [])]


def mean_of(trainer: L.Trainer) -> Mean | None:
    """Returns the mean over a Trainer's processes; None where there is one process."""
    if trainer.world_size == 1:
        return None

    def mean(tensor: Tensor) -> Tensor:
        reduced: Tensor = trainer.strategy.reduce(tensor, reduce_op="mean")
        return reduced

    return mean


def means(tensors: Sequence[Tensor], mean: Mean) -> list[Tensor]:
    """Returns the means of tensors over processes, by one flat reduction."""
    flat = mean(torch.cat([tensor.reshape(-1) for tensor in tensors]))
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]


@torch.no_grad()
def average_statistics(network: nn.Module, mean: Mean | None) -> None:
    """Sets a network's buffers, BatchNorm's running statistics, to their means over processes."""
    buffers = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
    if mean is not None and buffers:
        for buffer, average in zip(buffers, means(buffers, mean), strict=True):
            buffer.copy_(average)


@torch.no_grad()
def check_agreement(strategy: OneShotStrategy, params: Iterable[Tensor], epoch: int) -> None:
    """Raises ArithmeticError where processes differ in alphas, genotype or the sum of params."""
    identity = int(strategy.space.discretize(strategy.scores()).id, 16)  # 48 bits: exact
    total = torch.stack([param.double().sum() for param in params]).sum()
    head = [torch.tensor(float(identity), dtype=torch.float64, device=total.device), total]
    alphas = [alpha.double().reshape(-1) for alpha in strategy.parameters()]
    mine = torch.cat([torch.stack(head), *alphas])
    rows = [torch.empty_like(mine) for _ in range(distributed.get_world_size())]
    distributed.all_gather(rows, mine)
    for rank, row in enumerate(rows):
        if not torch.equal(row, rows[0]):
            raise ArithmeticError(_difference(rank, row, rows[0], epoch))


def _difference(rank: int, row: Tensor, first: Tensor, epoch: int) -> str:
    mine, theirs = (f"{int(each[0]):012x}" for each in (row, first))
    genotype = f"its genotype is {mine}, not {theirs}" if mine != theirs else "the genotype agrees"
    return (
        f"rank {rank} does not agree with rank 0 after epoch {epoch}: its alphas differ by "
        f"{float((row[2:] - first[2:]).abs().sum()):.3g} in all, {genotype}, and its params' sum "
        f"by {float((row[1] - first[1]).abs()):.3g}; all processes must take the same steps: look "
        "for draws that are not the strategy's own, or for a faulty device"
    )
