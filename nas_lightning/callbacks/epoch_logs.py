"""The files that grow with each epoch or trial: metrics.csv, alphas.csv, genotypes/."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L

from nas_lightning.core.best_within import best_genotype
from nas_lightning.core.strategy import Trial
from nas_lightning.files import append_text, naming_full_disk, write_text
from nas_lightning.training.supernet import SupernetModule

__all__ = ["AlphaLog", "GenotypeLog", "MetricsLog", "TrialLog", "csv_text"]


def csv_text(rows: list[dict[str, Any]], columns: Sequence[str] = ()) -> str:
    """Returns rows as CSV: without columns in order of first appearance, with a header."""
    text = io.StringIO()
    names = columns or list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    if not columns:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


class MetricsLog(L.Callback):
    """Writes metrics.csv: a row per epoch with every metric that was logged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Tells loggers a resumed training's last epoch: a kill after its checkpoint loses it."""
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


class AlphaLog(L.Callback):
    """Writes alphas.csv: the preference for each option at the start (-1) and after each epoch."""

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, 0  # bytes

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


class GenotypeLog(L.Callback):
    """Writes genotypes/epoch=NNN.json: the genotype that the scores give after each epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Writes the epoch's genotype."""
        assert isinstance(pl_module, SupernetModule)
        if trainer.is_global_zero:
            genotype = best_genotype(pl_module.space, pl_module.strategy.scores())
            path = self.folder / f"epoch={trainer.current_epoch:03d}.json"
            write_text(path, genotype.to_json({"epoch": trainer.current_epoch}))


class TrialLog:
    """Writes metrics.csv of a black-box search anew: a row per trial, its number under "epoch"."""

    def __init__(self, path: Path) -> None:
        self.path, self.written = path, 0
        self.columns: list[str] = []

    def write(self, trials: list[Trial]) -> None:
        """Adds the trials that are not in the file yet; a new column has it written anew."""
        rows = [_row(trial) for trial in trials[self.written :]]
        if self.written == 0 or not {name for row in rows for name in row} <= set(self.columns):
            rows = [_row(trial) for trial in trials]
            self.columns = list(dict.fromkeys(name for row in rows for name in row))
            write_text(self.path, csv_text(rows))
        else:
            append_text(self.path, csv_text(rows, self.columns))
        self.written = len(trials)


def _row(trial: Trial) -> dict[str, Any]:
    measured = {f"search/{name}": value for name, value in sorted(trial.measurements.items())}
    return {"epoch": trial.number, "search/reward": trial.reward, **measured}
