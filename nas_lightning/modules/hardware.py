"""The hardware of a run, and the Trainers that use it."""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.callbacks import Checkpoint, ProgressBar

__all__ = ["Hardware"]

MAX_THREADS = 1024  # the system may end a process that asks for many more
PRECISIONS = ("32-true", "64-true", "bf16-mixed")


@dataclass(frozen=True)
class Hardware:
    """What a run computes on.

    Attributes:
        accelerator: "cpu", "gpu", or another name that Lightning knows.
        devices: number of them.
        precision: "32-true", "64-true" or "bf16-mixed"; no 16-bit floats that need their loss
            scaled, since a search takes its gradients itself.
        threads: CPU threads, 1 to 1024; None takes all cores.

    Raises:
        ValueError: a value is out of its range, or there is no such device here.
    """

    accelerator: str = "cpu"
    devices: int = 1
    precision: str = "32-true"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.devices != 1:
            raise ValueError(
                f"hardware.devices ({self.devices}) must be 1: searches on several "
                "devices are not there yet"
            )
        if self.threads is not None and not 1 <= self.threads <= MAX_THREADS:
            raise ValueError(
                f"hardware.threads ({self.threads}) must be between 1 and {MAX_THREADS}, or null"
            )
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"unknown hardware.precision '{self.precision}'; choose from: "
                f"{', '.join(PRECISIONS)}"
            )
        _check_accelerator(self.accelerator)

    def prepare(self) -> None:
        """Sets the number of CPU threads of this process, and keeps Lightning from chatting."""
        for name in ("lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.WARNING)
        warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)
        if self.threads is not None:
            torch.set_num_threads(self.threads)

    def trainer(
        self,
        epochs: int,
        callbacks: Sequence[L.Callback] = (),
        loggers: Sequence[Any] = (),
        plugins: Sequence[Any] = (),
        folder: Path | None = None,
        **more: Any,
    ) -> L.Trainer:
        """Returns a Trainer that leaves no files but those of its callbacks and loggers.

        Args:
            epochs: its length.
            callbacks: observers of the training.
            loggers: Lightning loggers.
            plugins: Lightning plugins.
            folder: root of what callbacks write without being told where.
            more: further arguments of the Trainer.
        """
        return L.Trainer(
            accelerator=self.accelerator,
            devices=self.devices,
            precision=self.precision,  # type: ignore[arg-type]
            max_epochs=epochs,
            callbacks=list(callbacks),
            logger=list(loggers) or False,
            plugins=list(plugins),
            default_root_dir=folder,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            log_every_n_steps=1,  # loggers get epochs; a larger number warns of short ones
            enable_model_summary=False,
            enable_checkpointing=any(isinstance(c, Checkpoint) for c in callbacks),
            enable_progress_bar=any(isinstance(c, ProgressBar) for c in callbacks),
            **more,
        )


def _check_accelerator(name: str) -> None:
    known = ["gpu", *AcceleratorRegistry.available_accelerators()]
    if name not in known:
        raise ValueError(
            f"unknown hardware.accelerator '{name}'; choose from: {', '.join(sorted(known))}"
        )
    device = AcceleratorRegistry["cuda" if name == "gpu" else name]["accelerator"]
    if not device.is_available():
        raise ValueError(
            f"hardware.accelerator ({name}) needs a device that is not found here; use hardware=cpu"
        )
