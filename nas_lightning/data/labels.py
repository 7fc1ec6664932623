"""Labels: from what files hold (integers, text, numbers, lists) to what a task learns."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas_lightning.data.images import ImageArrays

__all__ = ["Raw", "by_name", "encode", "fit", "per_class", "statistics_of"]

Raw = NDArray[Any] | Sequence[Any]
Array = NDArray[Any]
Encoded = tuple[Tensor, Tensor, tuple[str, ...]]

WANTED = {
    "classes": "task=classification needs one class per sample",
    "labels": "task=multilabel needs columns of 0 and 1, one per label",
    "values": "task=regression needs one or several numbers per sample",
}


def by_name(
    parts: Sequence[tuple[str, Raw, Sequence[str] | None]],
) -> tuple[list[Array], Sequence[str] | None]:
    """Returns the labels of parts (name, labels, class names) alike, and the first class names.

    Where class names or types differ, labels become text; numbers without names raise ValueError.
    """
    labels, names = [_array(raw) for _, raw, _ in parts], parts[0][2]
    kinds = {(each.dtype.kind.replace("u", "i"), each.ndim) for each in labels if len(each)}
    namings = {None if each is None else tuple(each) for _, _, each in parts}
    if len(kinds) < 2 and len(namings) < 2:
        return labels, names
    for place, (part, _, own) in enumerate(parts):
        if labels[place].ndim > 1 or (own is None and labels[place].dtype.kind not in "UO"):
            others = "; ".join(f"'{n}': {_shown(raw, own)}" for n, raw, own in parts)
            raise ValueError(
                f"the labels of part '{part}' cannot be told apart by names, as those of other"
                f" parts are: {others}; give all parts the same class names or columns, or numbers"
                " of one type, e.g. integers"
            )
        labels[place] = _texts(labels[place], own)
    return labels, names


def _shown(raw: Raw, names: Sequence[str] | None) -> str:
    return f"named {', '.join(names[:5])}" if names else f"e.g. {raw[0]}"


def _texts(labels: Array, names: Sequence[str] | None) -> Array:
    """Returns classes, or lists of them, by name."""
    if names is None or labels.dtype.kind == "U":
        return labels
    if labels.dtype == object:
        rows = [[each if isinstance(each, str) else names[each] for each in row] for row in labels]
        return _of_lists(rows)
    if len(labels) and (labels.min() < 0 or labels.max() >= len(names)):
        low, high = labels.min(), labels.max()
        raise ValueError(f"labels must be in [0, {len(names)}), got {low}..{high}; correct them")
    return np.array(list(names))[labels.astype(np.int64)]


def encode(train: Raw, test: Raw | None, names: Sequence[str] | None = None) -> Encoded:
    """Returns labels, int64 (N,) or float32 (N, K), those of the test images, and their names.

    Integers and text become classes, named by what they are unless names are given, integers in
    their order, text sorted. Numbers with a fraction become one column, a table (N, K) becomes K
    columns, and N lists of any length become one column per label, 1 where it is present. Raises
    ValueError for other labels, and for test labels that training lacks.
    """
    first = _array(train)
    both = [first, first[:0] if test is None else _array(test)]
    if first.dtype == object:
        return _encode_lists(both, names)
    if first.ndim > 2 or first.shape[1:] != both[1].shape[1:]:
        shapes = " and ".join(f"{each.shape}" for each in both)
        raise ValueError(f"labels must be one per sample, or a row per sample; got {shapes}")
    if first.ndim == 1 and first.dtype.kind == "f":
        both, names = [each[:, None] for each in both], names or ["value"]
    if both[0].ndim == 2:
        columns = [torch.from_numpy(np.ascontiguousarray(each, np.float32)) for each in both]
        return columns[0], columns[1], tuple(names or map(str, range(both[0].shape[1])))
    if names is not None and first.dtype.kind != "U":
        codes = [torch.from_numpy(each.astype(np.int64)) for each in both]
        return codes[0], codes[1], tuple(names)
    values = np.unique(first).tolist() if names is None else list(names)
    codes = [torch.tensor(_places(each.tolist(), values)).long() for each in both]
    return codes[0], codes[1], tuple(map(str, values))


def _array(values: Raw) -> Array:
    """Returns labels (N,) or (N, K) of numbers or text, or (N,) of lists."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iufU" and values.ndim == 1:
        return values
    rows = values if isinstance(values, np.ndarray) else list(values)
    if any(each is None for each in rows):
        raise ValueError("every sample needs a label, got none (null) for some; remove those")
    try:
        array = np.asarray(rows)
    except ValueError:  # lists of different lengths
        array = _of_lists(rows)
    if array.dtype == object and all(isinstance(each, str | bytes) for each in array.flat):
        array = np.array([each.decode() if isinstance(each, bytes) else each for each in array])
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    if array.dtype.kind == "b":
        array = array.astype(np.int64)
    if array.ndim == 2 and array.dtype.kind == "U":  # several names per image, equally many
        array = _of_lists(array.tolist())
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _of_lists(rows: Raw) -> Array:
    array = np.empty(len(rows), object)
    array[:] = rows
    return array


