"""Keeps the time and the state of a module's cost meter."""

import time
from typing import Any

import lightning as L

from nas_lightning.training.cost_meter import CostMeter

__all__ = ["CostTimer"]


class CostTimer(L.Callback):
    """Adds seconds and epochs to a module's meter, and keeps the meter in checkpoints."""

    def __init__(self, meter: CostMeter) -> None:
        self.meter = meter

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts the clock."""
        self._since = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Adds the epoch."""
        seconds = time.perf_counter() - self._since
        self.meter.add(CostMeter(seconds, seconds * trainer.world_size, epochs_trained=1))

    def state_dict(self) -> dict[str, Any]:
        """Returns the meter's figures."""
        return self.meter.as_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the meter's figures."""
        vars(self.meter).update(state_dict)
