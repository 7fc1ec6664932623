"""How a run trains a supernet or a child: files, callbacks, checkpoints, loggers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
from omegaconf import DictConfig

from nas_lightning.callbacks.checkpoint import RunCheckpoint
from nas_lightning.callbacks.checkpoint_io import AtomicCheckpointIO, resumable
from nas_lightning.callbacks.cost_timer import CostTimer
from nas_lightning.callbacks.epoch_logs import MetricsLog
from nas_lightning.callbacks.progress import Progress
from nas_lightning.config.making import make_all
from nas_lightning.data.batches import View
from nas_lightning.files import NoRoomError
from nas_lightning.run.run import Run
from nas_lightning.training.child import ChildModule
from nas_lightning.training.supernet import SupernetModule

__all__ = ["fit", "observers"]


def fit(
    run: Run,
    module: SupernetModule | ChildModule,
    view: View,
    epochs: int,
    folder: Path,
    name: str,
    callbacks: Sequence[L.Callback],
    **options: Any,
) -> L.Trainer:
    """Trains a module, from its last checkpoint where there is one, and returns the Trainer.

    Args:
        run: the run that trains it.
        module: what is trained.
        view: what it sees of the data.
        epochs: length of the training.
        folder: where metrics.csv goes.
        name: what is trained, for the progress bar.
        callbacks: further callbacks, among them the one that keeps the checkpoint.
        options: further arguments of the Trainer.

    Raises:
        FloatingPointError: a loss is NaN or infinite; the message names the last good checkpoint.
        NoRoomError: a checkpoint could not be written, likewise.
    """
    (checkpoints,) = [c.folder for c in callbacks if isinstance(c, RunCheckpoint)]
    own = [MetricsLog(folder / "metrics.csv"), CostTimer(module.meter), *callbacks]
    trainer = run.parts.hardware.trainer(
        epochs,
        [*own, *observers(run.cfg, name)],
        run.loggers.loggers,
        [AtomicCheckpointIO()],
        folder,
        wraps=module.automatic_optimization,
        **options,
    )
    try:
        trainer.fit(module, datamodule=view, ckpt_path=resumable(checkpoints), weights_only=True)
    except (FloatingPointError, NoRoomError) as error:
        last = checkpoints / "last.ckpt"
        good = f"the last good checkpoint is {last}" if last.exists() else "no epoch was saved"
        raise type(error)(f"{error}; {good}") from error
    return trainer


def observers(cfg: DictConfig, name: str) -> list[L.Callback]:
    """Returns new callbacks of the configuration; a progress bar is named for its training."""
    callbacks: list[L.Callback] = make_all(cfg.callbacks, "callbacks")
    for callback in callbacks:
        if isinstance(callback, Progress):
            callback.name = name
    return callbacks
