"""What a data set must be like before it is split and trained on."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from nas_lightning.data.images import ImageArrays, Images, Subset, as_size

__all__ = [
    "WAYS",
    "check",
    "check_images_only",
    "check_samples",
    "check_targets",
    "refuse_unreadable",
    "without_unreadable",
]

log = logging.getLogger(__name__)

WAYS = ("refuse", "skip")  # what to do about unreadable images
MOST_NAMED = 10


def check(arrays: ImageArrays, num_classes: int | None = None) -> None:
    """Refuses a data set that cannot be split and trained on, or has another number of classes."""
    names = arrays.class_names
    if num_classes not in (None, len(names)):
        raise ValueError(
            f"data.num_classes ({num_classes}) must be the number of classes found, {len(names)}: "
            f"{', '.join(names[:10])}; correct it or leave it null"
        )
    if arrays.standardisation is None:
        as_size(arrays.train.shape[1:])
    _check_labels(arrays.train_labels, names, "training")
    _check_labels(arrays.test_labels, names, "test")
    if arrays.test.shape != arrays.train.shape:
        raise ValueError(
            f"test images must have the shape of the training images {arrays.train.shape},"
            f" got {arrays.test.shape}; set data.image_size and data.channels"
        )
    if arrays.train_labels.is_floating_point():
        _check_columns(arrays.train_labels, names)
    else:
        _check_counts(arrays.train_labels, names)


def check_images_only(arrays: ImageArrays, **settings: object) -> None:
    """Refuses settings that only images can have, if the data are signals or a table."""
    for key, value in settings.items():
        if value and arrays.standardisation is not None:
            shape = arrays.train.shape
            raise ValueError(
                f"{key} ({value}) needs images, the data have the shape {shape}; leave it out"
            )


def _check_counts(labels: Tensor, class_names: Sequence[str]) -> None:
    counts = torch.bincount(labels, minlength=len(class_names)).tolist()
    for name, count in zip(class_names, counts, strict=True):
        if count < 2:
            raise ValueError(
                f"every class needs at least 2 training images, one to train on and one to"
                f" validate on; class '{name}' has {count}: add images or remove the class"
            )


def _check_columns(labels: Tensor, names: Sequence[str]) -> None:
    if len(labels) < 2:
        raise ValueError(
            f"a data set needs at least 2 training images, got {len(labels)}; add some"
        )
    for name, column in zip(names, labels.T, strict=True):
        if bool((column == column[0]).all()):
            raise ValueError(
                f"every column of targets must vary over the training images; '{name}' is always"
                f" {float(column[0]):g}: remove it"
            )


def _check_labels(labels: Tensor, class_names: Sequence[str], part: str) -> None:
    number = len(class_names)
    if number < 2 and not labels.is_floating_point():
        raise ValueError(
            f"a data set needs at least 2 classes, got {number} ({', '.join(class_names)});"
            " classification has nothing to decide"
        )
    if len(labels) == 0:
        raise ValueError(f"the {part} set must hold images, got 0; add some")
    if labels.is_floating_point():
        if labels.shape[1] != number:
            raise ValueError(
                f"{part} targets need one name per column, got {labels.shape[1]} columns and"
                f" {number} names ({', '.join(class_names[:10])}); correct the names"
            )
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= number:
        raise ValueError(
            f"{part} labels must be in [0, {number}), got {low}..{high}; name every class or"
            " renumber the labels"
        )


def check_samples(samples: Tensor, where: str, is_plain: bool) -> None:
    """Refuses samples of a user's loader; plain ones, without preprocessing, are images / 255."""
    if not samples.is_floating_point() or samples.dim() not in ((4,) if is_plain else (2, 3, 4)):
        raise ValueError(
            f"{where} must hold images, float (N, C, H, W), got {samples.dtype}"
            f" {tuple(samples.shape)}; signals (N, C, L) and tables (N, features) of floats need an"
            " attribute `preprocessing` of the module"
        )
    low, high = float(samples.min()), float(samples.max())
    if is_plain and not (low >= 0 and high <= 1):
        raise ValueError(
            f"{where} has values from {low:.3g} to {high:.3g}: images that are not pixels / 255"
            " need an attribute `preprocessing` of the module, with the lists mean and std, one"
            " number per channel"
        )


def check_targets(targets: Tensor, where: str, num_samples: int, num_outputs: int) -> None:
    """Refuses targets of a user's loader that the task cannot learn."""
    if targets.is_floating_point():
        is_good, wanted = targets.shape == (num_samples, num_outputs), "columns (N, K)"
    else:
        is_good = targets.shape == (num_samples,)
        is_good = is_good and int(targets.min()) >= 0 and int(targets.max()) < num_outputs
        wanted = f"class indices (N,) in [0, {num_outputs})"
    if not is_good:
        raise ValueError(
            f"{where} must hold {wanted} for its {num_samples} images, got {tuple(targets.shape)},"
            f" {targets.min():g} to {targets.max():g}"
        )


def without_unreadable(arrays: ImageArrays) -> tuple[ImageArrays, tuple[str, ...]]:
    """Returns the data set without unreadable images, and a note on them; decodes every image."""
    train, train_labels, faults = _without(arrays.train, arrays.train_labels)
    test, test_labels, test_faults = _without(arrays.test, arrays.test_labels)
    if not (faults := [*faults, *test_faults]):
        return arrays, ()
    named = "; ".join(faults[:MOST_NAMED])
    rest = f"; and {len(faults) - MOST_NAMED} more" if len(faults) > MOST_NAMED else ""
    note = f"unreadable images left out: {len(faults)} ({named}{rest})"
    log.warning("%s", note)
    sound = replace(arrays, train=train, train_labels=train_labels)
    return replace(sound, test=test, test_labels=test_labels), (note,)


def _without(images: Images, labels: Tensor) -> tuple[Images, Tensor, list[str]]:
    faults = images.unreadable()
    if not faults:
        return images, labels, []
    sound = torch.tensor([i for i in range(len(images)) if i not in faults], dtype=torch.int64)
    return Subset(images, sound), labels[sound], list(faults.values())


def refuse_unreadable(images: Images, whole: bool) -> None:
    """Refuses images of which one cannot be read; see `Images.unreadable` for `whole`."""
    if faults := list(images.unreadable(whole).values()):
        more = f" ({len(faults) - 1} more like it)" if len(faults) > 1 else ""
        raise ValueError(f"{faults[0]}{more}; data.unreadable=skip leaves such images out")
