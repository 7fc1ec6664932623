"""What a file holds before it is a data set: images and raw labels, with or without a test part."""

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
    """What a user may say of a data set where its files do not.

    Attributes:
        image_size: one side or (height, width) in pixels; None keeps that of arrays, and of image
            files takes the most common one, see `file_images`.
        channels: of an image; None keeps those of arrays, and of image files takes 1 or 3.
        image_column: the column of a table that holds the images; None finds it.
        label_column: the column that holds the labels, or several of numbers; None finds it.
        train_split: name of a table's training split, or several joined by "+"; None means train,
            and validation where there is a test split.
        test_split: name of the test split; None means test, or else validation.
        layout: of arrays: "NCHW" or "NHWC"; None finds it.
        class_names: names of the classes, in order, where the files only number them.
    """

    image_size: int | Sequence[int] | None = None
    channels: int | None = None
    image_column: str | None = None
    label_column: str | Sequence[str] | None = None
    train_split: str | None = None
    test_split: str | None = None
    layout: str | None = None
    class_names: Sequence[str] | None = None


@dataclass(frozen=True, eq=False)
class RawSplit:
    """Images and labels as a file holds them, with or without a test division."""

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
        """Returns a split whose images are arrays, of any layout and type; see `as_images`."""
        images, test_images = as_images(train, test, layout)
        return cls(images, train_labels, test_images, test_labels, names, pixel_range(train))


def as_arrays(raw: RawSplit, options: ReadOptions) -> ImageArrays:
    """Returns the data set; without a test division a fixed, stratified fifth is the test set.

    Raises:
        ValueError: there are more or fewer class names than classes.
    """
    train_labels, test_labels, names = encode(raw.train_labels, raw.test_labels, raw.names)
    if options.class_names is not None and all(name.isdigit() for name in names):
        if len(names) != len(options.class_names):
            raise ValueError(
                f"data.source.class_names ({len(options.class_names)} names) must name the"
                f" {len(names)} classes found ({', '.join(names[:10])}); correct them or leave them"
                " null"
            )
        names = tuple(options.class_names)
    train = _fitted(raw.train, options)
    if raw.test is None:
        arrays = with_test_fifth(train, train_labels, names)
    else:
        arrays = ImageArrays(train, train_labels, _fitted(raw.test, options), test_labels, names)
    return replace(arrays, pixel_range=raw.pixel_range)


def _fitted(images: Images, options: ReadOptions) -> Images:
    if isinstance(images, MemoryImages):
        images = MemoryImages(with_channels(images.pixels, options.channels))
    if options.image_size is None:
        return images
    return ResizedImages(images, as_size(options.image_size))
