"""What a network learns of an image: one class, any number of labels, or values."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nas_lightning.data.images import ImageArrays

__all__ = ["fit", "statistics_of"]

TASKS = {"classes": "classification", "labels": "multilabel", "values": "regression"}
WANTED = {
    "classes": "one class per image",
    "labels": "columns of 0 and 1, one per label",
    "values": "one or several numbers per image",
}


def fit(arrays: ImageArrays, kind: str) -> ImageArrays:
    """Returns the data set with targets as a task wants them: "classes", "labels" or "values".

    Classes stay what they are; whole numbers, and columns of which exactly one is 1, become
    classes. Labels are columns of 0 and 1. Values are columns of numbers; classes become values
    where their names are numbers.

    Raises: ValueError: the targets are of another kind.
    """
    makers = {"classes": _as_classes, "labels": _as_labels, "values": _as_values}
    return makers[kind](arrays)


def statistics_of(targets: Tensor, num_outputs: int) -> tuple[Tensor, Tensor]:
    """Returns mean and deviation (K,) of values (N, K), a constant's is 1; of classes 0 and 1."""
    if not targets.is_floating_point():
        return torch.zeros(num_outputs), torch.ones(num_outputs)
    std = targets.std(0, correction=0)
    return targets.mean(0), torch.where(std > 0, std, torch.ones_like(std))


def _as_classes(arrays: ImageArrays) -> ImageArrays:
    train, test = arrays.train_labels, arrays.test_labels
    if not train.is_floating_point():
        return arrays
    if train.shape[1] == 1:
        return _from_whole_numbers(arrays)
    if _is_one_hot(train) and _is_one_hot(test):
        return replace(arrays, train_labels=train.argmax(1), test_labels=test.argmax(1))
    raise _misfit(
        "classes", f"{train.shape[1]} columns ({_listed(arrays.class_names)})", "multilabel"
    )


def _from_whole_numbers(arrays: ImageArrays) -> ImageArrays:
    train, test = arrays.train_labels[:, 0], arrays.test_labels[:, 0]
    numbers = torch.from_numpy(np.unique(train.numpy()))
    if not bool((numbers == numbers.round()).all()):
        raise _misfit("classes", f"numbers such as {float(train[0]):g}", "regression")
    if unknown := {*test.tolist()} - {*numbers.tolist()}:
        raise ValueError(
            f"every test class needs training images; class {min(unknown):g} has none; add some"
        )
    return replace(
        arrays,
        train_labels=torch.searchsorted(numbers, train.contiguous()),
        test_labels=torch.searchsorted(numbers, test.contiguous()),
        class_names=tuple(f"{number:.0f}" for number in numbers.tolist()),
    )


def _is_one_hot(labels: Tensor) -> bool:
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(1) == 1).all())


def _as_labels(arrays: ImageArrays) -> ImageArrays:
    if not arrays.train_labels.is_floating_point():
        raise _misfit(
            "labels", f"one class per image ({_listed(arrays.class_names)})", "classification"
        )
    for each in (arrays.train_labels, arrays.test_labels):
        if not bool(((each == 0) | (each == 1)).all()):
            raise _misfit("labels", f"numbers from {each.min():g} to {each.max():g}", "regression")
    return arrays


def _as_values(arrays: ImageArrays) -> ImageArrays:
    train, test = arrays.train_labels, arrays.test_labels
    if not train.is_floating_point():
        try:
            numbers = torch.tensor([float(name) for name in arrays.class_names])
        except ValueError:
            raise _misfit(
                "values", f"classes: {_listed(arrays.class_names)}", "classification"
            ) from None
        train, test = numbers[train][:, None], numbers[test][:, None]
        arrays = replace(arrays, train_labels=train, test_labels=test, class_names=("value",))
    for division, values in {"training": train, "test": test}.items():
        if len(bad := (~values.isfinite()).nonzero()):
            row, column = bad[0].tolist()
            raise ValueError(
                f"every value to be learnt must be a number, got {values[row, column]:g} for "
                f"{division} image {row} (the first is 0); remove such images"
            )
    return arrays


def _misfit(kind: str, present: str, better: str) -> ValueError:
    return ValueError(f"task={TASKS[kind]} needs {WANTED[kind]}, got {present}; use task={better}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
