"""The parts of a data set as its files hold them, and the data set that they become."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset

from nas_lightning.data.image_files import FileImages, Files, common_form
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
from nas_lightning.data.normalisation import standardisation_of
from nas_lightning.data.parts import Chosen
from nas_lightning.data.pixels import Array, as_pixels, as_samples, pixel_range, with_channels

__all__ = ["Part", "RawParts", "ReadOptions", "as_arrays"]

DIVISIONS = {"train": "training", "validation": "validation", "test": "test"}  # for messages
MOST_HEADERS = 4096  # of the files in a table


@dataclass(frozen=True)
class ReadOptions:
    """What a user may say about a data set if its files do not."""

    image_size: Size | None = None  # None keeps that of arrays; for files see `common_form`
    channels: int | None = None  # None keeps those of arrays; for files see `common_form`
    image_column: str | None = None  # of a table; None finds it
    label_column: str | Sequence[str] | None = None  # of a table, several of numbers; None finds it
    parts: Chosen = field(default_factory=dict)  # names by role; others by what they mean
    layout: str | None = None  # of arrays: "NCHW" or "NHWC"; None finds it
    range: Sequence[float] | None = None  # the numbers of black and white; None: the type's
    class_names: Sequence[str] | None = None  # of numbered classes, in order
    is_images: bool = True  # False of arrays (N, ...) of other numbers, which are standardised


@dataclass(frozen=True, eq=False)
class Part:
    """Samples and raw labels of a part."""

    name: str
    role: str  # "train", "validation" (which is trained on) or "test"
    images: Array | Files
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
    train = sorted([part for part in raw.parts if part.role != "test"], key=lambda part: part.role)
    test = [part for part in raw.parts if part.role == "test"]
    labels, names = by_name([(part.name, part.labels, part.class_names) for part in train + test])
    held_out = np.concatenate(labels[len(train) :]) if test else None
    train_labels, test_labels, names = encode(np.concatenate(labels[: len(train)]), held_out, names)
    _check_named(train_labels, options.class_names or names)
    names = _renamed(names, options.class_names)
    kinds = {"arrays" if isinstance(p.images, np.ndarray) else "files" for p in train + test}
    if len(kinds) > 1:
        raise ValueError(
            "all parts must hold images in one form, got arrays and files; convert one"
        )
    read = _from_files if kinds == {"files"} else _from_arrays
    images, known = read([part for part in (train, test) if part], options)
    if test:
        arrays = ImageArrays(images[0], train_labels, images[1], test_labels, names)
    else:
        arrays = with_test_fifth(images[0], train_labels, names)
    arrays = replace(arrays, pixel_range=known, passed_over=tuple(raw.passed_over))
    return arrays if options.is_images else _standardised(arrays)


# The images of each division, and the numbers of black and white if these are not 0 and 255.
Divisions = tuple[list[Images], tuple[float, float] | None]


def _from_files(divisions: Sequence[Sequence[Part]], options: ReadOptions) -> Divisions:
    are_listed = all(isinstance(part.images, list) for part in divisions[0])
    images: list[list[Any]] = [[part.images for part in each] for each in divisions]
    files: list[Any] = [ConcatDataset(each) for each in images]
    most = len(files[0]) if are_listed else MOST_HEADERS
    size, channels = common_form(files[0], options.image_size, options.channels, most)
    read = [FileImages(each, size, channels, options.range) for each in files]
    return [*read], pixel_range(np.dtype(np.uint8), options.range)


def _from_arrays(divisions: Sequence[Sequence[Part]], options: ReadOptions) -> Divisions:
    parts = [part for each in divisions for part in each]
    named = [(DIVISIONS[part.role], np.asarray(part.images)) for part in parts]
    known = None
    if options.is_images:
        tensors = as_pixels(named, options.layout, options.range)
        tensors = [with_channels(pixels, options.channels) for pixels in tensors]
        known = pixel_range(named[0][1].dtype, options.range)
    else:
        tensors = as_samples(named)
    number = len(divisions[0])
    halves = [each for each in (tensors[:number], tensors[number:]) if each]
    return [_joined(each, options.image_size) for each in halves], known


def _joined(tensors: Sequence[Tensor], image_size: Size | None) -> Images:
    if len(shapes := {tuple(each.shape[1:]) for each in tensors}) > 1:
        raise ValueError(
            f"parts that are joined must have one shape, got {' and '.join(map(str, shapes))}; make"
            " them alike, or leave one out by data.parts={train: ..., test: ...}"
        )
    images = MemoryImages(torch.cat(list(tensors)) if len(tensors) > 1 else tensors[0])
    return images if image_size is None else ResizedImages(images, as_size(image_size))


def _standardised(arrays: ImageArrays) -> ImageArrays:
    train, test = (part.read(torch.arange(len(part))) for part in (arrays.train, arrays.test))
    by = standardisation_of(train)
    images = [MemoryImages(by(each)) for each in (train, test)]
    return replace(arrays, train=images[0], test=images[1], standardisation=by)


def _check_named(labels: Tensor, names: Sequence[str]) -> None:
    if len(names) > 1 and labels.is_floating_point() and labels.shape[1] == 1:
        raise ValueError(
            f"labels must be integers or text where classes have names ({', '.join(names[:5])}),"
            f" got floats such as {labels[0].item()}; make them integers, e.g. y.astype(int)"
        )


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
