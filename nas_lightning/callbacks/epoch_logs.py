"""The files that a training adds to after each epoch: metrics.csv, alphas.csv, genotypes/."""

import csv
import io
import os
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from nas_lightning.files import naming_full_disk, write_text
from nas_lightning.training.supernet import SupernetModule

__all__ = ["AlphaLog", "GenotypeLog", "MetricsLog", "csv_text"]


def csv_text(rows: list[dict[str, Any]]) -> str:
    """Returns rows as CSV; columns are in order of first appearance, gaps are empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


class MetricsLog(Callback):
    """Writes metrics.csv: a row per epoch with every metric that was logged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Tells loggers the last epoch of a resumed training again.

        Lightning hands them an epoch after its checkpoint: a kill between the two loses it.
        """
        for logger in trainer.loggers if self.rows else ():
            logger.log_metrics(dict(self.rows[-1]), self.rows[-1]["epoch"])

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Adds the epoch's row; the file is replaced as a whole."""
        values = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        self.rows.append({"epoch": trainer.current_epoch, **values})
        if trainer.is_global_zero:
            write_text(self.path, csv_text(self.rows))

    def state_dict(self) -> dict[str, Any]:
        """Returns the rows so far."""
        return {"rows": list(self.rows)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the rows so far."""
        self.rows = list(state_dict["rows"])


class AlphaLog(Callback):
    """Writes alphas.csv: the preference for each option, in long form and full precision.

    Epoch -1 is the start; one more follows after every epoch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0  # bytes

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Cuts off what an interrupted run wrote after its last checkpoint."""
        if not trainer.is_global_zero:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.truncate(self.size)
        if self.size == 0:
            self._append("epoch,group,choice,option,weight\n" + self._rows(pl_module, -1))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Adds the epoch's rows."""
        if trainer.is_global_zero:
            self._append(self._rows(pl_module, trainer.current_epoch))

    def state_dict(self) -> dict[str, Any]:
        """Returns the file's size in bytes."""
        return {"size": self.size}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the file's size in bytes."""
        self.size = state_dict["size"]

    def _append(self, text: str) -> None:
        with naming_full_disk(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self.size += len(text.encode())

    def _rows(self, module: L.LightningModule, epoch: int) -> str:
        assert isinstance(module, SupernetModule)
        preferences = module.strategy.preferences()
        return "".join(
            f"{epoch},{choice.group},{choice.name},{option},{weight!r}\n"
            for choice in module.space.choices
            for option, weight in preferences[choice.name].items()
        )


class GenotypeLog(Callback):
    """Writes genotypes/epoch=NNN.json: the genotype that the scores give after each epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Writes the epoch's genotype."""
        assert isinstance(pl_module, SupernetModule)
        if trainer.is_global_zero:
            genotype = pl_module.space.discretize(pl_module.strategy.scores())
            path = self.folder / f"epoch={trainer.current_epoch:03d}.json"
            write_text(path, genotype.to_json({"epoch": trainer.current_epoch}))
