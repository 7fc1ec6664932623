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
    as_size,
    with_test_fifth,
)
from nas_lightning.data.labels import Raw, encode
from nas_lightning.data.pixels import as_images, pixel_range, with_channels

__all__ = ["RawSplit", "ReadOptions", "as_arrays"]


@dataclass(frozen=True)
class ReadOptions:
    """What a user may say about a data set if its files do not.

    Attributes:
        image_size: one side or (height, width) in pixels; None keeps that of arrays; of image
            files it takes the most common one, see `file_images`.
        channels: None keeps those of arrays; of image files it takes 1 or 3.
        image_column: of a table; None finds it.
        label_column: of a table, or several of numbers; None finds it.
        train_split: of a table, or several joined by "+"; None means train, and validation where
            there is a test split.
        test_split: of a table; None means test, or else validation.
        layout: of arrays: "NCHW" or "NHWC"; None finds it.
    """

    image_size: int | Sequence[int] | None = None
    channels: int | None = None
    image_column: str | None = None
    label_column: str | Sequence[str] | None = None
    train_split: str | None = None
    test_split: str | None = None
    layout: str | None = None


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
    image_size: int | Sequence[int] | None = None,
    channels: int | None = None,
    class_names: Sequence[str] | None = None,
) -> ImageArrays:
    """Returns the data set; without a test part a fixed, stratified fifth is the test set.

    Class names replace numbers; raises ValueError unless there is one for each.
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


def _fitted(images: Images, image_size: int | Sequence[int] | None, channels: int | None) -> Images:
    if isinstance(images, MemoryImages):
        images = MemoryImages(with_channels(images.pixels, channels))
    return images if image_size is None else ResizedImages(images, as_size(image_size))
