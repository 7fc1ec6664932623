"""Images and labels as the sources hand them over: uint8, read by index."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nas_lightning.data.split import strata, stratified_split, stratified_subset

SMALLEST_SIDE = 8
TEST_SHARE = 0.2


class Images(Protocol):
    """Images of one shape, read by index."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image (channels, height, width)."""

    def __len__(self) -> int:
        """The number of images."""

    def read(self, indices: Tensor) -> Tensor:
        """The images of some indices (N,): uint8 (N, C, H, W)."""

    def unreadable(self, whole: bool = True) -> dict[int, str]:
        """What is wrong with each image that cannot be read, by its index; keeps nothing.

        Args:
            whole: whether images are decoded; else a look at their headers does.
        """


@dataclass(frozen=True, eq=False)
class MemoryImages:
    """Images in memory.

    Args:
        pixels: uint8 (N, C, H, W), on any device.
    """

    pixels: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image (channels, height, width)."""
        _, channels, height, width = self.pixels.shape
        return channels, height, width

    def __len__(self) -> int:
        """The number of images."""
        return len(self.pixels)

    def read(self, indices: Tensor) -> Tensor:
        """The images of some indices (N,): uint8 (N, C, H, W), on their device."""
        return self.pixels.index_select(0, indices.to(self.pixels.device))

    def unreadable(self, whole: bool = True) -> dict[int, str]:
        """Nothing: what is in memory can be read."""
        return {}


@dataclass(frozen=True, eq=False)
class ResizedImages:
    """Other images at another size.

    Args:
        images: the images to resize.
        size: (height, width) in pixels.
    """

    images: Images
    size: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image (channels, height, width)."""
        return (self.images.shape[0], *self.size)

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    def read(self, indices: Tensor) -> Tensor:
        """The images of some indices (N,): uint8 (N, C, H, W)."""
        return resize(self.images.read(indices), self.size)

    def unreadable(self, whole: bool = True) -> dict[int, str]:
        """What is wrong with each image that cannot be read, by its index; keeps nothing."""
        return self.images.unreadable(whole)


@dataclass(frozen=True)
class ImageArrays:
    """A data set: what a source returns.

    Args:
        train: the training images.
        train_labels: int64 (N,), in [0, number of classes); of several labels or of numbers an
            image float32 (N, K).
        test: the test images, of the same shape.
        test_labels: as the training labels, (M, ...).
        class_names: one name a class, or one for each of the K columns.

    Raises:
        ValueError: if there are more or fewer labels than images.
    """

    train: Images
    train_labels: Tensor
    test: Images
    test_labels: Tensor
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse images without labels, and labels without images."""
        _check_number(self.train, self.train_labels, "training")
        _check_number(self.test, self.test_labels, "test")


@dataclass(frozen=True, eq=False)
class Subset:
    """Some of the images of another collection.

    Args:
        images: all of them.
        indices: int64 (N,): which ones, in order.
    """

    images: Images
    indices: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image (channels, height, width)."""
        return self.images.shape

    def __len__(self) -> int:
        """The number of images."""
        return len(self.indices)

    def read(self, indices: Tensor) -> Tensor:
        """The images of some indices (N,) into this subset: uint8 (N, C, H, W)."""
        return self.images.read(self.indices[indices])

    def unreadable(self, whole: bool = True) -> dict[int, str]:
        """What is wrong with each image that cannot be read, by its index; keeps nothing."""
        faults = self.images.unreadable(whole)
        places = enumerate(self.indices.tolist())
        return {place: faults[index] for place, index in places if index in faults}


def with_test_fifth(images: Images, labels: Tensor, class_names: Sequence[str]) -> ImageArrays:
    """A data set without a test division, a stratified fifth of which becomes the test set.

    The fifth is the same whatever the seed of a run, so that runs can be compared.

    Raises:
        ValueError: if there are more or fewer labels than images.
    """
    _check_number(images, labels, "training")
    train, test = stratified_split(strata(labels), TEST_SHARE, ("test set",), keep=2)
    return ImageArrays(
        Subset(images, train), labels[train], Subset(images, test), labels[test], tuple(class_names)
    )


def _check_number(images: Images, labels: Tensor, part: str) -> None:
    if len(images) != len(labels):
        raise ValueError(
            f"the {part} set must have one label an image, got {len(images)} images and"
            f" {len(labels)} labels; correct the file"
        )


def with_fewer(arrays: ImageArrays, most: int) -> ImageArrays:
    """The data set with at most so many training images, a stratified choice, always the same."""
    if len(arrays.train_labels) <= most:
        return arrays
    kept = stratified_subset(strata(arrays.train_labels), most, ("fewer images",))
    images, labels = Subset(arrays.train, kept), arrays.train_labels[kept]
    return replace(arrays, train=images, train_labels=labels)


def from_numpy(
    images: NDArray[np.uint8], labels: NDArray[np.number], class_names: Sequence[str]
) -> ImageArrays:
    """A data set of arrays in memory; a fixed, stratified fifth of it is the test set.

    Args:
        images: uint8 (N, C, H, W).
        labels: integers (N,), in [0, number of classes); of several labels or of numbers an
            image (N, K).
        class_names: one name a class, or one for each of the K columns.

    Raises:
        ValueError: if the images are not uint8 of four dimensions.
    """
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(
            f"images must be uint8 (N, C, H, W), got {images.dtype} {images.shape};"
            " scale them to 0..255 and add the missing axis"
        )
    pixels = MemoryImages(torch.from_numpy(np.ascontiguousarray(images)))
    kind = np.int64 if labels.ndim == 1 else np.float32
    return with_test_fifth(pixels, torch.from_numpy(labels.astype(kind)), class_names)


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images (N, C, H, W), uint8, at another size (height, width): bilinear, antialiased."""
    if tuple(images.shape[-2:]) == size:
        return images
    scaled = functional.interpolate(images.float(), size, mode="bilinear", antialias=True)
    return scaled.round_().clamp_(0, 255).to(torch.uint8)


def as_size(image_size: int | Sequence[int]) -> tuple[int, int]:
    """An image size as (height, width): one number means a square.

    Raises:
        ValueError: if it is not one or two whole numbers, or a side is too small.
    """
    sides = [image_size, image_size] if isinstance(image_size, int) else list(image_size)
    is_whole = all(type(side) is int for side in sides)
    if len(sides) != 2 or not is_whole or min(sides) < SMALLEST_SIDE:
        raise ValueError(
            f"image_size ({image_size}) must be one side or [height, width],"
            f" each at least {SMALLEST_SIDE} pixels; use e.g. 32"
        )
    return sides[0], sides[1]
