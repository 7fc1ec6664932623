"""Image files (PNG, JPEG), brought to one size and mode when they are read."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from nas_lightning.data.images import as_size

__all__ = ["EncodedFile", "File", "FileImages", "decode", "file_images", "fitted_pixels"]

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
LARGEST_DEFAULT_SIDE = 64
ORIENTATION = 0x0112  # Exif: how the camera was held; 5 to 8 mean that the image lies on its side


@dataclass(frozen=True)
class EncodedFile:
    """An image file in a table: its bytes, and its place there for messages."""

    content: bytes
    name: str

    def __str__(self) -> str:
        return self.name


File = Path | EncodedFile


class Files(Protocol):
    """Image files by index, e.g. a list."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> File: ...


@dataclass(frozen=True)
class Header:
    """What an image file tells without being decoded."""

    size: tuple[int, int]  # (height, width) in pixels, upright
    is_grey: bool  # whether it has one channel besides opacity


@dataclass(frozen=True, eq=False)
class FileImages:
    """Image files, decoded to one size and 1, 3 or 4 channels when they are read; see `decode`."""

    files: Files
    size: tuple[int, int]
    channels: int

    def __post_init__(self) -> None:
        if self.channels not in MODES:
            raise ValueError(
                f"data.channels ({self.channels}) of image files must be 1 (grey), 3 (colour) or"
                " 4 (with opacity); use e.g. 3"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an image (channels, height, width)."""
        return (self.channels, *self.size)

    def __len__(self) -> int:
        return len(self.files)

    def read(self, indices: Tensor) -> Tensor:
        """Returns the images at indices (N,): uint8 (N, C, H, W)."""
        pixels = torch.empty(len(indices), *self.shape, dtype=torch.uint8)
        for image, index in zip(pixels, indices.tolist(), strict=True):
            image.copy_(decode(self.files[index], self.size, self.channels))
        return pixels

    def unreadable(self, whole: bool = True) -> dict[int, str]:
        """Returns the fault of each file that cannot be read, by index; see `Images`."""
        look = partial(decode, size=self.size, channels=self.channels) if whole else header

        def fault(index: int) -> str:
            try:
                look(self.files[index])
            except ValueError as error:
                return str(error)
            return ""

        with ThreadPoolExecutor() as pool:
            faults = pool.map(fault, range(len(self.files)))
            return {index: text for index, text in enumerate(faults) if text}


def file_images(
    train: Files,
    test: Files | None,
    image_size: int | Sequence[int] | None,
    channels: int | None,
    most_headers: int | None = None,
) -> tuple[FileImages, FileImages | None]:
    """Returns the images of training and test files, all of one size and mode.

    The size defaults to the most common one of the training images (the larger of equals), scaled
    down to a shorter side of 64 pixels; the channels to 1 if most are grey, else 3. At most
    `most_headers` evenly spaced files are looked at for that; None means all.
    """
    sample = [] if image_size and channels else headers(train, most_headers or len(train))
    size = as_size(image_size) if image_size else most_common_size(sample)
    channels = channels or most_common_channels(sample)
    images = FileImages(train, size, channels)
    return images, None if test is None else FileImages(test, size, channels)


def headers(files: Files, most: int) -> list[Header]:
    """Returns the headers of evenly spaced, readable files; raises ValueError if there is none."""
    readable, faults = [], []
    for index in range(0, len(files), -(-len(files) // most)):
        try:
            readable.append(header(files[index]))
        except ValueError as error:
            faults.append(error)
    if faults and not readable:
        raise faults[0]
    return readable


def header(file: File) -> Header:
    """Returns the size and mode of an image file, without decoding it."""
    with _opened(file) as image:
        width, height = image.size
        is_turned = image.getexif().get(ORIENTATION, 1) >= 5
        is_grey = image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I")
    return Header((width, height) if is_turned else (height, width), is_grey)


def decode(file: File, size: tuple[int, int], channels: int) -> Tensor:
    """Returns an image file as uint8 (C, H, W): upright, scaled to fill the size, cropped.

    Scaling is bilinear and keeps the proportions; the middle is cut out. Opacity is dropped unless
    there are 4 channels; 16-bit grey keeps its upper 8 bits. An unreadable file raises ValueError.
    """
    with _opened(file) as image:
        return fitted_pixels(image, size, channels)


def fitted_pixels(image: Image.Image, size: tuple[int, int], channels: int) -> Tensor:
    """Returns an opened image as `decode` does a file."""
    height, width = size
    upright = _in_mode(ImageOps.exif_transpose(image), MODES[channels])
    if upright.size != (width, height):
        upright = ImageOps.fit(upright, (width, height), Image.Resampling.BILINEAR)
    pixels = np.array(upright).reshape(height, width, channels)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def most_common_size(headers: Sequence[Header]) -> tuple[int, int]:
    """Returns the most common (height, width), the larger of equals, scaled down if large."""
    counts = Counter(header.size for header in headers)
    height, width = max(counts, key=lambda size: (counts[size], size[0] * size[1], size))
    scale = min(1.0, LARGEST_DEFAULT_SIDE / min(height, width))
    return round(height * scale), round(width * scale)


def most_common_channels(headers: Sequence[Header]) -> int:
    """Returns 1 if more than half of the images are grey, else 3."""
    return 1 if 2 * sum(header.is_grey for header in headers) > len(headers) else 3


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits per pixel: convert() would clip them
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert(mode)


@contextmanager
def _opened(file: File) -> Iterator[Image.Image]:
    """Opens an image file; any fault of it becomes a ValueError that names it."""
    source = BytesIO(file.content) if isinstance(file, EncodedFile) else file
    try:
        with Image.open(source) as image:
            yield image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"cannot read the image '{file}' ({error}); replace or remove the file"
        ) from error
