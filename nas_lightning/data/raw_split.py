"""What a file holds before it is a data set: images and raw labels, in one part or two."""

from collections.abc import Sequence
from dataclasses import dataclass

from nas_lightning.data.images import (
    ImageArrays,
    Images,
    MemoryImages,
    ResizedImages,
    as_size,
    with_test_fifth,
)
from nas_lightning.data.labels import Raw, encode
from nas_lightning.data.pixels import with_channels


@dataclass(frozen=True, eq=False)
class RawSplit:
    """Images and labels as a file tells them.

    Args:
        train: the training images.
        train_labels: as `encode` takes them.
        test: the test images; None without a test division.
        test_labels: as the training labels.
        names: of the classes or columns, if the file tells them.
    """

    train: Images
    train_labels: Raw
    test: Images | None = None
    test_labels: Raw | None = None
    names: Sequence[str] | None = None


def as_arrays(
    parts: RawSplit,
    image_size: int | Sequence[int] | None,
    channels: int | None,
    class_names: Sequence[str] | None = None,
) -> ImageArrays:
    """The data set; without a test division a fixed, stratified fifth becomes the test set.

    Args:
        parts: what the file told.
        image_size: one side or (height, width) in pixels; None leaves it.
        channels: of an image; None leaves them.
        class_names: names of the classes, in order, where the file only numbers them.

    Raises:
        ValueError: if labels or sizes are impossible.
    """
    train_labels, test_labels, names = encode(parts.train_labels, parts.test_labels, parts.names)
    if class_names is not None and all(name.isdigit() for name in names):
        names = _named(names, class_names)
    train = _fitted(parts.train, image_size, channels)
    if parts.test is None or test_labels is None:
        return with_test_fifth(train, train_labels, names)
    test = _fitted(parts.test, image_size, channels)
    return ImageArrays(train, train_labels, test, test_labels, names)


def _named(found: Sequence[str], class_names: Sequence[str]) -> tuple[str, ...]:
    if len(found) != len(class_names):
        raise ValueError(
            f"data.source.class_names ({len(class_names)} names) must name the {len(found)} classes"
            f" found ({', '.join(found[:10])}); correct them or leave them null"
        )
    return tuple(class_names)


def _fitted(images: Images, image_size: int | Sequence[int] | None, channels: int | None) -> Images:
    if isinstance(images, MemoryImages):
        images = MemoryImages(with_channels(images.pixels, channels))
    return images if image_size is None else ResizedImages(images, as_size(image_size))
