"""Saves the state of training after every epoch, for an exact resume."""

import logging
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint

__all__ = ["RunCheckpoint"]

log = logging.getLogger(__name__)


class RunCheckpoint(Checkpoint):
    """Saves last.ckpt after every epoch and, given a metric, best.ckpt after the best one.

    Lightning runs checkpoints after all other callbacks, so that their state is in it.

    Args:
        folder: where the files go.
        monitor: a metric; None saves no best.ckpt.
        higher_is_better: whether higher values of that metric are better.
    """

    def __init__(
        self, folder: Path, monitor: str | None = None, higher_is_better: bool = True
    ) -> None:
        super().__init__()
        self.folder, self.monitor = folder, monitor
        self.higher_is_better = higher_is_better
        self.best = float("-inf" if higher_is_better else "inf")

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Saves the files."""
        if self.monitor is not None:
            value = float(trainer.callback_metrics[self.monitor])
            if value > self.best if self.higher_is_better else value < self.best:
                self.best = value
                trainer.save_checkpoint(self.folder / "best.ckpt")
        trainer.save_checkpoint(self.folder / "last.ckpt")

    def state_dict(self) -> dict[str, Any]:
        """Returns the best value so far, and the number of threads, on which bits depend."""
        return {"best": self.best, "threads": torch.get_num_threads()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the best value so far; warns where bits cannot be the same."""
        self.best = state_dict["best"]
        before, now = state_dict["threads"], torch.get_num_threads()
        if before != now:
            log.warning(
                "resumed on %d CPU threads instead of %d: the last bits of the result will differ",
                now,
                before,
            )
