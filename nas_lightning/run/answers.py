"""What a child answers in its test: predictions.csv, and mistakes.json with their pictures."""

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nas_lightning.callbacks.epoch_logs import csv_text
from nas_lightning.files import write_text
from nas_lightning.training.task import Task

__all__ = ["AnswerLog"]

MOST_MISTAKES, MOST_PIXELS, MOST_LINES, MOST_POINTS = 24, 64, 3, 100

Row = dict[str, Any]
Mistake = tuple[int, int, Row]  # number of its batch, place in this process's part of it, row


class AnswerLog(L.Callback):
    """Writes predictions.csv: a row per test input, and of classes mistakes.json.

    Of classes the columns are index, true, predicted and confidence, the softmax's share in [0, 1];
    of values index, output (its name), true and predicted, a row per output. Labels have no file:
    they have no single answer. The mistakes are at most 24, the most confident first, each with
    its picture: an image as PNG, a signal as lines of points; rows of tables have none. The
    answers are those of the test itself, in its precision and of all processes.

    Args:
        folder: where the files go.
        task: the fitted task of the child.
        class_names: the names of the outputs.
        preprocessing: of the data; "mean" and "std" make pixels of inputs again.
    """

    def __init__(
        self, folder: Path, task: Task, class_names: Sequence[str], preprocessing: dict[str, Any]
    ) -> None:
        self.folder, self.task = folder, task.card()
        self.class_names, self.preprocessing = class_names, preprocessing
        self.batches: list[list[list[Row]]] = []  # the rows of each input, of each batch
        self.mistakes: list[Mistake] = []

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Forgets an earlier test."""
        self.batches, self.mistakes = [], []

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keeps the rows of a batch, and the worst mistakes so far."""
        (x, targets), logits = batch, outputs.float().cpu()
        if self.task["targets"] == "labels":
            return
        if self.task["targets"] == "values":
            self.batches.append(self._values(logits, targets.cpu()))
            return
        rows = self._classes(logits, targets.cpu())
        self.batches.append([[row] for row in rows])
        wrong = [
            (batch_idx, place, row)
            for place, row in enumerate(rows)
            if row["true"] != row["predicted"]
        ]
        worst = _worst([*self.mistakes, *wrong])
        self.mistakes = [  # a picture is made once, of those that may be shown
            (number, place, row | self._picture(x[place].cpu()) if number == batch_idx else row)
            for number, place, row in worst
        ]

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Writes the files, in the first process only."""
        if self.task["targets"] == "labels":
            return
        parts = [(self.batches, self.mistakes)]
        if trainer.world_size > 1:
            parts = parts * trainer.world_size
            torch.distributed.all_gather_object(parts, (self.batches, self.mistakes))
        if not trainer.is_global_zero:
            return
        # Each process had its share of every batch: here all shares of one batch stand together.
        batches = list(zip(*(shares for shares, _ in parts), strict=True))
        rows, starts = list[Row](), dict[tuple[int, int], int]()
        index = 0
        for number, shares in enumerate(batches):
            for rank, share in enumerate(shares):
                starts[number, rank] = index
                rows += [{"index": index + i} | row for i, each in enumerate(share) for row in each]
                index += len(share)
        write_text(self.folder / "predictions.csv", csv_text(rows))
        if self.task["targets"] != "classes":
            return
        mistakes = [
            {"index": starts[number, rank] + place} | row
            for rank, (_, worst) in enumerate(parts)
            for number, place, row in worst
        ]
        mistakes.sort(key=lambda row: (-row["confidence"], row["index"]))
        content = json.dumps({"mistakes": mistakes[:MOST_MISTAKES]}, indent=1)
        write_text(self.folder / "mistakes.json", content + "\n")

    def _classes(self, logits: Tensor, targets: Tensor) -> list[Row]:
        names, (confidences, guesses) = self.class_names, logits.softmax(dim=1).max(dim=1)
        return [
            {
                "true": names[int(true)],
                "predicted": names[int(guess)],
                "confidence": round(float(confidence), 6),
            }
            for true, guess, confidence in zip(targets, guesses, confidences, strict=True)
        ]

    def _values(self, outputs: Tensor, targets: Tensor) -> list[list[Row]]:
        values = outputs * torch.tensor(self.task["std"]) + torch.tensor(self.task["mean"])
        return [
            [
                {"output": name, "true": float(true), "predicted": float(value)}
                for name, true, value in zip(self.class_names, *pair, strict=True)
            ]
            for pair in zip(targets, values, strict=True)
        ]

    def _picture(self, x: Tensor) -> Row:
        """Returns an input as "png", base64, or as "lines" of values; nothing of a table's."""
        if x.dim() == 3:
            return {"png": _png(x, self.preprocessing)}
        if x.dim() == 2:
            lines = x[:MOST_LINES, :: -(-x.shape[1] // MOST_POINTS)].tolist()
            return {"lines": [[round(value, 3) for value in line] for line in lines]}
        return {}


def _worst(mistakes: Sequence[Mistake]) -> list[Mistake]:
    return sorted(mistakes, key=lambda each: -each[2]["confidence"])[:MOST_MISTAKES]


def _png(x: Tensor, preprocessing: dict[str, Any]) -> str:
    """Returns a normalised image (C, H, W) as PNG in base64, at most 64 pixels a side."""
    if {"mean", "std"} <= set(preprocessing):
        mean, std = (torch.tensor(preprocessing[name])[:, None, None] for name in ("mean", "std"))
        x = x * std + mean
    if float(x.min()) < -0.01 or float(x.max()) > 1.01:  # its range is not known
        x = (x - x.min()) / (x.max() - x.min())
    if x.shape[0] != 3:
        x = x.mean(0, keepdim=True)
    pixels = (255 * x.clamp(0, 1)).round().to(torch.uint8).movedim(0, -1).numpy()
    image = Image.fromarray(np.ascontiguousarray(pixels.squeeze(-1) if x.shape[0] == 1 else pixels))
    image.thumbnail((MOST_PIXELS, MOST_PIXELS))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")
