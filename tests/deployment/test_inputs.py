"""What a user has becomes the batch that a child was trained on, or is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from nas_lightning.data.from_arrays import data_of_arrays
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
    wide = Inputs((3, 9, 8), COLOUR | {"range": [-1, 509]})
    close(wide.batch(PIXELS * 2.0 - 1), normalised(PIXELS))
    close(wide.batch(PIXELS), normalised(PIXELS))


def test_floats_are_pixels_where_the_network_was_trained_on_pixels_as_shares():
    images = torch.rand(2, 3, 9, 8)
    plain = Inputs((3, 9, 8), {"mean": [0.0] * 3, "std": [1.0] * 3})
    assert torch.equal(plain.batch(images), images)
    with pytest.raises(ValueError, match=r"such pixels must be in \[0, 1\], got"):
        plain.batch(images * 2)


@pytest.mark.parametrize("shape", [(3, 9, 8), (9, 8), (9, 8, 3), (2, 30), (5,)])
@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_test_arrays_given_in_python_become_what_the_child_was_tested_on(shape, kind):
    is_table_or_signal = len(shape) == 1 or shape == (2, 30)
    low = -1 if is_table_or_signal and kind == np.float64 else 0
    x = (
        RNG.uniform(low, 1, (40, *shape))
        if kind == np.float64
        else RNG.integers(0, 256, (40, *shape), dtype=np.uint8)
    )
    options = {"kind": "signals" if shape == (2, 30) else "images"} if len(shape) == 2 else {}
    y = np.arange(20) % 2
    data = data_of_arrays(x[:20], y, (x[20:], y), seed=0, batch_size=8, **options)
    data.load()
    inputs = Inputs(data.input_shape, data.preprocessing)
    close(inputs.batch(x[20:]), torch.from_numpy(data.test_arrays()[0]))


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
        ((3, 9, 8), COLOUR, PIXELS / 255, r"floats may hold pixels of any range, .* as uint8, or"),
        ((3, 9, 8), COLOUR, PIXELS * np.int64(2), r"such pixels must be in \[0, 255\], got 0 to 5"),
        (
            (3, 9, 8),
            COLOUR | {"range": [0, 1]},
            np.full((3, 9, 8), np.nan),
            r"such pixels must be in \[0, 1\], got nan to nan; scale or clip",
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


@pytest.mark.parametrize("nothing", [[], (), [[], []], np.array([]), PIXELS[:0], iter([])])
def test_nothing_is_an_empty_batch(colour, nothing):
    assert colour.batch(nothing).shape == (0, 3, 9, 8)


@pytest.mark.parametrize("card", [{}, {"mean": [0.0] * 2, "std": [2.0] * 2}])
def test_no_signal_is_an_empty_batch(card):
    assert Inputs((2, 6), card).batch(np.zeros((0, 2, 6))).shape == (0, 2, 6)


def test_no_floats_are_an_empty_batch():
    ranged = Inputs((3, 9, 8), COLOUR | {"range": [0, 1]})
    assert ranged.batch(np.zeros((0, 3, 9, 8))).shape == (0, 3, 9, 8)


def test_a_mixed_list_becomes_one_batch(colour, tmp_path):
    image = Image.fromarray(PIXELS[0].transpose(1, 2, 0))
    image.save(tmp_path / "0.png")
    path = tmp_path / "0.png"
    mixed = [path, str(path), image, PIXELS[0], torch.from_numpy(PIXELS[0])]
    close(colour.batch(mixed), normalised(np.stack([PIXELS[0]] * 5)))
    close(colour.batch(tmp_path.glob("*.png")), normalised(PIXELS[:1]))


def test_a_photo_on_its_side_is_turned_upright(colour, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90 degrees
    image = Image.fromarray(np.rot90(PIXELS[0].transpose(1, 2, 0)).copy())
    image.save(tmp_path / "side.png", exif=exif)
    close(colour.batch(tmp_path / "side.png"), normalised(PIXELS[:1]))
    with Image.open(tmp_path / "side.png") as opened:
        close(colour.batch(opened), normalised(PIXELS[:1]))


def test_an_image_of_16_bits_keeps_its_upper_8(tmp_path):
    grey, wide = Inputs((1, 9, 8), GREY), PIXELS[0, 0].astype(np.uint16) * 256 + 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    wanted = torch.from_numpy(PIXELS[:1, :1] / 127.5 - 1).float()
    close(grey.batch([tmp_path / "wide.png", Image.fromarray(wide)]), torch.cat([wanted] * 2))
    with pytest.raises(
        ValueError, match=r"such pixels must be in \[0, 255\], got \d+ to \d+; scale"
    ):
        grey.batch(wide)


def test_a_path_in_the_home_folder_is_found(colour, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    Image.fromarray(PIXELS[0].transpose(1, 2, 0)).save(tmp_path / "0.png")
    close(colour.batch("~/0.png"), normalised(PIXELS[:1]))


def test_a_folder_is_refused_with_what_to_give(colour, tmp_path):
    message = rf"\('{tmp_path}'\) must be one image file, .* folder; .*\('{tmp_path}'\)\.glob"
    with pytest.raises(ValueError, match=message):
        colour.batch(tmp_path)
