"""What a data set must be like before it is split and trained on."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from nas_lightning.data.images import ImageArrays, Images, Subset, as_size

__all__ = [
    "check",
    "check_images_only",
    "check_levels",
    "check_samples",
    "check_targets",
    "refuse_unreadable",
    "without_unreadable",
]

log = logging.getLogger(__name__)

MOST_NAMED = 10
FEWEST_LEVELS = 3


def check(arrays: ImageArrays, num_classes: int | None = None) -> None:
    """Refuses a data set that cannot be split and trained on, or has another number of classes."""
    names, labels = arrays.class_names, arrays.train_labels
    if num_classes not in (None, len(names)):
        raise ValueError(
            f"data.num_classes ({num_classes}) must be the number of classes found, {len(names)}: "
            f"{', '.join(names[:10])}; correct it or leave it null"
        )
    if arrays.standardisation is None:
        as_size(arrays.train.shape[1:])
    is_classes = not labels.is_floating_point()
    if is_classes and len(names) < 2:
        listed = ", ".join(names)
        raise ValueError(f"a data set needs at least 2 classes, got {len(names)} ({listed})")
    for part, each in (("training", labels), ("test", arrays.test_labels)):
        if len(each) == 0:
            raise ValueError(f"the {part} set must hold images, got 0; add some")
        if is_classes:
            low, high = int(each.min()), int(each.max())
            if low < 0 or high >= len(names):
                wanted = f"{part} labels must be in [0, {len(names)})"
                raise ValueError(f"{wanted}, got {low}..{high}; name every class or renumber them")
        elif each.shape[1] != len(names):
            raise ValueError(
                f"{part} targets need one name per column, got {each.shape[1]} columns and"
                f" {len(names)} names ({', '.join(names[:10])}); correct the names"
            )
    if arrays.test.shape != arrays.train.shape:
        raise ValueError(
            f"test samples must have the shape of the training samples {arrays.train.shape},"
            f" got {arrays.test.shape}; set data.image_size and data.channels"
        )
    if is_classes:
        _check_counts(labels, names)
    else:
        _check_columns(labels, names)


def check_images_only(arrays: ImageArrays, **settings: object) -> None:
    """Refuses settings that only images can have, if the data are signals or a table."""
    for key, value in settings.items():
        if value and arrays.standardisation is not None:
            shape = f"the data have the shape {arrays.train.shape}"
            raise ValueError(f"{key} ({value}) needs images, {shape}; leave it out")


def _check_counts(labels: Tensor, names: Sequence[str]) -> None:
    for name, count in zip(names, labels.bincount(minlength=len(names)).tolist(), strict=True):
        if count < 2:
            raise ValueError(
                "every class needs at least 2 training samples, one to train on and one to validate"
                f" on; class '{name}' has {count}: add samples or remove the class"
            )


def _check_columns(labels: Tensor, names: Sequence[str]) -> None:
    if len(labels) < 2:
        raise ValueError(f"a data set needs at least 2 training samples, got {len(labels)}")
    for name, column in zip(names, labels.T, strict=True):
        if bool((column == column[0]).all()):
            raise ValueError(
                f"every column of targets must vary over the training samples; '{name}' is always"
                f" {float(column[0]):g}: remove it"
            )


def check_samples(samples: Tensor, where: str, is_plain: bool) -> None:
    """Refuses samples of a user's loader; plain ones, without preprocessing, are images / 255."""
    shape = tuple(samples.shape)
    if not samples.is_floating_point() or len(shape) not in ((4,) if is_plain else (2, 3, 4)):
        raise ValueError(
            f"{where} must hold images, float (N, C, H, W), got {samples.dtype} {shape};"
            " signals and tables of floats need an attribute `preprocessing` of the module"
        )
    low, high = float(samples.min()), float(samples.max())
    if is_plain and not (low >= 0 and high <= 1):
        raise ValueError(
            f"{where} has values from {low:.3g} to {high:.3g}: images that are not pixels / 255"
            " need an attribute `preprocessing` of the module, with mean and std per channel"
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


def refuse_unreadable(images: Images) -> None:
    """Refuses images of which one has an unreadable header."""
    if faults := list(images.unreadable(whole=False).values()):
        more = f" ({len(faults) - 1} more like it)" if len(faults) > 1 else ""
        raise ValueError(f"{faults[0]}{more}; data.unreadable=skip leaves such images out")


def check_levels(pixels: Tensor, part: str) -> None:
    """Refuses pixels, uint8, that are nearly equal: their range must have been another one."""
    low, high = map(int, pixels.aminmax())
    if high - low < FEWEST_LEVELS:
        raise ValueError(
            f"the {part} images are nearly of one grey, levels {low} to {high} of 0 to 255; say"
            " which numbers are black and white, e.g. data.range=[0,255], or correct the images"
        )
