"""Labels as files hold them (integers, text, numbers, several per image), made to tensors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Raw", "encode"]

Raw = NDArray[Any] | Sequence[Any]
Array = NDArray[Any]
Encoded = tuple[Tensor, Tensor, tuple[str, ...]]


def encode(train: Raw, test: Raw | None, names: Sequence[str] | None = None) -> Encoded:
    """Returns labels as tensors, and the names of what they stand for.

    Integers and text become classes: without names of their own they are named by what they are,
    integers in their order, text sorted. Numbers with a fraction become one column, a table
    (N, K) becomes K columns, and lists of any length become one column per label, 1 where it is.

    Args:
        train: of the training images, (N,), (N, K), or N lists.
        test: of the test images; None, without a test division, gives none.
        names: of the classes or columns, if the file tells them; text in labels is looked up there.

    Returns:
        Labels, int64 (N,) or float32 (N, K), those of the test images, and the names.

    Raises: ValueError: labels are of no kind that can be learnt, or a test label is unknown.
    """
    first = _array(train)
    other = first[:0] if test is None else _array(test)
    if first.dtype == object:
        return _encode_lists(first, other, names)
    if first.ndim > 2 or first.shape[1:] != other.shape[1:]:
        shapes = f"{first.shape}" if test is None else f"{first.shape} and {other.shape}"
        raise ValueError(f"labels must be one per image, or a row per image; got {shapes}")
    if first.ndim == 2:
        columns = names or [str(column) for column in range(first.shape[1])]
        return _columns(first), _columns(other), tuple(columns)
    if first.dtype.kind == "f":
        return _columns(first[:, None]), _columns(other[:, None]), tuple(names or ("value",))
    if names is not None and first.dtype.kind != "U":
        codes = [torch.from_numpy(each.astype(np.int64)) for each in (first, other)]
        return codes[0], codes[1], tuple(names)
    values = list(names) if names is not None else np.unique(first).tolist()
    places = {value: place for place, value in enumerate(values)}
    codes = [_looked_up(each.tolist(), places) for each in (first, other)]
    return codes[0], codes[1], tuple(str(value) for value in values)


def _array(values: Raw) -> Array:
    """Returns labels (N,) or (N, K) of numbers or text, or (N,) of lists."""
    rows = values if isinstance(values, np.ndarray) else list(values)
    if any(each is None for each in rows):
        raise ValueError("every image needs a label, got none (null) for some; remove those")
    try:
        array = np.asarray(rows)
    except ValueError:  # lists of different lengths
        array = _of_lists(rows)
    if array.dtype == object and all(isinstance(each, str | bytes) for each in array.flat):
        texts = [each.decode("utf-8") if isinstance(each, bytes) else each for each in array]
        array = np.array(texts)
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


def _columns(values: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _looked_up(values: Sequence[Any], places: Mapping[Any, int]) -> Tensor:
    try:
        return torch.tensor([places[value] for value in values], dtype=torch.int64)
    except KeyError as error:
        names = ", ".join(str(each) for each in list(places)[:10])
        raise ValueError(
            f"label '{error.args[0]}' is none of those of the training images: {names}; add some"
        ) from None


def _encode_lists(train: Array, test: Array, names: Sequence[str] | None) -> Encoded:
    """Returns several labels per image, each named or numbered, as columns."""
    try:
        values: list[Any] = sorted({value for row in train for value in row})
    except TypeError as error:
        raise ValueError(
            f"labels must be integers, text, numbers, or lists of the former; got {train[0]!r}"
        ) from error
    if names is not None:
        values = list(names) if values and isinstance(values[0], str) else list(range(len(names)))
    places = {value: place for place, value in enumerate(values)}
    tables = []
    for rows in (train, test):
        table = torch.zeros(len(rows), len(places))
        for number, row in enumerate(rows):
            table[number, _looked_up(row, places)] = 1
        tables.append(table)
    return tables[0], tables[1], tuple(names or (str(value) for value in values))
