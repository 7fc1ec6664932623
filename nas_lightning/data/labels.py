"""Labels as files hold them: integers, text, numbers, or several an image; made to tensors."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Raw = NDArray[Any] | Sequence[Any]
Encoded = tuple[Tensor, Tensor | None, tuple[str, ...]]


def encode(train: Raw, test: Raw | None, names: Sequence[str] | None = None) -> Encoded:
    """Labels as tensors, and the names of what they stand for.

    Integers and text become classes: without names of their own they are named by what they are,
    integers in their order, text sorted. Numbers with a fraction become one column, a table
    (N, K) becomes K columns, and lists of any length become one column a label, 1 where it is.

    Args:
        train: of the training images, (N,), (N, K), or N lists.
        test: of the test images; None without a test division.
        names: of the classes or columns, if the file tells them; text in labels is looked up there.

    Returns:
        int64 (N,) or float32 (N, K), the same of the test images, and the names.

    Raises:
        ValueError: if labels are of no kind that can be learnt, or a test label is unknown.
    """
    first, other = _array(train), None if test is None else _array(test)
    if first.dtype == object:
        return _encode_lists(first, other, names)
    if first.ndim > 2 or (other is not None and first.shape[1:] != other.shape[1:]):
        shapes = f"{first.shape}" if other is None else f"{first.shape} and {other.shape}"
        raise ValueError(f"labels must be one an image, or a row an image; got {shapes}")
    if first.ndim == 2:
        names = names or [str(column) for column in range(first.shape[1])]
        return _columns(first), None if other is None else _columns(other), tuple(names)
    if first.dtype.kind == "f":
        pair = [None if each is None else _columns(each[:, None]) for each in (first, other)]
        assert pair[0] is not None
        return pair[0], pair[1], tuple(names or ("value",))
    return _encode_classes(first, other, names)


def _array(values: Raw) -> NDArray[Any]:
    """Labels (N,) or (N, K) of numbers or text, or (N,) of lists."""
    rows = values if isinstance(values, np.ndarray) else list(values)
    if any(each is None for each in rows):
        raise ValueError("every image needs a label, got none (null) for some; remove those")
    try:
        found = np.asarray(rows)
    except ValueError:  # lists of different lengths
        found = np.empty(len(rows), object)
        found[:] = rows
    if found.dtype == object and all(isinstance(each, str | bytes) for each in found.flat):
        found = np.array([_text(each) for each in found])
    if found.dtype.kind == "S":
        found = np.char.decode(found, "utf-8")
    if found.dtype.kind == "b":
        found = found.astype(np.int64)
    if found.ndim == 2 and found.dtype.kind == "U":  # several names an image, equally many
        texts, found = found, np.empty(len(found), object)
        found[:] = [list(row) for row in texts]
    return found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found


def _text(value: str | bytes) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _columns(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _encode_classes(
    train: NDArray[Any], test: NDArray[Any] | None, names: Sequence[str] | None
) -> Encoded:
    if names is not None and train.dtype.kind != "U":
        codes = [None if e is None else torch.from_numpy(e.astype(np.int64)) for e in (train, test)]
        assert codes[0] is not None
        return codes[0], codes[1], tuple(names)
    known = list(names) if names is not None else np.unique(train).tolist()
    places = {value: place for place, value in enumerate(known)}
    pair = [None if each is None else _looked_up(each.tolist(), places) for each in (train, test)]
    assert pair[0] is not None
    return pair[0], pair[1], tuple(str(value) for value in known)


def _looked_up(values: Iterable[Any], places: dict[Any, int]) -> Tensor:
    try:
        return torch.tensor([places[value] for value in values], dtype=torch.int64)
    except KeyError as error:
        raise _unknown(error.args[0], places) from None


def _encode_lists(
    train: NDArray[Any], test: NDArray[Any] | None, names: Sequence[str] | None
) -> Encoded:
    """Several labels an image, each named or numbered."""
    try:
        found = sorted({value for row in train for value in row})
    except TypeError as error:
        raise ValueError(
            f"labels must be integers, text, numbers, or lists of the former; got {train[0]!r}"
        ) from error
    known: list[Any] = found
    if names is not None:
        known = list(names) if found and isinstance(found[0], str) else list(range(len(names)))
    places = {value: place for place, value in enumerate(known)}
    pair = [None if each is None else _several(each, places) for each in (train, test)]
    assert pair[0] is not None
    return pair[0], pair[1], tuple(names or (str(value) for value in known))


def _several(rows: NDArray[Any], places: dict[Any, int]) -> Tensor:
    table = torch.zeros(len(rows), len(places))
    for number, row in enumerate(rows):
        for value in row:
            if value not in places:
                raise _unknown(value, places)
            table[number, places[value]] = 1
    return table


def _unknown(value: Any, places: dict[Any, int]) -> ValueError:
    known = ", ".join(str(each) for each in list(places)[:10])
    return ValueError(f"label '{value}' is none of those of the training images: {known}; add some")
