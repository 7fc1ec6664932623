"""How a run trains a supernet or a child: files, callbacks, checkpoints, loggers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
from omegaconf import DictConfig, OmegaConf

from nas_lightning.callbacks.checkpoint import AtomicCheckpointIO, RunCheckpoint
from nas_lightning.callbacks.checkpoint_file import resumable
from nas_lightning.callbacks.collapse import CollapseSentinel
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

FIRST = {"search": "search", "train": "child"}  # by command its first training


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

    metrics.csv goes to `folder`; `name` is for the progress bar; one of the `callbacks` is the
    `RunCheckpoint`; `options` are further arguments of the Trainer.

    Raises:
        FloatingPointError: a loss is NaN or infinite; the message names the last good checkpoint.
        NoRoomError: a checkpoint could not be written, likewise.
    """
    (keeper,) = [each for each in callbacks if isinstance(each, RunCheckpoint)]
    keeper.data, checkpoints = run.parts.data.identity, keeper.folder
    own = [MetricsLog(folder / "metrics.csv"), CostTimer(module.meter), *callbacks]
    observing, loggers = [*own, *observers(run.cfg, name)], run.loggers.loggers
    options["wraps"] = module.automatic_optimization
    trainer = run.parts.hardware.trainer(
        epochs, observing, loggers, [AtomicCheckpointIO()], folder, **options
    )
    last = resumable(checkpoints)
    if name == FIRST.get(run.folder.command):
        run.announce()
    try:
        trainer.fit(module, datamodule=view, ckpt_path=last, weights_only=True)
    except (FloatingPointError, NoRoomError) as error:
        saved = checkpoints / "last.ckpt"
        good = f"the last good checkpoint is {saved}" if saved.exists() else "no epoch was saved"
        raise type(error)(f"{error}; {good}") from error
    return trainer


def observers(cfg: DictConfig, name: str) -> list[L.Callback]:
    """Returns new callbacks of the configuration.

    A progress bar is named for its training; a sentinel ends a search where that is wanted.
    """
    callbacks: list[L.Callback] = make_all(cfg.callbacks, "callbacks")
    for callback in callbacks:
        if isinstance(callback, Progress):
            callback.name = name
        if isinstance(callback, CollapseSentinel):
            callback.stops = OmegaConf.select(cfg, "strategy.on_collapse") == "stop"
    return callbacks
