"""A data set that was read and found good, and how its images are read from then on."""

import math

import torch

from nas_lightning.data.arrays import ArrayImages, ImageArrays, Images, ResizedImages
from nas_lightning.data.normalisation import statistics
from nas_lightning.data.readers import CHUNK, MemoryReader, Reader, WorkerReader, read_all

MOST_IMAGES_OF_STATISTICS = 65536


class Loaded:
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
        if self._fits(arrays.test):
            arrays.test.check()
        # Evenly spaced images: the same ones however they are read.
        step = math.ceil(len(self.train) / MOST_IMAGES_OF_STATISTICS)
        plan = torch.arange(0, len(self.train), step).split(CHUNK)
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

    def _load(self, images: Images) -> Images:
        if not self._fits(images):
            return images
        return ArrayImages(read_all(images, self.num_workers))

    def _fits(self, images: Images) -> bool:
        num_bytes = len(images) * math.prod(images.shape)
        return num_bytes <= self.memory_limit_gib * 2**30
