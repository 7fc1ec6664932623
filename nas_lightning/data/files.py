"""Image files by class: found, described by their headers, decoded to one size and mode."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
LARGEST_DEFAULT_SIDE = 64
ORIENTATION = 0x0112  # Exif: how the camera was held; 5 to 8 lie on their side.

ImagePaths = Mapping[str, Sequence[Path]]


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
        paths: the files.
        size: (height, width) that all are brought to, in pixels.
        channels: 1, 3 or 4, that all are brought to.

    Raises:
        ValueError: if the channels are others.
    """

    paths: Sequence[Path]
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
        return len(self.paths)

    def read(self, indices: Tensor) -> Tensor:
        """The images of some indices (N,): uint8 (N, C, H, W); a ValueError names a bad file."""
        pixels = torch.empty(len(indices), *self.shape, dtype=torch.uint8)
        for image, index in zip(pixels, indices.tolist(), strict=True):
            image.copy_(decode(self.paths[index], self.size, self.channels))
        return pixels

    def check(self) -> None:
        """Decode every file and keep nothing; a ValueError names the first that is damaged."""
        with ThreadPoolExecutor() as pool:
            for _ in pool.map(lambda path: decode(path, self.size, self.channels), self.paths):
                pass


def find_images(path: str | None) -> tuple[ImagePaths, ImagePaths | None]:
    """The training and the test images by class; the latter None without a test division.

    Raises:
        ValueError: if the folder is missing or empty, has no class sub-folders, or a test class
            has no training images.
    """
    if path is None:
        raise ValueError("data=folder needs a folder, got data.path=null; add data.path=DIR")
    root = Path(path).expanduser()
    if not root.is_dir():
        state = "is a file" if root.exists() else "does not exist"
        raise ValueError(f"data.path must be a folder of images, but '{path}' {state}; correct it")
    parts = {part.name: part for part in _folders(root)}
    if "train" not in parts or not _folders(parts["train"]):
        return _by_class(root), None
    if others := sorted(set(parts) - {"train", "test"}):
        raise ValueError(
            f"beside 'train' in '{path}' only 'test' may stand, got '{others[0]}'; a validation"
            " part is split off 'train', so move its images there"
        )
    train = _by_class(parts["train"])
    if "test" not in parts:
        return train, None
    test = _by_class(parts["test"])
    if unknown := sorted(set(test) - set(train)):
        raise ValueError(
            f"every test class needs training images; '{parts['test'] / unknown[0]}' has none in"
            f" '{parts['train']}'; known classes: {', '.join(sorted(train))}"
        )
    return train, test


def header(path: Path) -> Header:
    """Size and mode of an image file, without decoding it.

    Raises:
        ValueError: if the file is no readable image.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
            is_turned = image.getexif().get(ORIENTATION, 1) >= 5
            is_grey = image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error
    return Header((width, height) if is_turned else (height, width), is_grey)


def decode(path: Path, size: tuple[int, int], channels: int) -> Tensor:
    """An image file as uint8 (C, H, W): upright, scaled to fill the size, its middle cut out.

    Scaling is bilinear and keeps the proportions. Opacity is dropped unless there are 4 channels;
    16-bit grey keeps its upper 8 bits.

    Raises:
        ValueError: if the file is no readable image.
    """
    from PIL import Image, ImageOps

    height, width = size
    try:
        with Image.open(path) as image:
            upright = _in_mode(ImageOps.exif_transpose(image), MODES[channels])
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error
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


def _by_class(root: Path) -> ImagePaths:
    if not any(root.iterdir()):
        raise ValueError(
            f"a folder of images must hold one sub-folder a class, but '{root}' is empty; fill it"
        )
    classes = _folders(root)
    if not classes:
        raise ValueError(
            f"a folder of images must hold one sub-folder a class, but '{root}' holds only files;"
            " move the images of each class into a sub-folder of its name"
        )
    images = {folder.name: _images(folder) for folder in classes}
    if not any(images.values()):
        raise ValueError(
            f"no PNG or JPEG image in the {len(classes)} sub-folders of '{root}'; add some, named"
            f" {', '.join('*' + suffix for suffix in SUFFIXES)}"
        )
    return images


def _folders(root: Path) -> list[Path]:
    return sorted(each for each in root.iterdir() if each.is_dir() and each.name[0] != ".")


def _images(folder: Path) -> list[Path]:
    """The image files anywhere in a folder, in the order of their names, hidden ones apart."""
    files = [each.relative_to(folder) for each in folder.rglob("*") if each.is_file()]
    images = [each for each in files if each.suffix.lower() in SUFFIXES]
    visible = [each for each in images if not any(part[0] == "." for part in each.parts)]
    return [folder / each for each in sorted(visible, key=Path.as_posix)]


def _in_mode(image: "Image.Image", mode: str) -> "Image.Image":
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits a pixel: convert() would clip them.
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert(mode)


def _unreadable(path: Path, error: Exception) -> ValueError:
    return ValueError(f"cannot read the image '{path}' ({error}); replace or remove the file")
