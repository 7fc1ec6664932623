"""What a data set must be like before it is split and trained on."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nas_lightning.data.arrays import ImageArrays, Images, as_size


def check(arrays: ImageArrays, num_classes: int | None = None) -> None:
    """Refuse a data set that cannot be split and trained on.

    Args:
        arrays: the data set.
        num_classes: number of classes that it must have; None takes any.

    Raises:
        ValueError: if there are other classes than told, an image is too small, there are fewer
            than two classes, labels and images do not match, a class has fewer than two training
            images, or a label is on none of them.
    """
    found = len(arrays.class_names)
    if num_classes not in (None, found):
        raise ValueError(
            f"data.num_classes ({num_classes}) must be the number of classes found, {found}: "
            f"{', '.join(arrays.class_names[:10])}; correct it or leave it null"
        )
    as_size(arrays.train.shape[1:])
    _check_labels(arrays.train, arrays.train_labels, arrays.class_names, "training")
    _check_labels(arrays.test, arrays.test_labels, arrays.class_names, "test")
    if arrays.test.shape != arrays.train.shape:
        raise ValueError(
            f"test images must have the shape of the training images {arrays.train.shape},"
            f" got {arrays.test.shape}; set data.image_size and data.channels"
        )
    if arrays.train_labels.is_floating_point():
        _check_columns(arrays.train_labels, arrays.class_names)
    else:
        _check_counts(arrays.train_labels, arrays.class_names)


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


def _check_labels(images: Images, labels: Tensor, class_names: Sequence[str], part: str) -> None:
    if len(class_names) < 2 and not labels.is_floating_point():
        raise ValueError(
            f"a data set needs at least 2 classes, got {len(class_names)}"
            f" ({', '.join(class_names)}); classification has nothing to decide"
        )
    if len(images) != len(labels):
        raise ValueError(
            f"the {part} set must have one label an image, got {len(images)} images and"
            f" {len(labels)} labels"
        )
    if len(labels) == 0:
        raise ValueError(f"the {part} set must hold images, got 0; add some")
    if labels.is_floating_point():
        if labels.shape[1] != len(class_names):
            raise ValueError(
                f"{part} targets need one name a column, got {labels.shape[1]} columns and"
                f" {len(class_names)} names ({', '.join(class_names[:10])}); correct the names"
            )
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= len(class_names):
        raise ValueError(
            f"{part} labels must be in [0, {len(class_names)}), got {low}..{high};"
            " name every class or renumber the labels"
        )
