"""Targets are made what the task wants, or refused with the task that fits."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nas_lightning.data.dataset_checks import check
from nas_lightning.data.images import ImageArrays
from nas_lightning.data.labels import fit

Source = Callable[..., ImageArrays]


@pytest.fixture
def with_columns(noise: Source) -> Callable[..., ImageArrays]:
    """Makes a data set whose targets are columns (60 + 12, K)."""

    def made(columns: Tensor, names: tuple[str, ...] = ("a", "b", "c")) -> ImageArrays:
        names = names[: columns.shape[1]]
        return replace(
            noise(), train_labels=columns[:60], test_labels=columns[60:], class_names=names
        )

    return made


HOT = torch.eye(3)[torch.arange(72) % 3]
SEVERAL = (torch.arange(72)[:, None] // torch.tensor([1, 2, 4]) % 2).float()


def test_classes_stay_classes(noise: Source) -> None:
    arrays = noise()
    assert fit(arrays, "classes") is arrays


def test_one_hot_columns_become_classes(with_columns: Callable[..., ImageArrays]) -> None:
    assert torch.equal(fit(with_columns(HOT), "classes").train_labels, torch.arange(60) % 3)


def test_whole_numbers_become_classes(with_columns: Callable[..., ImageArrays]) -> None:
    numbers = (torch.arange(72) % 3 * 10.0)[:, None]
    arrays = fit(with_columns(numbers), "classes")
    assert arrays.class_names == ("0", "10", "20")
    assert torch.equal(arrays.test_labels, torch.arange(12) % 3)


def test_classes_named_by_numbers_become_values(noise: Source) -> None:
    arrays = fit(replace(noise(), class_names=("5", "10", "2.5")), "values")
    assert arrays.train_labels[:3].tolist() == [[5.0], [10.0], [2.5]]
    assert arrays.class_names == ("value",)


def test_labels_and_values_pass_the_check(with_columns: Callable[..., ImageArrays]) -> None:
    check(fit(with_columns(SEVERAL), "labels"), num_classes=3)
    check(fit(with_columns(torch.arange(144.0).view(72, 2)), "values"))


@pytest.mark.parametrize(
    ("columns", "kind", "message"),
    [
        (SEVERAL, "classes", r"needs one class per sample, got 3 columns .*; use task=multilabel"),
        (SEVERAL[:, :1] / 3, "classes", r"got numbers such as 0.333333; use task=regression"),
        (SEVERAL * 5, "labels", r"columns of 0 and 1, .* from 0 to 5; use task=regression"),
        (SEVERAL / (SEVERAL < 1), "values", r"got inf for training sample 1 \(the first is 0\)"),
    ],
)
def test_columns_that_do_not_fit_are_refused(
    with_columns: Callable[..., ImageArrays], columns: Tensor, kind: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit(with_columns(columns), kind)


@pytest.mark.parametrize(
    ("kind", "found"), [("labels", r"one class per sample \(ant, bee"), ("values", r"classes: ant")]
)
def test_classes_that_do_not_fit_are_refused(noise: Source, kind: str, found: str) -> None:
    with pytest.raises(ValueError, match=rf"got {found}.*; use task=classification"):
        fit(noise(), kind)


def test_a_column_that_never_varies_is_refused(with_columns: Callable[..., ImageArrays]) -> None:
    with pytest.raises(ValueError, match=r"must vary over the training samples; 'b' is always 0"):
        check(with_columns(SEVERAL * torch.tensor([1, 0, 1])))


def test_columns_need_a_name_each(with_columns: Callable[..., ImageArrays]) -> None:
    with pytest.raises(ValueError, match=r"got 3 columns and 1 names \(a\)"):
        check(with_columns(SEVERAL, ("a",)))
