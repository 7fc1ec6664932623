"""Image files are brought to one size and mode; a bad one is named."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from nas_lightning.data.image_files import (
    FileImages,
    Header,
    decode,
    header,
    headers,
    most_common_channels,
    most_common_size,
)


def saved(path: Path, pixels: NDArray[Any], **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def test_a_file_of_the_right_size_and_mode_keeps_its_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    found = decode(saved(tmp_path / "x.png", pixels), (9, 11), 3)
    np.testing.assert_array_equal(found.numpy(), pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_mode_is_brought_to_every_number_of_channels(
    tmp_path: Path, mode: str, channels: int
) -> None:
    suffix = ".jpg" if mode == "CMYK" else ".png"
    path = tmp_path / f"x{suffix}"
    Image.new(mode, (20, 10)).save(path)
    found = decode(path, (10, 20), channels)
    assert (found.dtype, tuple(found.shape)) == (torch.uint8, (channels, 10, 20))


def test_sixteen_bit_grey_keeps_its_upper_eight_bits(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.png", np.full((8, 8), 0xABCD, dtype=np.uint16))
    assert set(decode(path, (8, 8), 1).flatten().tolist()) == {0xAB}


def test_a_palette_with_opacity_is_read_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.new("P", (8, 8)).save(path, transparency=b"\x00\x80")
    assert decode(path, (8, 8), 3).shape == (3, 8, 8)


def test_another_size_is_scaled_and_its_middle_cut_out(tmp_path: Path) -> None:
    pixels = np.zeros((20, 60), dtype=np.uint8)
    pixels[:, 16:44] = 255  # the middle, and what the filter reaches beyond it
    assert set(decode(saved(tmp_path / "x.png", pixels), (10, 10), 1).flatten().tolist()) == {255}


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "x.jpg", np.zeros((10, 20), dtype=np.uint8), exif=exif)
    assert header(path).size == (20, 10)


def test_reading_gives_the_files_of_the_indices(tmp_path: Path) -> None:
    paths = [
        saved(tmp_path / f"{level}.png", np.full((8, 8), level, dtype=np.uint8))
        for level in range(5)
    ]
    images = FileImages(paths, (8, 8), 1)
    assert images.read(torch.tensor([3, 0]))[:, 0, 0, 0].tolist() == [3, 0]


def test_channels_that_files_do_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match=r"data.channels \(2\) of image files must be 1"):
        FileImages([], (8, 8), 2)


@pytest.mark.parametrize("content", [b"", b"no image", "cut"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes | str) -> None:
    path = saved(tmp_path / "bad.png", np.arange(4096, dtype=np.uint8).reshape(64, 64))
    path.write_bytes(path.read_bytes()[:90] if isinstance(content, str) else content)
    (fault,) = FileImages([path], (64, 64), 1).unreadable().values()
    assert re.fullmatch(
        r"cannot read the image '.*bad.png' \(.+\); replace or remove the file", fault
    )


def test_a_header_that_is_no_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"cannot read the image '.*bad.jpg'"):
        header(path)


def test_headers_that_cannot_be_read_are_passed_over_unless_all_are(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.png", saved(tmp_path / "x.png", np.zeros((9, 8), dtype=np.uint8))
    bad.write_bytes(b"no image")
    assert headers([bad, good], most=2) == [Header((9, 8), True)]
    with pytest.raises(ValueError, match=r"cannot read the image '.*bad.png'"):
        headers([bad, bad], most=2)


def test_the_most_common_size_is_the_larger_of_equals() -> None:
    headers = [Header((8, 8), True)] * 2 + [Header((9, 12), True)] * 2 + [Header((50, 50), True)]
    assert most_common_size(headers) == (9, 12)


def test_a_large_common_size_is_scaled_down() -> None:
    assert most_common_size([Header((3000, 4500), False)]) == (64, 96)


@pytest.mark.parametrize(("num_grey", "channels"), [(1, 3), (2, 3), (3, 1)])
def test_the_more_common_mode_wins(num_grey: int, channels: int) -> None:
    headers = [Header((8, 8), number < num_grey) for number in range(4)]
    assert most_common_channels(headers) == channels
