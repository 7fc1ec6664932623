"""A data set that was read and found good, and how its images are read from then on."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas_lightning.data.augmentation import Augmentation
from nas_lightning.data.batches import OrderedBatches, Place, ShuffledBatches
from nas_lightning.data.images import ImageArrays, Images, MemoryImages, ResizedImages
from nas_lightning.data.normalisation import statistics
from nas_lightning.data.readers import CHUNK, MemoryReader, Reader, WorkerReader, read_all
from nas_lightning.data.unreadable import refuse

Arrays = tuple[NDArray[np.float32], NDArray[np.int64] | NDArray[np.float32]]
MOST_IMAGES_OF_STATISTICS = 65536


class ImageStore:
    """A data set whose training images are in memory, if they fit.

    Args:
        arrays: as the source gave them, checked.
        memory_limit_gib: what is larger, in GiB of pixels, is read by workers.
        num_workers: threads that read files, and processes that read beyond the memory limit.

    Raises:
        ValueError: if an image cannot be read; beyond the memory limit it is found later.
    """

    def __init__(self, arrays: ImageArrays, memory_limit_gib: float, num_workers: int) -> None:
        self.arrays = arrays
        self.memory_limit_gib = memory_limit_gib
        self.num_workers = num_workers
        self._in_memory: dict[tuple[Images, torch.device], MemoryReader] = {}
        self._resized: dict[tuple[int, int], Images] = {}
        self.train = self._load(arrays.train)
        refuse(arrays.test, whole=self._fits(arrays.test))
        # Evenly spaced images: the same ones however they are read.
        step = math.ceil(len(self.train) / MOST_IMAGES_OF_STATISTICS)
        plan = torch.split(torch.arange(0, len(self.train), step), CHUNK)
        self.normalise = statistics(self.reader(self.train, torch.device("cpu"))(plan))

    def reader(self, images: Images, device: torch.device) -> Reader:
        """What reads the images onto a device: from its memory, if they fit."""
        if not self._fits(images):
            return WorkerReader(images, device, self.num_workers)
        key = (images, device)
        if key not in self._in_memory:
            pixels = read_all(images, self.num_workers)
            self._in_memory[key] = MemoryReader(pixels.to(device))
        return self._in_memory[key]

    def at_size(self, size: tuple[int, int]) -> Images:
        """The training images at another size (height, width), resized once."""
        if size == self.train.shape[1:]:
            return self.train
        if size not in self._resized:
            self._resized[size] = self._load(ResizedImages(self.train, size))
        return self._resized[size]

    def normalised(self, images: Images) -> NDArray[np.float32]:
        """All images (N, C, H, W) as the networks see them."""
        floats = self.normalise(read_all(images, self.num_workers))
        return np.asarray(floats.numpy(), dtype=np.float32)

    def shuffled(
        self,
        place: Place,
        *,
        images: Images,
        part: Tensor,
        key: tuple[int, str],
        batch_size: int,
        augmentation: Augmentation,
        num_batches: int | None = None,
    ) -> ShuffledBatches:
        """Training batches of a part of the training images, at any size; see ShuffledBatches."""
        return ShuffledBatches(
            self.reader(images, place.device),
            self.arrays.train_labels.to(place.device),
            part,
            key=key,
            batch_size=batch_size,
            augmentation=augmentation,
            normalise=self.normalise,
            place=place,
            num_outputs=len(self.arrays.class_names),
            num_batches=num_batches,
        )

    def ordered(
        self, place: Place, *, images: Images, part: Tensor, batch_size: int
    ) -> OrderedBatches:
        """Evaluation batches of a part of the training or the test images; see OrderedBatches."""
        is_test = images is self.arrays.test
        labels = self.arrays.test_labels if is_test else self.arrays.train_labels
        return OrderedBatches(
            self.reader(images, place.device),
            labels.to(place.device),
            part,
            batch_size=batch_size,
            normalise=self.normalise,
            place=place,
        )

    def _load(self, images: Images) -> Images:
        if not self._fits(images):
            refuse(images, whole=False)
            return images
        try:
            return MemoryImages(read_all(images, self.num_workers))
        except ValueError as error:
            raise ValueError(f"{error}; data.unreadable=skip leaves such images out") from error

    def _fits(self, images: Images) -> bool:
        num_bytes = len(images) * math.prod(images.shape)
        return num_bytes <= self.memory_limit_gib * 2**30