def _places(labels: Sequence[Any], values: Sequence[Any]) -> list[int]:
    places = {value: place for place, value in enumerate(values)}
    if unknown := [label for label in labels if label not in places]:
        some = ", ".join(map(str, values[:10]))
        raise ValueError(f"label '{unknown[0]}' is none of the training labels: {some}; add it")
    return [places[label] for label in labels]


def _encode_lists(both: Sequence[Array], names: Sequence[str] | None) -> Encoded:
    """Returns several labels per image, each named or numbered, as columns."""
    try:
        values: list[Any] = sorted({value for row in both[0] for value in row})
    except TypeError as error:
        raise ValueError(f"labels must be numbers, text or lists, got {both[0][0]!r}") from error
    if names is not None:
        values = list(names) if values and isinstance(values[0], str) else list(range(len(names)))
    tables = [torch.zeros(len(rows), len(values)) for rows in both]
    for table, rows in zip(tables, both, strict=True):
        for number, row in enumerate(rows):
            table[number, _places(row, values)] = 1
    return tables[0], tables[1], tuple(names or map(str, values))


def fit(arrays: ImageArrays, kind: str) -> ImageArrays:
    """Returns the data set with the targets of a task: "classes", "labels" or "values".

    Whole numbers, and columns of which exactly one is 1, become classes; classes become values if
    their names are numbers. Raises ValueError for targets of another kind.
    """
    return {"classes": _as_classes, "labels": _as_labels, "values": _as_values}[kind](arrays)


def statistics_of(targets: Tensor, num_outputs: int) -> tuple[Tensor, Tensor]:
    """Returns mean and deviation (K,) of values (N, K), 1 if constant; 0 and 1 of classes."""
    if not targets.is_floating_point():
        return torch.zeros(num_outputs), torch.ones(num_outputs)
    std = targets.std(0, correction=0)
    return targets.mean(0), torch.where(std > 0, std, torch.ones_like(std))


def per_class(arrays: ImageArrays) -> dict[str, list[int]] | None:
    """Returns the number of images of each class or label, by part; None of values."""
    parts = {"training": arrays.train_labels, "test": arrays.test_labels}
    if not arrays.train_labels.is_floating_point():
        number = len(arrays.class_names)
        return {part: each.bincount(minlength=number).tolist() for part, each in parts.items()}
    if not _is_binary(arrays.train_labels):
        return None
    return {part: each.sum(0).int().tolist() for part, each in parts.items()}


def _as_classes(arrays: ImageArrays) -> ImageArrays:
    both = [arrays.train_labels, arrays.test_labels]
    if not both[0].is_floating_point():
        return arrays
    if both[0].shape[1] == 1:
        numbers = torch.cat(both)
        if len(broken := numbers[numbers.frac().ne(0)]):  # NaN too
            raise _misfit("classes", f"numbers such as {float(broken[0]):g}", "regression")
        train, test, names = encode(both[0].long().numpy(), both[1].long().numpy())
        return replace(arrays, train_labels=train, test_labels=test, class_names=names)
    if not all(_is_binary(each) and bool((each.sum(1) == 1).all()) for each in both):
        raise _misfit("classes", f"{both[0].shape[1]} columns ({_listed(arrays)})", "multilabel")
    return replace(arrays, train_labels=both[0].argmax(1), test_labels=both[1].argmax(1))


def _is_binary(labels: Tensor) -> bool:
    return bool(((labels == 0) | (labels == 1)).all())


def _as_labels(arrays: ImageArrays) -> ImageArrays:
    if not arrays.train_labels.is_floating_point():
        raise _misfit("labels", f"one class per sample ({_listed(arrays)})", "classification")
    for each in (arrays.train_labels, arrays.test_labels):
        if not _is_binary(each):
            raise _misfit("labels", f"numbers from {each.min():g} to {each.max():g}", "regression")
    return arrays


def _as_values(arrays: ImageArrays) -> ImageArrays:
    train, test = arrays.train_labels, arrays.test_labels
    if not train.is_floating_point():
        try:
            numbers = torch.tensor([float(name) for name in arrays.class_names])
        except ValueError:
            raise _misfit("values", f"classes: {_listed(arrays)}", "classification") from None
        train, test = numbers[train][:, None], numbers[test][:, None]
        arrays = replace(arrays, train_labels=train, test_labels=test, class_names=("value",))
    for division, values in {"training": train, "test": test}.items():
        if len(bad := (~values.isfinite()).nonzero()):
            row, column = bad[0].tolist()
            value = f"{values[row, column]:g} for {division} sample {row} (the first is 0)"
            raise ValueError(f"every value must be finite, got {value}; remove such samples")
    return arrays


def _misfit(kind: str, present: str, better: str) -> ValueError:
    return ValueError(f"{WANTED[kind]}, got {present}; use task={better}")


def _listed(arrays: ImageArrays) -> str:
    names = arrays.class_names
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
