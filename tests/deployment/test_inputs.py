"""What a user has becomes the batch that a child was trained on, or is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from nas_lightning.deployment.inputs import Inputs

COLOUR = {"mean": [0.5, 0.25, 0.0], "std": [0.5, 0.25, 1.0]}
GREY = {"mean": [0.5], "std": [0.5]}
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (4, 3, 9, 8), dtype=np.uint8)


def normalised(pixels):
    mean, std = (np.array(COLOUR[key])[:, None, None] for key in ("mean", "std"))
    return torch.from_numpy((pixels / 255 - mean) / std).float()


@pytest.fixture
def colour():
    return Inputs((3, 9, 8), COLOUR)


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)  # of float32


@pytest.mark.parametrize(
    "images",
    [
        PIXELS,
        torch.from_numpy(PIXELS),
        PIXELS.transpose(0, 2, 3, 1),
        PIXELS.astype(np.int64),
        PIXELS.astype(">u2"),
        list(PIXELS),
        (PIXELS[:1], [PIXELS[1].transpose(1, 2, 0), torch.from_numpy(PIXELS[2:])]),
        [Image.fromarray(image.transpose(1, 2, 0)) for image in PIXELS],
    ],
    ids=["NCHW", "tensor", "NHWC", "int64", "big-endian", "list", "nested", "PIL"],
)
def test_pixels_of_any_layout_become_the_normalised_images(colour, images):
    close(colour.batch(images), normalised(PIXELS))


def test_grey_images_need_no_channel_axis():
    grey, wanted = Inputs((1, 9, 8), GREY), torch.from_numpy(PIXELS[:, :1] / 127.5 - 1).float()
    close(grey.batch(PIXELS[:, 0]), wanted)
    close(grey.batch(PIXELS[0, 0]), wanted[:1])
    close(grey.batch(PIXELS[:1, 0]), wanted[:1])
    close(grey.batch(PIXELS[0, 0, :, :, None]), wanted[:1])
    black_and_white = np.eye(9, 8, dtype=bool)
    close(
        grey.batch(black_and_white), torch.from_numpy(black_and_white * 2.0 - 1).float()[None, None]
    )


def test_an_image_of_another_size_and_mode_is_brought_to_the_childs(colour):
    image = Image.new("L", (31, 20), 100)
    close(colour.batch(image), normalised(np.full((1, 3, 9, 8), 100)))


def test_floats_are_pixels_where_the_card_knows_their_range():
    inputs = Inputs((3, 9, 8), COLOUR | {"range": [0.0, 1.0]})
    close(inputs.batch(PIXELS / 255), normalised(PIXELS))
    wide = Inputs((3, 9, 8), COLOUR | {"range": [0, 510]})
    close(wide.batch(PIXELS.astype(np.int32) * 2), normalised(PIXELS))


@pytest.mark.parametrize("shape", [(2, 6), (7,), (2, 3, 4, 5)])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16])
def test_signals_and_rows_of_numbers_are_taken_as_they_are(shape, kind):
    numbers = RNG.normal(0, 10, (5, *shape)).astype(kind)
    inputs = Inputs(shape, {})
    expected = torch.from_numpy(numbers.astype(np.float32))
    assert torch.equal(inputs.batch(numbers), expected)
    assert torch.equal(inputs.batch(torch.from_numpy(numbers[1])), expected[1:2])


def test_images_that_a_user_normalised_are_taken_as_they_are():
    images = torch.randn(2, 3, 9, 8)
    assert torch.equal(Inputs((3, 9, 8), {"channels": 3}).batch(images), images)


@pytest.mark.parametrize(
    ("shape", "card", "value", "message"),
    [
        ((3, 9, 8), COLOUR, [], r"need at least one input, got none"),
        ((3, 9, 8), COLOUR, PIXELS / 255, r"floats may hold pixels of any range, .* as uint8, or"),
        ((3, 9, 8), COLOUR, PIXELS * np.int64(2), r"pixels must be in \[0, 255\], got 0 to 5"),
        (
            (3, 9, 8),
            COLOUR | {"range": [0, 1]},
            np.full((3, 9, 8), np.nan),
            r"must be in \[0, 1\], got nan to nan; scale",
        ),
        ((3, 9, 8), COLOUR, PIXELS[0, 0], r"pixels \(9, 8\) must be .* here C=3 .*H=9, W=8; resi"),
        ((3, 9, 8), COLOUR, PIXELS[..., :5], r"pixels \(4, 3, 9, 5\) must be \(H, W, C\)"),
        ((8, 8, 8), COLOUR, PIXELS[0, 0], r"pixels \(9, 8\) must be"),
        ((8, 8, 8), COLOUR, np.zeros((8, 8, 8), int), r"with one meaning only: here C=8"),
        (
            (2, 6),
            {},
            np.zeros((6, 2)),
            r"array \(6, 2\) must be one input \(2, 6\), or .*\(N, 2, 6\)",
        ),
        ((2, 6), {}, "a.png", r"an image \(a\.png\) cannot become an input of shape \(2, 6\)"),
        ((3, 9, 8), {}, Image.new("L", (8, 9)), r"cannot become an input of shape \(3, 9, 8\)"),
        ((3, 9, 8), {}, PIXELS, r"images of torch\.uint8 must be floats as this child was trained"),
    ],
)
def test_what_is_not_known_is_refused(shape, card, value, message):
    with pytest.raises(ValueError, match=message):
        Inputs(shape, card).batch(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3.5, r"an input \(3\.5\) must be an image file, .* got float; make numbers an array"),
        ([[1.0, 2.0]], r"an input \(1\.0\) must be"),
        (None, r"an input \(None\) must be .* got NoneType"),
        (np.array(["a.png"]), r"an array must hold numbers, got <U5"),
    ],
)
def test_other_things_are_refused(colour, value, message):
    with pytest.raises(TypeError, match=message):
        colour.batch(value)
