"""The images of a data set: in memory where they fit, else read by worker processes."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from nas_lightning.data.batches import LabelledImages, Reader
from nas_lightning.data.dataset_checks import refuse_unreadable
from nas_lightning.data.images import ImageArrays, Images, MemoryImages, ResizedImages
from nas_lightning.data.normalisation import Normalisation, statistics

__all__ = ["ImageStore", "MemoryReader", "WorkerReader"]

CHUNK = 256
MOST_IMAGES_OF_STATISTICS = 65536


class MemoryReader:
    """Reads batches of images that are on the device, uint8 (N, C, H, W), by index arrays."""

    def __init__(self, pixels: Tensor) -> None:
        self.images = MemoryImages(pixels)

    def __call__(self, plan: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yields the images of each index array."""
        return map(self.images.read, plan)


class WorkerReader:
    """Reads batches of images that do not fit in memory, by workers; 0 reads in this process."""

    def __init__(self, images: Images, device: torch.device, num_workers: int) -> None:
        self.images, self.device, self.num_workers = images, device, num_workers

    def __call__(self, plan: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yields the images of each index array, on the device."""
        loader: DataLoader[Tensor] = DataLoader(
            plan,  # type: ignore[arg-type]  # any sequence serves as a Dataset
            batch_size=None,
            collate_fn=self.images.read,  # type: ignore[arg-type]  # of one index array
            num_workers=self.num_workers,
            generator=torch.Generator(),  # without one it draws from the global generator
        )
        for batch in loader:
            yield batch.to(self.device)


class ImageStore:
    """The images of a checked data set, normalised; for the arguments see `ImageDataModule`.

    An unreadable image raises ValueError at once, or later beyond the memory limit.
    """

    def __init__(self, arrays: ImageArrays, memory_limit_gib: float, num_workers: int) -> None:
        self.arrays = arrays
        self.memory_limit_gib, self.num_workers = memory_limit_gib, num_workers
        self._in_memory: dict[tuple[Images, torch.device], MemoryReader] = {}
        self._resized: dict[tuple[int, int], Images] = {}
        self.train = self._load(arrays.train)
        refuse_unreadable(arrays.test, whole=self._fits(arrays.test))
        by = arrays.standardisation or self._statistics()
        self.mean, self.std = list(by.mean), list(by.std)
        # Standardised floats are what the networks see.
        self.normalise = by if isinstance(by, Normalisation) else Tensor.float

    def reader(self, images: Images, device: torch.device) -> Reader:
        """Returns what reads the images onto a device, from its memory if they fit."""
        if not self._fits(images):
            return WorkerReader(images, device, self.num_workers)
        key = (images, device)
        if key not in self._in_memory:
            self._in_memory[key] = MemoryReader(self._read_all(images).to(device))
        return self._in_memory[key]

    def at_size(self, size: tuple[int, int]) -> Images:
        """Returns the training images at another size (height, width), resized once."""
        if size == self.train.shape[1:]:
            return self.train
        if size not in self._resized:
            self._resized[size] = self._load(ResizedImages(self.train, size))
        return self._resized[size]

    def normalised(self, images: Images) -> NDArray[np.float32]:
        """Returns all images (N, C, H, W) as networks see them."""
        floats: NDArray[np.float32] = self.normalise(self._read_all(images)).numpy()
        return floats

    def labelled(self, images: Images, device: torch.device) -> LabelledImages:
        """Returns the test images, or the training images at any size, on a device."""
        arrays = self.arrays
        labels = arrays.test_labels if images is arrays.test else arrays.train_labels
        reader = self.reader(images, device)
        return LabelledImages(reader, labels.to(device), self.normalise, len(arrays.class_names))

    def _statistics(self) -> Normalisation:
        """Returns the statistics of evenly spaced training images, whoever reads them."""
        step = math.ceil(len(self.train) / MOST_IMAGES_OF_STATISTICS)
        plan = torch.split(torch.arange(0, len(self.train), step), CHUNK)
        return statistics(self.reader(self.train, torch.device("cpu"))(plan))

    def _load(self, images: Images) -> Images:
        if not self._fits(images):
            refuse_unreadable(images, whole=False)
            return images
        try:
            return MemoryImages(self._read_all(images))
        except ValueError as error:
            raise ValueError(f"{error}; data.unreadable=skip leaves such images out") from error

    def _read_all(self, images: Images) -> Tensor:
        if isinstance(images, MemoryImages):
            return images.pixels
        with torch.inference_mode(False):  # threads may not write to a tensor of a Trainer's test
            pixels = torch.empty(len(images), *images.shape, dtype=torch.uint8)

        def fill(indices: Tensor) -> None:
            pixels[indices[0] : indices[-1] + 1] = images.read(indices)

        with ThreadPoolExecutor(max(1, self.num_workers)) as pool:
            for _ in pool.map(fill, torch.split(torch.arange(len(images)), CHUNK)):
                pass  # raises what a thread raised
        return pixels

    def _fits(self, images: Images) -> bool:
        return len(images) * math.prod(images.shape) <= self.memory_limit_gib * 2**30
