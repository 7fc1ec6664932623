"""Arrays of any layout and type become uint8 images (N, C, H, W)."""

from typing import Any

import numpy as np
import pytest
import torch

from nas_lightning.data.pixels import as_pixels, with_channels


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
    (images,) = as_pixels([("training", np.zeros(shape, np.uint8))], layout)
    assert images.shape[1:] == found


@pytest.mark.parametrize(
    ("values", "pixels"),
    [
        (np.array([0, 17, 255], np.int64), [0, 17, 255]),
        (np.array([0, 0.5, 1], np.float32), [0, 128, 255]),
        (np.array([False, True, True]), [0, 255, 255]),
    ],
)
def test_numbers_become_levels(values: Any, pixels: list[int]) -> None:
    (images,) = as_pixels([("training", np.broadcast_to(values[:, None, None], (3, 8, 8)))])
    assert images[:, 0, 0, 0].tolist() == pixels


@pytest.mark.parametrize(
    ("values", "stated", "pixels"),
    [
        (np.array([0, 17.4, 255]), (0, 255), [0, 17, 255]),
        (np.array([-1, 0, 1.0]), (-1, 1), [0, 128, 255]),
        (np.array([0, 30000, 60000], np.uint16), (0, 60000), [0, 128, 255]),
        (np.array([0, 1, 1], np.uint8), (0, 1), [0, 255, 255]),
    ],
)
def test_a_range_that_is_told_is_that_of_both_parts(
    values: Any, stated: tuple[float, float], pixels: list[int]
) -> None:
    arrays = np.broadcast_to(values[:, None, None], (3, 8, 8))
    for images in as_pixels([("training", arrays), ("test", arrays[::-1])], None, stated):
        assert sorted(images[:, 0, 0, 0].tolist()) == pixels


@pytest.mark.parametrize(
    ("low", "high", "kind", "message"),
    [
        (0.1, 1.02, np.float32, r"float32 must lie in \[0, 1\], got 0.1 to 1.02; .*data.range=\["),
        (0, 255, np.float64, r"float64 must lie in \[0, 1\], got 0 to 255; say which numbers"),
        (-1, 1, np.int64, r"int64 must lie in \[0, 255\], got -1 to 1; say which numbers are bl"),
        (0, 60000, np.uint16, r"uint16 must lie in \[0, 255\], got 0 to 60000; say which num"),
    ],
)
def test_a_range_is_not_guessed_from_the_numbers(
    low: float, high: float, kind: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        as_pixels([("training", np.linspace(low, high, 128).reshape(2, 8, 8).astype(kind))])


@pytest.mark.parametrize(
    "test", [np.zeros((2, 8, 9, 3)), np.zeros((2, 3, 8, 9), np.uint8), np.zeros((2, 8, 9))]
)
def test_parts_that_are_not_alike_are_refused(test: Any) -> None:
    with pytest.raises(ValueError, match=r"type and the layout of the training .* float64 \(N, 3"):
        as_pixels([("training", np.zeros((2, 3, 8, 9))), ("test", test)])


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
        as_pixels([("training", np.zeros((2, 8, 8))), ("test", test)])


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
        as_pixels([("training", images)], layout)
