"""What a data set must be like before it is split and trained on."""

import logging
from dataclasses import replace

import torch
from torch import Tensor

from nas_lightning.data.images import SMALLEST_SIDE, ImageArrays, Images, Subset
from nas_lightning.data.pixels import OR_SIGNALS

__all__ = ["check", "check_images_only", "check_levels", "without_unreadable"]

log = logging.getLogger(__name__)

MOST_NAMED = 10
FEWEST_LEVELS = 3


def check(arrays: ImageArrays, num_classes: int | None = None) -> None:
    """Refuses a data set that cannot be split and trained on, or has another number of classes."""
    names, listed = arrays.class_names, ", ".join(arrays.class_names[:10])
    if num_classes not in (None, len(names)):
        raise ValueError(
            f"data.num_classes ({num_classes}) must be the number of classes found, {len(names)}: "
            f"{listed}; correct it or leave it null"
        )
    if arrays.standardisation is None:
        _check_sides(*arrays.train.shape)
    check_labels = _check_columns if arrays.train_labels.is_floating_point() else _check_classes
    for part, labels in (("training", arrays.train_labels), ("test", arrays.test_labels)):
        if len(labels) == 0:
            raise ValueError(f"the {part} set must hold images, got 0; add some")
        check_labels(labels, names, part)
    if arrays.test.shape != arrays.train.shape:
        raise ValueError(
            f"test samples must have the shape of the training samples {arrays.train.shape},"
            f" got {arrays.test.shape}; set data.image_size and data.channels"
        )


def _check_sides(channels: int, height: int, width: int) -> None:
    if min(height, width) < SMALLEST_SIDE:
        raise ValueError(
            f"images must have at least {SMALLEST_SIDE} pixels per side, got {height}x{width}; "
            f"scale them, e.g. data.image_size=32{OR_SIGNALS if channels == 1 else ''}"
        )


def _check_classes(labels: Tensor, names: tuple[str, ...], part: str) -> None:
    if len(names) < 2:
        raise ValueError(
            f"a data set needs at least 2 classes, got {len(names)} ({', '.join(names)})"
        )
    low, high = map(int, labels.aminmax())
    if low < 0 or high >= len(names):
        wanted = f"{part} labels must be in [0, {len(names)})"
        raise ValueError(f"{wanted}, got {low}..{high}; name every class or renumber them")
    fewest, place = labels.bincount(minlength=len(names)).min(0)
    if part == "training" and fewest < 2:
        raise ValueError(
            "every class needs at least 2 training samples, one to train on and one to validate on;"
            f" class '{names[place]}' has {fewest}: add samples or remove the class"
        )


def _check_columns(labels: Tensor, names: tuple[str, ...], part: str) -> None:
    if labels.shape[1] != len(names):
        raise ValueError(
            f"{part} targets need one name per column, got {labels.shape[1]} columns and"
            f" {len(names)} names ({', '.join(names[:10])}); correct the names"
        )
    if part == "training" and len(labels) < 2:
        raise ValueError(f"a data set needs at least 2 training samples, got {len(labels)}")
    is_constant = (labels == labels[0]).all(0)
    if part == "training" and bool(is_constant.any()):
        column = int(is_constant.int().argmax())
        raise ValueError(
            f"every column of targets must vary over the training samples; '{names[column]}' is"
            f" always {float(labels[0, column]):g}: remove it"
        )


def check_images_only(arrays: ImageArrays, **settings: object) -> None:
    """Refuses settings that only images can have, if the data are signals or a table."""
    for key, value in settings.items():
        if value and arrays.standardisation is not None:
            shape = f"the data have the shape {arrays.train.shape}"
            raise ValueError(f"{key} ({value}) needs images, {shape}; leave it out")


def without_unreadable(arrays: ImageArrays) -> tuple[ImageArrays, tuple[str, ...]]:
    """Returns the data set without unreadable images, and a note on them; decodes every image."""
    train, train_labels, bad = _without(arrays.train, arrays.train_labels)
    test, test_labels, bad_test = _without(arrays.test, arrays.test_labels)
    if not (faults := bad + bad_test):
        return arrays, ()
    named = "; ".join(faults[:MOST_NAMED])
    rest = f"; and {len(faults) - MOST_NAMED} more" if len(faults) > MOST_NAMED else ""
    note = f"unreadable images left out: {len(faults)} ({named}{rest})"
    log.warning("%s", note)
    sound = replace(arrays, train=train, train_labels=train_labels)
    return replace(sound, test=test, test_labels=test_labels), (note,)


def _without(images: Images, labels: Tensor) -> tuple[Images, Tensor, list[str]]:
    faults = images.unreadable()
    sound = torch.tensor([i for i in range(len(images)) if i not in faults], dtype=torch.int64)
    return Subset(images, sound), labels[sound], list(faults.values())


def check_levels(pixels: Tensor, part: str) -> None:
    """Refuses pixels, uint8, that are nearly equal: their range must have been another one."""
    low, high = map(int, pixels.aminmax())
    if high - low < FEWEST_LEVELS:
        raise ValueError(
            f"the {part} images are nearly of one grey, levels {low} to {high} of 0 to 255; say"
            " which numbers are black and white, e.g. data.range=[0,255], or correct the images"
        )
