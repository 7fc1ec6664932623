"""Arrays of any layout and type become uint8 images (N, C, H, W)."""

from typing import Any

import numpy as np
import pytest
import torch

from nas_lightning.data.pixels import as_images, with_channels


@pytest.mark.parametrize(
    ("shape", "layout", "found"),
    [
        ((2, 8, 9), None, (1, 8, 9)),
        ((2, 3, 8, 9), None, (3, 8, 9)),
        ((2, 8, 9, 3), None, (3, 8, 9)),
        ((2, 13, 16, 16), None, (13, 16, 16)),
        ((2, 16, 16, 13), None, (13, 16, 16)),
        ((2, 10, 11, 12), "NHWC", (12, 10, 11)),
        ((2, 10, 11, 12), "NCHW", (10, 11, 12)),
    ],
)
def test_the_axis_of_the_channels_is_found(
    shape: tuple[int, ...], layout: str | None, found: tuple[int, ...]
) -> None:
    images, _ = as_images(np.zeros(shape, np.uint8), None, layout)
    assert images.shape == found


@pytest.mark.parametrize(
    ("values", "pixels"),
    [
        (np.array([0, 17, 255], np.int64), [0, 17, 255]),
        (np.array([0, 17.4, 255]), [0, 17, 255]),
        (np.array([0, 0.5, 1], np.float32), [0, 128, 255]),
        (np.array([False, True, True]), [0, 255, 255]),
        (np.array([-1, 0, 1.0]), [0, 128, 255]),
        (np.array([0, 30000, 60000], np.uint16), [0, 128, 255]),
    ],
)
def test_numbers_become_levels(values: Any, pixels: list[int]) -> None:
    images, _ = as_images(np.broadcast_to(values[:, None, None], (3, 8, 8)), None)
    assert images.pixels[:, 0, 0, 0].tolist() == pixels


def test_the_test_images_are_scaled_as_the_training_images() -> None:
    train, test = np.array([-1.0, 1.0]), np.array([3.0, 0.0])
    _, images = as_images(*(each[:, None, None] * np.ones((2, 8, 8)) for each in (train, test)))
    assert images is not None
    assert images.pixels[:, 0, 0, 0].tolist() == [255, 128]


@pytest.mark.parametrize(
    ("found", "wanted", "pixel"),
    [
        (1, 3, [10, 10, 10]),
        (3, 1, [round(0.299 * 10 + 0.587 * 20 + 0.114 * 30)]),
        (4, 3, [10, 20, 30]),
        (3, 4, [10, 20, 30, 255]),
        (2, None, [10, 20]),
    ],
)
def test_channels_are_made_of_others(found: int, wanted: int | None, pixel: list[int]) -> None:
    pixels = torch.tensor([10, 20, 30, 40], dtype=torch.uint8)[:found].view(1, found, 1, 1)
    assert with_channels(pixels, wanted).flatten().tolist() == pixel


def test_channels_that_cannot_be_made_are_refused() -> None:
    with pytest.raises(ValueError, match=r"data.channels \(3\) cannot .* with 13 channels"):
        with_channels(torch.zeros(1, 13, 8, 8, dtype=torch.uint8), 3)


def test_a_test_image_that_holds_no_numbers_is_named() -> None:
    test = np.zeros((3, 8, 8))
    test[2, 1, 1] = np.inf
    with pytest.raises(ValueError, match=r"got nan or inf in test image 2 \(the first is 0\)"):
        as_images(np.zeros((2, 8, 8)), test)


@pytest.mark.parametrize(
    ("images", "layout", "message"),
    [
        (np.zeros((2, 10, 11, 12)), None, r"not clear which axis of images \(10, 11, 12\)"),
        (np.zeros((2, 784)), None, r"must be an array \(N, H, W\), .* got \(2, 784\)"),
        (np.zeros((2, 8, 8)), "HWCN", r"unknown data.source.layout 'HWCN'; choose from: NCHW"),
        (np.full((2, 8, 8), np.nan), None, r"got nan or inf in training image 0"),
        (np.full((2, 8, 8), "x"), None, r"arrays of numbers, got <U1"),
        (np.zeros((0, 8, 8)), None, r"must hold images, got an array \(0, 8, 8\)"),
    ],
)
def test_what_is_no_image_is_refused(images: Any, layout: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_images(images, None, layout)
