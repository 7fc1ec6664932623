"""Augmentation against slow references that handle one pixel at a time."""

import pytest
import torch
from torch import Tensor

from nas_lightning.data.augmentation import (
    NO_AUGMENTATION,
    Augmentation,
    Draws,
    crop,
    cut_hole_,
    flip,
)
from nas_lightning.data.split import keyed_generator

NUM, CHANNELS, HEIGHT, WIDTH = 6, 2, 5, 7


@pytest.fixture
def images() -> Tensor:
    shape = (NUM, CHANNELS, HEIGHT, WIDTH)
    return torch.randint(1, 256, shape, generator=keyed_generator("images"), dtype=torch.uint8)


@pytest.fixture
def draws() -> Draws:
    return Augmentation(2, True, 3).draw(NUM, (HEIGHT, WIDTH), keyed_generator("draws"))


def places() -> list[tuple[int, int, int, int]]:
    shape = (NUM, CHANNELS, HEIGHT, WIDTH)
    return [tuple(place) for place in torch.ones(shape).nonzero().tolist()]


def test_crop_moves_each_image_by_its_own_draw(images: Tensor, draws: Draws) -> None:
    expected = torch.zeros_like(images)
    for n, c, y, x in places():
        row, column = y + int(draws.top[n]) - 2, x + int(draws.left[n]) - 2
        if 0 <= row < HEIGHT and 0 <= column < WIDTH:
            expected[n, c, y, x] = images[n, c, row, column]
    assert torch.equal(crop(images, 2, draws.top, draws.left), expected)


def test_flip_mirrors_the_drawn_images_only(images: Tensor, draws: Draws) -> None:
    expected = images.clone()
    for n, c, y, x in places():
        if draws.flipped[n]:
            expected[n, c, y, x] = images[n, c, y, WIDTH - 1 - x]
    assert torch.equal(flip(images, draws.flipped), expected)


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_cutout_clears_a_square_around_each_centre(images: Tensor, draws: Draws, side: int) -> None:
    expected = images.float()
    for n, c, y, x in places():
        top, left = int(draws.hole_y[n]) - side // 2, int(draws.hole_x[n]) - side // 2
        if top <= y < top + side and left <= x < left + side:
            expected[n, c, y, x] = 0
    assert torch.equal(cut_hole_(images.float(), side, draws.hole_y, draws.hole_x), expected)


def test_every_place_of_a_crop_is_drawn() -> None:
    draws = Augmentation(1, False).draw(500, (8, 8), keyed_generator("places"))
    assert set(zip(draws.top.tolist(), draws.left.tolist(), strict=True)) == {
        (top, left) for top in range(3) for left in range(3)
    }


def test_half_of_the_images_are_flipped() -> None:
    draws = Augmentation(0, True).draw(10_000, (8, 8), keyed_generator("flips"))
    # Four standard deviations of a fair coin's share: 4 * 0.5 / sqrt(10,000).
    assert abs(float(draws.flipped.float().mean()) - 0.5) < 0.02


def test_no_augmentation_leaves_the_images_alone(images: Tensor, draws: Draws) -> None:
    assert NO_AUGMENTATION.cut(NO_AUGMENTATION.move(images, draws), draws) is images


def test_the_larger_hole_counts() -> None:
    assert [Augmentation(1, False, 4).with_cutout(side).cutout for side in (0, 8)] == [4, 8]


def test_a_negative_padding_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data.augmentation.crop_padding \(-1\) must be at lea"):
        Augmentation(-1, False)


def test_columns_are_mixed_as_they_are() -> None:
    images, columns = torch.arange(4.0).view(4, 1, 1, 1), torch.arange(4.0)[:, None]
    mixed, targets = Augmentation(0, False, mixup=1.0).mix(images, columns, 1, keyed_generator(0))
    assert torch.equal(mixed.view(4, 1), targets)
    assert not torch.equal(targets, columns)


def test_a_negative_mixup_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data.augmentation.mixup \(-0.2\) must be in \[0, inf\)"):
        Augmentation(0, False, mixup=-0.2)


def test_a_negative_hole_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data.augmentation.cutout \(-2\) must be at least 0"):
        Augmentation(0, False, -2)
