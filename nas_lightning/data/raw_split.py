"""Images and raw labels as a file holds them, and the data set that they become."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from nas_lightning.data.images import (
    ImageArrays,
    Images,
    MemoryImages,
    ResizedImages,
    Size,
    as_size,
    with_test_fifth,
)
from nas_lightning.data.labels import Raw, encode
from nas_lightning.data.pixels import as_images, pixel_range, with_channels

__all__ = ["RawSplit", "ReadOptions", "as_arrays"]


@dataclass(frozen=True)
class ReadOptions:
    """What a user may say about a data set if its files do not."""

    image_size: Size | None = None  # None keeps that of arrays; for files see `file_images`
    channels: int | None = None  # None keeps those of arrays; for files see `file_images`
    image_column: str | None = None  # of a table; None finds it
    label_column: str | Sequence[str] | None = None  # of a table, several of numbers; None finds it
    train_split: str | None = (
        None  # or several, e.g. "a+b"; None: train, and validation beside test
    )
    test_split: str | None = None  # None means test, or else validation
    layout: str | None = None  # of arrays: "NCHW" or "NHWC"; None finds it


@dataclass(frozen=True, eq=False)
class RawSplit:
    """Images and labels as a file holds them, with or without a test part."""

    train: Images
    train_labels: Raw  # of any kind that `encode` takes
    test: Images | None = None
    test_labels: Raw | None = None
    names: Sequence[str] | None = None  # of the classes or columns, if the file tells them
    pixel_range: tuple[float, float] | None = None  # see `ImageArrays`

    @classmethod
    def of_pixels(
        cls,
        train: NDArray[Any],
        train_labels: Raw,
        test: NDArray[Any] | None = None,
        test_labels: Raw | None = None,
        names: Sequence[str] | None = None,
        layout: str | None = None,
    ) -> "RawSplit":
        """Returns a split of arrays of any layout and type; see `as_images`."""
        images, test_images = as_images(train, test, layout)
        return cls(images, train_labels, test_images, test_labels, names, pixel_range(train))


def as_arrays(
    raw: RawSplit,
    image_size: Size | None = None,
    channels: int | None = None,
    class_names: Sequence[str] | None = None,
) -> ImageArrays:
    """Returns the data set; a fixed, stratified fifth replaces a missing test part.

    Class names replace numbers, and must be as many.
    """
    train_labels, test_labels, names = encode(raw.train_labels, raw.test_labels, raw.names)
    if class_names is not None and all(name.isdigit() for name in names):
        if len(names) != len(class_names):
            raise ValueError(
                f"data.source.class_names ({len(class_names)} names) must name the {len(names)}"
                f" classes found ({', '.join(names[:10])}); correct them or leave them null"
            )
        names = tuple(class_names)
    train = _fitted(raw.train, image_size, channels)
    if raw.test is None:
        arrays = with_test_fifth(train, train_labels, names)
    else:
        test = _fitted(raw.test, image_size, channels)
        arrays = ImageArrays(train, train_labels, test, test_labels, names)
    return replace(arrays, pixel_range=raw.pixel_range)


def _fitted(images: Images, image_size: Size | None, channels: int | None) -> Images:
    if isinstance(images, MemoryImages):
        images = MemoryImages(with_channels(images.pixels, channels))
    return images if image_size is None else ResizedImages(images, as_size(image_size))
