"""Images, or signals and rows of tables, and their labels as the sources return them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nas_lightning.data.normalisation import Standardisation
from nas_lightning.data.split import strata, stratified_split, stratified_subset

__all__ = [
    "SMALLEST_SIDE",
    "ImageArrays",
    "Images",
    "MemoryImages",
    "ResizedImages",
    "Size",
    "Subset",
    "as_size",
    "from_numpy",
    "resize",
    "with_fewer",
    "with_test_fifth",
]

Size = int | Sequence[int]  # one side, or [height, width], in pixels
SMALLEST_SIDE = 8
TEST_SHARE = 0.2


class Images(ABC):
    """Images of one shape (channels, height, width), read by index."""

    shape: tuple[int, ...]
    dtype = torch.uint8

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, indices: Tensor) -> Tensor:
        """Returns the images at indices (N,): uint8 (N, C, H, W)."""

    def unreadable(self, whole: bool = True) -> dict[int, str]:
        """Returns the fault of each image whose content (whole) or header cannot be read."""
        return {}


class MemoryImages(Images):
    """Images in memory: uint8 (N, C, H, W), on any device; or floats (N, ...)."""

    def __init__(self, pixels: Tensor) -> None:
        self.pixels, self.shape, self.dtype = pixels, tuple(pixels.shape[1:]), pixels.dtype

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, indices: Tensor) -> Tensor:
        """Returns the images at indices (N,), on their device."""
        return self.pixels.index_select(0, indices.to(self.pixels.device))

    def batches(self, plan: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yields the images of each index array."""
        return map(self.read, plan)


class Subset(Images):
    """The images at some indices, int64 (N,), of others; None means all of them."""

    def __init__(self, images: Images, indices: Tensor | None) -> None:
        self.images, self.shape, self.dtype = images, images.shape, images.dtype
        self.indices = torch.arange(len(images)) if indices is None else indices

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, indices: Tensor) -> Tensor:
        """Returns the images at indices (N,) into this subset: (N, C, H, W), of its dtype."""
        return self.images.read(self.indices[indices])

    def unreadable(self, whole: bool = True) -> dict[int, str]:
        """Returns the faults of the images in this subset."""
        faults = self.images.unreadable(whole)
        places = enumerate(self.indices.tolist())
        return {place: faults[index] for place, index in places if index in faults}


class ResizedImages(Subset):
    """Other images at another size (height, width) in pixels."""

    def __init__(self, images: Images, size: tuple[int, int]) -> None:
        super().__init__(images, None)
        self.size, self.shape = size, (images.shape[0], *size)

    def read(self, indices: Tensor) -> Tensor:
        """Returns the images at indices (N,), resized: uint8 (N, C, H, W)."""
        return resize(super().read(indices), self.size)


@dataclass(frozen=True)
class ImageArrays:
    """A data set: what a source returns.

    Labels are classes, int64 (N,), in [0, number of classes); or float32 (N, K): 0 or 1 for each
    of K labels, or K values. Raises ValueError unless each image has one.
    """

    train: Images
    train_labels: Tensor
    test: Images  # of the same shape
    test_labels: Tensor
    class_names: tuple[str, ...]  # one per class, or per column
    standardisation: Standardisation | None = None  # made floats of raw numbers; None for pixels
    pixel_range: tuple[float, float] | None = None  # became pixels 0 and 255; None if they were
    passed_over: tuple[str, ...] = ()  # what the source found and did not read

    def __post_init__(self) -> None:
        _check_number(self.train, self.train_labels, "training")
        _check_number(self.test, self.test_labels, "test")


def _check_number(images: Images, labels: Tensor, part: str) -> None:
    if len(images) != len(labels):
        raise ValueError(
            f"the {part} set must have one label per sample, got {len(images)} samples and"
            f" {len(labels)} labels; correct the data"
        )


def with_test_fifth(images: Images, labels: Tensor, class_names: Sequence[str]) -> ImageArrays:
    """Returns a data set whose test set is a stratified fifth, the same for all seeds."""
    _check_number(images, labels, "training")
    train, test = stratified_split(strata(labels), TEST_SHARE, ("test set",), keep=2)
    return ImageArrays(
        Subset(images, train), labels[train], Subset(images, test), labels[test], tuple(class_names)
    )


def with_fewer(arrays: ImageArrays, most: int) -> ImageArrays:
    """Returns the data set with at most this many training images, always the same ones.

    Raises: ValueError: too few are left of a class.
    """
    if len(arrays.train_labels) <= most:
        return arrays
    chosen = stratified_subset(strata(arrays.train_labels), most, ("fewer images",))
    images, labels = Subset(arrays.train, chosen), arrays.train_labels[chosen]
    if not labels.is_floating_point():
        classes, before = np.unique(arrays.train_labels.numpy(), return_counts=True)
        both = np.concatenate([classes, labels.numpy()])
        after = np.unique(both, return_counts=True)[1] - 1
        if int(after.min()) < 2 <= int(before.min()):
            raise ValueError(
                f"data.max_images ({most}) must leave at least 2 training samples of every class,"
                f" got {int(after.min())}; use e.g. {10 * len(classes)}"
            )
    return replace(arrays, train=images, train_labels=labels)


def from_numpy(
    images: NDArray[np.uint8], labels: NDArray[np.number], class_names: Sequence[str]
) -> ImageArrays:
    """Returns a data set of images (N, C, H, W) and classes (N,) or columns (N, K)."""
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(
            f"images must be uint8 (N, C, H, W), got {images.dtype} {images.shape};"
            " scale them to 0..255 and add the missing axis"
        )
    pixels = MemoryImages(torch.from_numpy(np.ascontiguousarray(images)))
    kind = np.int64 if labels.ndim == 1 else np.float32
    return with_test_fifth(pixels, torch.from_numpy(labels.astype(kind)), class_names)


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns images, uint8 (N, C, H, W), at another size: bilinear, antialiased."""
    if tuple(images.shape[-2:]) == size:
        return images
    scaled = functional.interpolate(images.float(), size, mode="bilinear", antialias=True)
    return scaled.round_().clamp_(0, 255).to(torch.uint8)


def as_size(image_size: Size, key: str = "data.image_size") -> tuple[int, int]:
    """Returns an image size as (height, width); refuses others than 1 or 2 numbers from 8."""
    sides = [image_size, image_size] if isinstance(image_size, int) else list(image_size)
    is_whole = all(type(side) is int for side in sides)
    if len(sides) != 2 or not is_whole or min(sides) < SMALLEST_SIDE:
        raise ValueError(
            f"{key} ({image_size}) must be one side or [height, width], each at least"
            f" {SMALLEST_SIDE} pixels; use e.g. 32"
        )
    return sides[0], sides[1]
