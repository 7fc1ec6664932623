"""What a data set must be like before it is used."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from nas_lightning.data.dataset_checks import check
from nas_lightning.data.images import (
    ImageArrays,
    MemoryImages,
    ResizedImages,
    as_size,
    from_numpy,
    resize,
)

Source = Callable[..., ImageArrays]


def test_resizing_a_constant_image_keeps_its_value() -> None:
    images = torch.full((2, 1, 9, 9), 200, dtype=torch.uint8)
    assert torch.equal(resize(images, (8, 12)), torch.full((2, 1, 8, 12), 200, dtype=torch.uint8))


def test_halving_an_image_keeps_its_mean() -> None:
    images = torch.randint(
        256, (4, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    means = [each.float().mean((0, 2, 3)) for each in (images, resize(images, (16, 16)))]
    # Borders are weighted otherwise by the antialiasing filter, and levels are rounded.
    torch.testing.assert_close(means[0], means[1], atol=1.0, rtol=0)


def test_resized_images_report_their_new_shape() -> None:
    images = ResizedImages(MemoryImages(torch.zeros(3, 2, 10, 12, dtype=torch.uint8)), (8, 9))
    assert (len(images), images.shape) == (3, (2, 8, 9))
    assert images.read(torch.tensor([0, 2])).shape == (2, 2, 8, 9)


@pytest.mark.parametrize(("size", "expected"), [(8, (8, 8)), ([9, 12], (9, 12))])
def test_a_size_is_one_side_or_two(size: int | list[int], expected: tuple[int, int]) -> None:
    assert as_size(size) == expected


@pytest.mark.parametrize(
    ("size", "shown"),
    [(7, "7"), (0, "0"), ([32, 4], r"\[32, 4\]"), ([8, 8, 8], r"\[8, 8, 8\]"), ("abc", "abc")],
)
def test_an_impossible_size_is_refused(size: int | list[int], shown: str) -> None:
    with pytest.raises(ValueError, match=rf"data.image_size \({shown}\) must be .* at least 8"):
        as_size(size)


def test_images_of_another_type_are_refused() -> None:
    images = np.zeros((3, 8, 8), dtype=np.float64)
    with pytest.raises(ValueError, match=r"must be uint8 \(N, C, H, W\), got float64 \(3, 8, 8\)"):
        from_numpy(images, np.arange(3), ["a", "b", "c"])  # type: ignore[arg-type]


def test_a_sound_data_set_passes(noise: Source) -> None:
    check(noise())


def test_a_class_with_one_image_is_refused(noise: Source) -> None:
    labels = torch.tensor([0, 1] * 29 + [0, 2])
    with pytest.raises(ValueError, match=r"at least 2 training samples.*class 'cat' has 1"):
        check(replace(noise(), train_labels=labels))


def test_a_single_class_is_refused(noise: Source) -> None:
    with pytest.raises(ValueError, match=r"at least 2 classes, got 1 \(ant\)"):
        check(replace(noise(), class_names=("ant",)))


def test_a_label_without_a_class_is_refused(noise: Source) -> None:
    with pytest.raises(ValueError, match=r"training labels must be in \[0, 2\), got 0..2"):
        check(replace(noise(), class_names=("ant", "bee")))


def test_a_missing_label_is_refused(noise: Source) -> None:
    arrays = noise()
    with pytest.raises(ValueError, match=r"test set .* got 12 samples and 11 labels"):
        replace(arrays, test_labels=arrays.test_labels[1:])


def test_a_missing_label_is_refused_before_a_test_set_is_split_off() -> None:
    images = np.zeros((30, 1, 8, 8), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"training set .* got 30 samples and 28 labels"):
        from_numpy(images, np.arange(28) % 2, ["a", "b"])


def test_an_empty_test_set_is_refused(noise: Source) -> None:
    empty = MemoryImages(torch.zeros(0, 2, 10, 12, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"the test set must hold images, got 0"):
        check(replace(noise(), test=empty, test_labels=torch.zeros(0, dtype=torch.int64)))


def test_test_images_of_another_shape_are_refused(noise: Source) -> None:
    arrays = noise()
    with pytest.raises(ValueError, match=r"\(2, 10, 12\), got \(2, 8, 8\)"):
        check(replace(arrays, test=ResizedImages(arrays.test, (8, 8))))


def test_tiny_images_are_refused(noise: Source) -> None:
    tiny = MemoryImages(torch.zeros(60, 1, 4, 9, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"at least 8 pixels per side, got 4x9; scale .*; signals"):
        check(replace(noise(), train=tiny))
