"""How Lightning runs several processes of one training."""

import inspect
import signal
import threading
from datetime import timedelta
from typing import Any

import lightning as L
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins import LayerSync
from lightning.pytorch.strategies import DDPStrategy
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from nas_lightning.networks.batch_norm import batch_norms, synchronise

__all__ = ["OwnSignals", "plugins_of", "strategy_of"]

TIMEOUT = timedelta(minutes=30)  # that a process waits for the others


class Unwrapped(DDPStrategy):
    """Several processes without a wrapper around the module, which averages gradients itself."""

    def configure_ddp(self) -> None:
        """Leaves the module as it is: all processes build it alike from one seed."""


class SyncNorms(LayerSync):
    """Has BatchNorm take its statistics from the whole batch, not a process's part of it."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Switches it on."""
        synchronise(batch_norms(model), True)
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Switches it off."""
        synchronise(batch_norms(model), False)
        return model


class OwnSignals(Callback):
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
    """Returns how Lightning runs several processes.

    Args:
        wraps: whether a wrapper around the module averages its gradients. Every step of a child
            uses the same params, though not always all of them: its graph is static.
    """
    if not wraps:
        return Unwrapped(timeout=TIMEOUT)
    # torch 2.13 has a new name for what keeps buffers apart until they are averaged
    names = inspect.signature(DistributedDataParallel.__init__).parameters
    apart = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"
    options: dict[str, Any] = {apart: False, "static_graph": True, "gradient_as_bucket_view": True}
    return DDPStrategy(timeout=TIMEOUT, **options)


def plugins_of(sync_batchnorm: bool) -> list[Any]:
    """Returns the plugins of a Trainer; several processes are started by the command, not by it."""
    return [LightningEnvironment(), *([SyncNorms()] if sync_batchnorm else [])]
