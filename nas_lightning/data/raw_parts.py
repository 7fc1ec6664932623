"""The parts of a data set as its files hold them, and the data set that they become."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch.utils.data import ConcatDataset

from nas_lightning.data.image_files import Files, file_images
from nas_lightning.data.images import (
    ImageArrays,
    Images,
    MemoryImages,
    ResizedImages,
    Size,
    as_size,
    with_test_fifth,
)
from nas_lightning.data.labels import Raw, by_name, encode
from nas_lightning.data.parts import Chosen
from nas_lightning.data.pixels import Array, as_images, pixel_range, with_channels

__all__ = ["Part", "RawParts", "ReadOptions", "as_arrays"]

MOST_HEADERS = 4096  # of the files in a table


@dataclass(frozen=True)
class ReadOptions:
    """What a user may say about a data set if its files do not."""

    image_size: Size | None = None  # None keeps that of arrays; for files see `file_images`
    channels: int | None = None  # None keeps those of arrays; for files see `file_images`
    image_column: str | None = None  # of a table; None finds it
    label_column: str | Sequence[str] | None = None  # of a table, several of numbers; None finds it
    parts: Chosen = field(default_factory=dict)  # names by role; others by what they mean
    layout: str | None = None  # of arrays: "NCHW" or "NHWC"; None finds it
    range: Sequence[float] | None = None  # the numbers of black and white; None: the type's
    class_names: Sequence[str] | None = None  # of numbered classes, in order


@dataclass(frozen=True, eq=False)
class Part:
    """Samples and raw labels of a part."""

    name: str
    role: str  # "train", "validation" (which is trained on) or "test"
    images: Array | Files | Images
    labels: Raw  # of any kind that `encode` takes
    class_names: Sequence[str] | None = None  # of numbers, or of columns, if the file tells them


@dataclass(frozen=True, eq=False)
class RawParts:
    """What a reader found."""

    parts: Sequence[Part]
    passed_over: Sequence[str] = ()  # what was not read, and how much of it


def as_arrays(raw: RawParts, options: ReadOptions) -> ImageArrays:
    """Returns the data set; a fixed, stratified fifth replaces a missing test part.

    Raises: ValueError: the parts do not fit together, or their numbers are of an unknown range.
    """
    parts = sorted(raw.parts, key=lambda part: part.role != "train")  # validation after training
    labels, names = by_name([(part.name, part.labels, part.class_names) for part in parts])
    divisions = [[i for i, p in enumerate(parts) if (p.role == "test") is t] for t in (False, True)]
    train, test = ([parts[i] for i in division] for division in divisions)
    first, other = ([labels[i] for i in division] for division in divisions)
    held_out = np.concatenate(other) if other else None
    train_labels, test_labels, names = encode(np.concatenate(first), held_out, names)
    names = _renamed(names, options.class_names)
    images, test_images, known = _images(train, test, options)
    if test_images is None:
        arrays = with_test_fifth(images, train_labels, names)
    else:
        arrays = ImageArrays(images, train_labels, test_images, test_labels, names)
    return replace(arrays, pixel_range=known, passed_over=tuple(raw.passed_over))


def _images(
    train: Sequence[Part], test: Sequence[Part], options: ReadOptions
) -> tuple[Images, Images | None, tuple[float, float] | None]:
    """Returns the images of both divisions, and the numbers of black and white if not 0 and 255."""
    kinds = {_kind(part) for part in (*train, *test)}
    if len(kinds) > 1:
        raise ValueError(f"all parts must hold images in one form, got {' and '.join(kinds)}")
    if kinds == {"samples"}:
        return train[0].images, test[0].images if test else None, None  # type: ignore[return-value]
    whole = [_joined(division) for division in (train, test) if division]
    held_out = whole[1] if test else None
    size, channels, stated = options.image_size, options.channels, options.range
    if kinds == {"files"}:
        most = None if isinstance(train[0].images, list) else MOST_HEADERS
        files = file_images(whole[0], held_out, size, channels, most, stated)
        return *files, files[0].range
    images, test_images = as_images(whole[0], held_out, options.layout, stated)
    fitted = None if test_images is None else _fitted(test_images, size, channels)
    return _fitted(images, size, channels), fitted, pixel_range(whole[0].dtype, stated)


def _joined(parts: Sequence[Part]) -> Any:
    """Returns the arrays, or the files, of parts of one kind as one."""
    images: list[Any] = [part.images for part in parts]
    if len(images) == 1:
        return images[0]
    if not isinstance(images[0], np.ndarray):
        is_listed = all(isinstance(each, list) for each in images)
        return [file for each in images for file in each] if is_listed else ConcatDataset(images)
    for part in parts[1:]:
        first, other = images[0], np.asarray(part.images)
        if (first.dtype, first.shape[1:]) != (other.dtype, other.shape[1:]):
            raise ValueError(
                f"the images of part '{part.name}' must be like those of '{parts[0].name}', "
                f"{first.dtype} {first.shape[1:]}, got {other.dtype} {other.shape[1:]}; make them"
                " alike, or leave the part out by data.parts={train: ..., test: ...}"
            )
    return np.concatenate(images)


def _fitted(images: MemoryImages, image_size: Size | None, channels: int | None) -> Images:
    images = MemoryImages(with_channels(images.pixels, channels))
    return images if image_size is None else ResizedImages(images, as_size(image_size))


def _kind(part: Part) -> str:
    if isinstance(part.images, np.ndarray):
        return "numbers"
    return "samples" if isinstance(part.images, Images) else "files"


def _renamed(names: tuple[str, ...], chosen: Sequence[str] | None) -> tuple[str, ...]:
    """Returns class names, chosen ones in place of numbers, in the order of the numbers."""
    if chosen is None or not all(name.isdigit() for name in names):
        return names
    if len(names) != len(chosen):
        raise ValueError(
            f"data.source.class_names ({len(chosen)} names) must name the {len(names)}"
            f" classes found ({', '.join(names[:10])}); correct them or leave them null"
        )
    return tuple(chosen[sorted(names, key=int).index(name)] for name in names)
