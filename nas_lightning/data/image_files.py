"""Image files, brought to one size and mode when they are read."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from nas_lightning.data.images import Images, Size, as_size
from nas_lightning.data.pixels import check_inside

__all__ = ["EncodedFile", "File", "FileImages", "Files", "common_form", "decode", "fitted_pixels"]

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
LARGEST_DEFAULT_SIDE = 64
ORIENTATION = 0x0112  # Exif: how the camera was held; 5 to 8 mean that the image lies on its side


class EncodedFile(NamedTuple):
    """An image file in a table: its bytes, and its place there for messages."""

    content: bytes
    name: str

    def __str__(self) -> str:
        return self.name


File = Path | EncodedFile
Range = Sequence[float] | None


class Files(Protocol):
    """Image files by index, e.g. a list."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> File: ...


class Header(NamedTuple):
    """What an image file tells without being decoded."""

    size: tuple[int, int]  # (height, width) in pixels, upright
    is_grey: bool  # whether it has one channel besides opacity


class FileImages(Images):
    """Image files, decoded to one size and 1, 3 or 4 channels when they are read; see `decode`."""

    def __init__(
        self, files: Files, size: tuple[int, int], channels: int, stated: Range = None
    ) -> None:
        if channels not in MODES:
            wanted = "1 (grey), 3 (colour) or 4 (with opacity); use e.g. 3"
            raise ValueError(f"data.channels ({channels}) of image files must be {wanted}")
        self.files, self.size, self.range = files, size, stated
        self.shape = (channels, *size)

    def __len__(self) -> int:
        return len(self.files)

    def read(self, indices: Tensor) -> Tensor:
        """Returns the images at indices (N,): uint8 (N, C, H, W)."""
        pixels = torch.empty(len(indices), *self.shape, dtype=torch.uint8)
        for image, index in zip(pixels, indices.tolist(), strict=True):
            image.copy_(decode(self.files[index], self.size, self.shape[0], self.range))
        return pixels

    def unreadable(self, whole: bool = True) -> dict[int, str]:
        """Returns the fault of each file that cannot be read, by index; see `Images`."""

        def fault(index: int) -> str:
            try:
                self.read(torch.tensor([index])) if whole else header(self.files[index])
            except ValueError as error:
                return str(error)
            return ""

        with ThreadPoolExecutor() as pool:
            faults = enumerate(pool.map(fault, range(len(self))))
            return {index: text for index, text in faults if text}


def common_form(
    files: Files, image_size: Size | None, channels: int | None, most_headers: int
) -> tuple[tuple[int, int], int]:
    """Returns the size and channels to bring files to: the given ones, or those of most files.

    That is their size (the larger of equals), scaled down to a shorter side of 64 pixels, and 1
    channel if grey, else 3.
    """
    sample = [] if image_size and channels else headers(files, most_headers)
    size = as_size(image_size) if image_size else most_common_size(sample)
    return size, channels or most_common_channels(sample)


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
        size = (image.height, image.width)
        # Of a square nothing need be known: Exif may follow a PNG's pixels.
        may_lie = image.height != image.width and image.format != "TIFF"
        if may_lie and image.getexif().get(ORIENTATION, 1) >= 5:
            size = (image.width, image.height)
        is_grey = image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")
    return Header(size, is_grey)


def decode(file: File, size: tuple[int, int], channels: int, stated: Range = None) -> Tensor:
    """Returns an image file as uint8 (C, H, W): upright, scaled to fill the size, cropped.

    Scaling is bilinear; the middle is cut out. Opacity is dropped unless there are 4 channels. Grey
    of more than 8 bits per pixel is scaled by the stated numbers of black and white; without them
    16 bits keep their upper 8, and floats lie in [0, 1]. Raises ValueError for other files.
    """
    with _opened(file) as image:
        return fitted_pixels(image, size, channels, stated)


def fitted_pixels(
    image: Image.Image, size: tuple[int, int], channels: int, stated: Range = None
) -> Tensor:
    """Returns an opened image as `decode` does a file."""
    height, width = size
    upright = ImageOps.exif_transpose(image)
    if upright.mode == "F" or upright.mode.startswith("I"):  # convert() would clip them
        upright = Image.fromarray(_levels(np.asarray(upright), image, stated))
    if upright.mode == "P" and "transparency" in upright.info:
        upright = upright.convert("RGBA")
    if channels < 4 and upright.mode in ("LA", "La", "RGBA", "RGBa", "PA"):
        _check_opacity(upright.convert("RGBA"))
    upright = upright.convert(MODES[channels])
    if upright.size != (width, height):
        upright = ImageOps.fit(upright, (width, height), Image.Resampling.BILINEAR)
    pixels = np.array(upright).reshape(height, width, channels)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _levels(numbers: NDArray[Any], image: Image.Image, stated: Range) -> NDArray[np.uint8]:
    """Returns grey of more than 8 bits as levels, by the stated range or its type's."""
    is_16_bits = image.mode.startswith("I;16") or image.format in ("PNG", "PPM")
    if stated is None and image.mode != "F":
        least, most = int(numbers.min()), int(numbers.max())
        # Nearly black: 16 bits were not meant to be all used.
        if not is_16_bits or least < most < 3 << 8:
            raise ValueError(
                f"its {image.mode} pixels, {least} to {most}, have no usual range; say which"
                " numbers are black and white, e.g. data.range=[0,255] or data.range=[0,65535]"
            )
        return (numbers >> 8).astype(np.uint8)
    low, high = stated or (0, 1)
    check_inside(numbers, (low, high), f"{image.mode} pixels")
    return np.rint((numbers.astype(np.float64) - low) * (255 / (high - low))).astype(np.uint8)


def _check_opacity(image: Image.Image) -> None:
    """Refuses an image whose opacity alone shows something, which would be lost."""
    extrema: Any = image.getextrema()  # (lowest, highest) of each band
    *colours, opacity = extrema
    if opacity[0] < opacity[1] and all(low == high for low, high in colours):
        raise ValueError("only its opacity shows something; keep it: data.channels=4")


def most_common_size(headers: Sequence[Header]) -> tuple[int, int]:
    """Returns the most common (height, width), the larger of equals, scaled down if large."""
    counts = Counter(header.size for header in headers)
    height, width = max(counts, key=lambda size: (counts[size], size[0] * size[1], size))
    scale = min(1.0, LARGEST_DEFAULT_SIDE / min(height, width))
    return round(height * scale), round(width * scale)


def most_common_channels(headers: Sequence[Header]) -> int:
    """Returns 1 if more than half of the images are grey, else 3."""
    return 1 if 2 * sum(header.is_grey for header in headers) > len(headers) else 3


@contextmanager
def _opened(file: File) -> Iterator[Image.Image]:
    """Opens an image file; any fault of it becomes a ValueError that names it."""
    try:  # no path: what Pillow maps into memory it does not turn upright
        source = BytesIO(file.content) if isinstance(file, EncodedFile) else file.open("rb")
        with source, Image.open(source) as image:
            if getattr(image, "is_animated", False) and image.format != "MPO":
                raise ValueError(f"it holds {getattr(image, 'n_frames', 'several')} images")
            yield image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"cannot read the image '{file}' ({error}); replace or remove the file"
        ) from error
