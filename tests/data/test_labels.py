"""Labels of any kind become tensors and names."""

from typing import Any

import numpy as np
import pytest
import torch

from nas_lightning.data.labels import encode


@pytest.mark.parametrize(
    ("train", "test", "codes", "names"),
    [
        ([30, 10, 20], [20, 10], ([2, 0, 1], [1, 0]), ("10", "20", "30")),
        (np.array([[3], [1]], np.uint8), np.array([[1]]), ([1, 0], [0]), ("1", "3")),
        (["cat", "ant"], ["cat"], ([1, 0], [1]), ("ant", "cat")),
        ([b"cat", b"ant"], [b"ant"], ([1, 0], [0]), ("ant", "cat")),
        ([True, False], [True], ([1, 0], [1]), ("0", "1")),
    ],
)
def test_integers_and_text_become_classes(
    train: Any, test: Any, codes: Any, names: tuple[str, ...]
) -> None:
    first, other, found = encode(train, test)
    assert other is not None
    assert (first.tolist(), other.tolist(), found) == (*codes, names)


def test_names_that_are_told_keep_their_order() -> None:
    assert encode([1, 0], None, ["wasp", "ant"])[2] == ("wasp", "ant")
    codes, _, names = encode(["ant", "wasp"], None, ["wasp", "ant"])
    assert (codes.tolist(), names) == ([1, 0], ("wasp", "ant"))


def test_numbers_become_a_column_and_tables_columns() -> None:
    values, _, names = encode([0.5, 1.5], None)
    assert (values.tolist(), names) == ([[0.5], [1.5]], ("value",))
    table, test, names = encode(np.array([[1, 0], [0, 1]]), np.array([[1, 1]]))
    assert (table.dtype, names) == (torch.float32, ("0", "1"))
    assert test is not None
    assert test.tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("rows", "names", "expected"),
    [
        ([["bee", "ant"], ["ant"]], None, ("ant", "bee")),
        ([["bee", "ant"], ["ant", "bee"]], None, ("ant", "bee")),
        ([[1, 0], [0]], ["ant", "bee"], ("ant", "bee")),
        ([[7, 3], [3]], None, ("3", "7")),
    ],
)
def test_lists_become_a_column_a_label(
    rows: Any, names: list[str] | None, expected: tuple[str, ...]
) -> None:
    table, _, found = encode(rows, None, names)
    assert (table[0].tolist(), found) == ([1, 1], expected)


@pytest.mark.parametrize("test", [["wasp"], [["wasp"], []]])
def test_a_label_that_training_lacks_is_refused(test: Any) -> None:
    train = ["ant", "bee"] if test == ["wasp"] else [["ant", "bee"], ["ant"]]
    with pytest.raises(ValueError, match=r"label 'wasp' is none of .*: ant, bee"):
        encode(train, test)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, None], r"every sample needs a label, got none \(null\)"),
        (np.zeros((2, 3, 3)), r"one per sample, or a row per sample; got \(2, 3, 3\)"),
    ],
)
def test_labels_of_no_kind_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode(labels, None)
