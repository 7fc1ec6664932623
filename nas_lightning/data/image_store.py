"""The images of a data set: in memory where they fit, else read by worker processes."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from nas_lightning.data.batches import LabelledImages, Reader
from nas_lightning.data.dataset_checks import check_levels
from nas_lightning.data.identity import identity
from nas_lightning.data.images import ImageArrays, Images, MemoryImages, ResizedImages
from nas_lightning.data.normalisation import Normalisation, statistics

__all__ = ["ImageStore", "WorkerReader"]

CHUNK = 256
MOST_IMAGES_OF_STATISTICS = 65536


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
        self.memory_limit_gib, self.num_workers = memory_limit_gib, num_workers
        self._in_memory: dict[tuple[Images, torch.device], Reader] = {}
        self.train = self._load(arrays.train, "training")
        self.arrays = replace(arrays, train=self.train)
        self._resized = {self.train.shape[1:]: self.train}
        by = arrays.standardisation or self._statistics()
        self.mean, self.std = list(by.mean), list(by.std)
        # Standardised floats are what the networks see.
        self.normalise = by if isinstance(by, Normalisation) else Tensor.float

    @cached_property
    def test(self) -> Images:
        """The test images, checked and read at the first use."""
        return self._load(self.arrays.test, "test")

    @cached_property
    def identity(self) -> dict[str, str | int]:
        """What tells the data from others; see `identity`."""
        return identity(self.arrays, (_sample(self.train), _sample(self.test)))

    def at_size(self, size: tuple[int, int]) -> Images:
        """Returns the training images at another size (height, width), resized once."""
        if size not in self._resized:
            self._resized[size] = self._load(ResizedImages(self.train, size), "training")
        return self._resized[size]

    def normalised(self, images: Images) -> NDArray[np.float32]:
        """Returns all images (N, C, H, W) as networks see them."""
        floats: NDArray[np.float32] = self.normalise(self._read_all(images)).numpy()
        return floats

    def labelled(self, images: Images, device: torch.device) -> LabelledImages:
        """Returns the test images, or the training images at any size, on a device."""
        arrays, reader = self.arrays, self._reader(images, device)
        is_training = any(images is each for each in self._resized.values())
        labels = arrays.train_labels if is_training else arrays.test_labels
        return LabelledImages(reader, labels.to(device), self.normalise, len(arrays.class_names))

    def _reader(self, images: Images, device: torch.device) -> Reader:
        if not self._fits(images):
            return WorkerReader(images, device, self.num_workers)
        if (images, device) not in self._in_memory:
            pixels = self._read_all(images).to(device)
            self._in_memory[images, device] = MemoryImages(pixels).batches
        return self._in_memory[images, device]

    def _statistics(self) -> Normalisation:
        step = math.ceil(len(self.train) / MOST_IMAGES_OF_STATISTICS)
        plan = torch.split(torch.arange(0, len(self.train), step), CHUNK)
        return statistics(self._reader(self.train, torch.device("cpu"))(plan))

    def _load(self, images: Images, part: str) -> Images:
        try:
            if self._fits(images):
                images = MemoryImages(self._read_all(images))
            elif faults := list(images.unreadable(whole=False).values()):
                more = f" ({len(faults) - 1} more like it)" if len(faults) > 1 else ""
                raise ValueError(f"{faults[0]}{more}")
        except ValueError as error:
            raise ValueError(f"{error}; data.unreadable=skip leaves such images out") from error
        if (pixels := _sample(images)).dtype == torch.uint8:
            check_levels(pixels, part)
        return images

    def _read_all(self, images: Images) -> Tensor:
        if isinstance(images, MemoryImages):
            return images.pixels
        with torch.inference_mode(False):  # threads may not write to a tensor of a Trainer's test
            pixels = torch.empty(len(images), *images.shape, dtype=images.dtype)

        def fill(indices: Tensor) -> None:
            pixels[indices[0] : indices[-1] + 1] = images.read(indices)

        with ThreadPoolExecutor(max(1, self.num_workers)) as pool:
            for _ in pool.map(fill, torch.split(torch.arange(len(images)), CHUNK)):
                pass  # raises what a thread raised
        return pixels

    def _fits(self, images: Images) -> bool:
        return len(images) * math.prod(images.shape) <= self.memory_limit_gib * 2**30


def _sample(images: Images) -> Tensor:
    """Returns all images in memory, of others some, evenly spaced."""
    if isinstance(images, MemoryImages):
        return images.pixels
    return images.read(torch.arange(0, len(images), -(-len(images) // CHUNK)))
