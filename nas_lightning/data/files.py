"""Image files: described by their headers, decoded to one size and mode."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL import Image

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
LARGEST_DEFAULT_SIDE = 64
ORIENTATION = 0x0112  # Exif: how the camera was held; 5 to 8 lie on their side.


@dataclass(frozen=True)
class Encoded:
    """An image file that lies in a table.

    Args:
        content: the file's bytes.
        name: where it lies, for messages.
    """

    content: bytes
    name: str

    def __str__(self) -> str:
        return self.name


File = Path | Encoded


@dataclass(frozen=True)
class Header:
    """What an image file says of itself.

    Args:
        size: (height, width) in pixels, upright.
        is_grey: whether it has one channel, opacity apart.
    """

    size: tuple[int, int]
    is_grey: bool


@dataclass(frozen=True, eq=False)
class FileImages:
    """Image files, decoded when they are read.

    Args:
        files: the files.
        size: (height, width) that all are brought to, in pixels.
        channels: 1, 3 or 4, that all are brought to.

    Raises:
        ValueError: if the channels are others.
    """

    files: Sequence[File]
    size: tuple[int, int]
    channels: int

    def __post_init__(self) -> None:
        """Refuse channels that image files do not have."""
        if self.channels not in MODES:
            raise ValueError(
                f"data.channels ({self.channels}) of image files must be 1 (grey), 3 (colour) or"
                " 4 (with opacity); use e.g. 3"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image (channels, height, width)."""
        return (self.channels, *self.size)

    def __len__(self) -> int:
        """The number of images."""
        return len(self.files)

    def read(self, indices: Tensor) -> Tensor:
        """The images of some indices (N,): uint8 (N, C, H, W); a ValueError names a bad file."""
        pixels = torch.empty(len(indices), *self.shape, dtype=torch.uint8)
        for image, index in zip(pixels, indices.tolist(), strict=True):
            image.copy_(decode(self.files[index], self.size, self.channels))
        return pixels

    def unreadable(self, whole: bool = True) -> dict[int, str]:
        """What is wrong with each damaged file, by its index; looks at headers unless whole."""
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


def headers(files: Sequence[File], most: int) -> list[Header]:
    """The headers of evenly spaced files, of those that can be read.

    Raises:
        ValueError: if none can be read.
    """
    step = -(-len(files) // most)
    found: list[Header] = []
    fault: ValueError | None = None
    for index in range(0, len(files), step):
        try:
            found.append(header(files[index]))
        except ValueError as error:
            fault = fault or error
    if fault is not None and not found:
        raise fault
    return found


def header(path: File) -> Header:
    """Size and mode of an image file, without decoding it.

    Raises:
        ValueError: if the file is no readable image.
    """
    from PIL import Image

    try:
        with Image.open(_source(path)) as image:
            width, height = image.size
            is_turned = image.getexif().get(ORIENTATION, 1) >= 5
            is_grey = image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error
    return Header((width, height) if is_turned else (height, width), is_grey)


def decode(path: File, size: tuple[int, int], channels: int) -> Tensor:
    """An image file as uint8 (C, H, W): upright, scaled to fill the size, its middle cut out.

    Scaling is bilinear and keeps the proportions. Opacity is dropped unless there are 4 channels;
    16-bit grey keeps its upper 8 bits.

    Raises:
        ValueError: if the file is no readable image.
    """
    from PIL import Image

    try:
        with Image.open(_source(path)) as image:
            return pixels_of(image, size, channels)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def pixels_of(image: "Image.Image", size: tuple[int, int], channels: int) -> Tensor:
    """Returns an opened image as `decode` does a file."""
    from PIL import Image, ImageOps

    height, width = size
    upright = _in_mode(ImageOps.exif_transpose(image), MODES[channels])
    if upright.size != (width, height):
        upright = ImageOps.fit(upright, (width, height), Image.Resampling.BILINEAR)
    pixels = np.array(upright).reshape(height, width, channels)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def most_common_size(headers: Sequence[Header]) -> tuple[int, int]:
    """The most common (height, width), the larger of equals, its shorter side 64 at most."""
    counts = Counter(header.size for header in headers)
    height, width = max(counts, key=lambda size: (counts[size], size[0] * size[1], size))
    scale = min(1.0, LARGEST_DEFAULT_SIDE / min(height, width))
    return round(height * scale), round(width * scale)


def most_common_channels(headers: Sequence[Header]) -> int:
    """1 if more than half of the images are grey, else 3."""
    return 1 if 2 * sum(header.is_grey for header in headers) > len(headers) else 3


def _in_mode(image: "Image.Image", mode: str) -> "Image.Image":
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits a pixel: convert() would clip them.
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert(mode)


def _source(file: File) -> Path | BytesIO:
    return BytesIO(file.content) if isinstance(file, Encoded) else file


def _unreadable(path: File, error: Exception) -> ValueError:
    return ValueError(f"cannot read the image '{path}' ({error}); replace or remove the file")
