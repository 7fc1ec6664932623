"""Saves the state of training after every epoch, for an exact resume."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins import TorchCheckpointIO

from nas_lightning.callbacks.checkpoint_file import BEFORE, BEST, LAST
from nas_lightning.core.checks import at_least
from nas_lightning.core.same_data import Identity, check_same
from nas_lightning.files import replacing
from nas_lightning.networks import native

__all__ = ["AtomicCheckpointIO", "RunCheckpoint"]

log = logging.getLogger(__name__)


class RunCheckpoint(Checkpoint):
    """Saves last.ckpt after every epoch, and those of some epochs beside it.

    Lightning runs checkpoints after all other callbacks, so that their state is in it.

    Args:
        folder: where the files go.
        monitor: a metric, of whose best epoch best.ckpt is; None saves none.
        higher_is_better: whether the best value is the largest.
        is_sound: whether the present epoch shows no sign of a collapse; before_collapse.ckpt is of
            the last such epoch, or of the first one of all. None saves none.
        every: epochs from one epoch=NNN.ckpt to the next; None saves none.

    Raises: ValueError: `every` is below 1.

    Attributes:
        epochs: by name the epoch (0-based) of each file that was saved.
    """

    def __init__(
        self,
        folder: Path,
        monitor: str | None = None,
        higher_is_better: bool = True,
        is_sound: Callable[[L.Trainer], bool] | None = None,
        every: int | None = None,
    ) -> None:
        super().__init__()
        at_least("checkpoints.every", every, 1)
        self.every = every
        self.folder, self.monitor, self.higher_is_better = folder, monitor, higher_is_better
        self.is_sound = is_sound
        self.best = float("-inf" if higher_is_better else "inf")
        self.epochs: dict[str, int] = {}
        self.data: Identity = {}  # what tells the data of the training from others

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Saves the files, last.ckpt last: a kill in between repeats the epoch."""
        names = [BEST] if self._is_best(trainer) else []
        if self.is_sound is not None and (BEFORE not in self.epochs or self.is_sound(trainer)):
            names.append(BEFORE)
        if self.every and (trainer.current_epoch + 1) % self.every == 0:
            names.append(f"epoch={trainer.current_epoch:03d}.ckpt")
        names.append(LAST)
        self.epochs |= dict.fromkeys(names, trainer.current_epoch)
        for name in names:
            trainer.save_checkpoint(self.folder / name)

    def _is_best(self, trainer: L.Trainer) -> bool:
        if self.monitor is None:
            return False
        value = float(trainer.callback_metrics[self.monitor])
        if not (value > self.best if self.higher_is_better else value < self.best):
            return False
        self.best = value
        return True

    def state_dict(self) -> dict[str, Any]:
        """Returns the best value, what tells the data, and on what bits depend."""
        state = {"best": self.best, "data": dict(self.data), "epochs": dict(self.epochs)}
        return state | {"threads": torch.get_num_threads(), "kernels": native.chosen()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the best value so far; warns where bits cannot be the same.

        Raises: ValueError: the checkpoint is of other data.
        """
        self.best, self.epochs = state_dict["best"], dict(state_dict.get("epochs", {}))
        if past := state_dict.get("data"):
            check_same(self.data, past, f"the checkpoint in {self.folder}")
        before, now = state_dict["threads"], torch.get_num_threads()
        if before != now:
            log.warning(
                f"resumed on {now} CPU threads instead of {before}: the last bits of the result "
                "will differ"
            )
        past_kernels = state_dict.get("kernels", native.chosen())
        if past_kernels != native.chosen():
            log.warning(
                f"resumed with hardware.kernels={native.chosen()} instead of {past_kernels}: the "
                "last bits of the result will differ"
            )


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, flushes it, and moves it there in one step.

    Lightning's own writes it into the system's temporary folder and does not flush: on another
    file system the move is a copy, which a kill leaves half-done.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Writes a checkpoint; an older one stays whole until the new one is."""
        with replacing(Path(path)) as temporary:
            torch.save(checkpoint, temporary)
