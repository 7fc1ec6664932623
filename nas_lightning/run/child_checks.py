"""What a tested child is looked at for: its answers, its worst mistakes, its latency here."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nas_lightning.callbacks.epoch_logs import csv_text
from nas_lightning.deployment.load import LoadedChild, load_child
from nas_lightning.evaluation.timing import cpu_name, interleaved
from nas_lightning.files import write_text
from nas_lightning.run.run import Run

__all__ = ["check_child", "latency", "write_answers"]

MOST_MISTAKES, MOST_PIXELS, MOST_LINES, MOST_POINTS = 24, 64, 3, 100

Row = dict[str, Any]


def check_child(run: Run) -> dict[str, Any]:
    """Writes what a run's trained child answers of the test set; returns its latency here.

    See `write_answers` and `latency`. The child is what `load_child` gives, in 32 bit.
    """
    child = load_child(run.folder.path, run.parts.space)
    promised = run.parts.latency
    threads = 1 if promised is None else promised.profile.threads
    figures = latency(child, threads)  # before the child moves to another device
    write_answers(run, child, run.folder / "child")
    return figures


def latency(child: LoadedChild, threads: int = 1) -> dict[str, Any]:
    """Returns `latency_ms`, of one input on threads of this CPU, and how it was measured.

    It is the median of 50 runs, or of those that a second has room for.
    """
    x = torch.zeros(1, *child.input_shape)
    (timing,) = interleaved([lambda: child(x)], threads)
    number = "one thread" if threads == 1 else f"{threads} threads"
    how = f"median of {timing.count} runs, {number}, batch of 1, {cpu_name()}"
    return {"latency_ms": timing.median_ms, "latency_measured": how}


def write_answers(run: Run, child: LoadedChild, folder: Path) -> None:
    """Writes predictions.csv: a row per test input, and of classes mistakes.json.

    Of classes the columns are index, true, predicted and confidence, the softmax's share in [0, 1];
    of values index, output (its name), true and predicted, a row per output. Labels have no file:
    they have no single answer. The mistakes are at most 24, the most confident first, each with
    its picture: an image as PNG, a signal as lines of points; rows of tables have none.
    """
    rows, mistakes = list[Row](), list[Row]()
    if child.task["targets"] == "labels":
        return
    for x, outputs, targets in _tested(run, child):
        if child.task["targets"] == "values":
            rows += _values(child, outputs, targets, len(rows) // len(child.class_names))
            continue
        new = _classes(child, outputs, targets, len(rows))
        rows += new
        wrong = [(row, number) for number, row in enumerate(new) if row["true"] != row["predicted"]]
        wrong.sort(key=lambda pair: -pair[0]["confidence"])
        mistakes += [row | _picture(child, x[number]) for row, number in wrong[:MOST_MISTAKES]]
        mistakes = sorted(mistakes, key=lambda row: -row["confidence"])[:MOST_MISTAKES]
    write_text(folder / "predictions.csv", csv_text(rows))
    if child.task["targets"] == "classes":
        write_text(folder / "mistakes.json", json.dumps({"mistakes": mistakes}, indent=1) + "\n")


@torch.no_grad()  # no inference_mode: the data may keep what is made here for later
def _tested(run: Run, child: LoadedChild) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yields inputs, outputs and targets of the whole test set in order, all on the CPU."""
    parts = run.parts
    is_cpu = parts.hardware.accelerator == "cpu"
    device = torch.device("cpu") if is_cpu else torch.accelerator.current_accelerator()
    recipe = parts.recipe
    view = parts.data.final(recipe.validation_share, recipe.batch_size, recipe.cutout)
    child.to(device)
    for x, targets in view.test_dataloader():  # without a Trainer: of one process, on the CPU
        yield x, child(x.to(device)).float().cpu(), targets


def _classes(child: LoadedChild, outputs: Tensor, targets: Tensor, start: int) -> list[Row]:
    confidences, guesses = outputs.softmax(dim=1).max(dim=1)
    names, found = child.class_names, zip(targets, guesses, confidences, strict=True)
    return [
        {
            "index": start + number,
            "true": names[int(true)],
            "predicted": names[int(guess)],
            "confidence": round(float(confidence), 6),
        }
        for number, (true, guess, confidence) in enumerate(found)
    ]


def _values(child: LoadedChild, outputs: Tensor, targets: Tensor, start: int) -> list[Row]:
    values = outputs * torch.tensor(child.task["std"]) + torch.tensor(child.task["mean"])
    return [
        {"index": start + number, "output": name, "true": float(true), "predicted": float(value)}
        for number, pair in enumerate(zip(targets, values, strict=True))
        for name, true, value in zip(child.class_names, *pair, strict=True)
    ]


def _picture(child: LoadedChild, x: Tensor) -> Row:
    """Returns an input (...) as "png", base64, or as "lines" of values; nothing of a table's."""
    if x.dim() == 3:
        return {"png": _png(x, child.preprocessing)}
    if x.dim() == 2:
        step = -(-x.shape[1] // MOST_POINTS)
        return {"lines": [[round(v, 3) for v in line[::step].tolist()] for line in x[:MOST_LINES]]}
    return {}


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
