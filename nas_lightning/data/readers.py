"""Reading images by plan: from memory, or by worker processes where they do not fit."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nas_lightning.data.images import Images, MemoryImages

Reader = Callable[[Sequence[Tensor]], Iterator[Tensor]]
CHUNK = 256


class MemoryReader:
    """Reads batches of images that live on the device.

    Args:
        pixels: uint8 (N, C, H, W) on the device.
    """

    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels

    def __call__(self, plan: Sequence[Tensor]) -> Iterator[Tensor]:
        """One uint8 batch on the device for each index array of the plan."""
        for indices in plan:
            yield self.pixels.index_select(0, indices.to(self.pixels.device))


class WorkerReader:
    """Reads batches of images that do not fit in memory, by worker processes.

    Args:
        images: what the workers read.
        device: where the batches go.
        num_workers: processes; 0 reads in this one.
    """

    def __init__(self, images: Images, device: torch.device, num_workers: int) -> None:
        self.dataset = _Reads(images)
        self.device = device
        self.num_workers = num_workers

    def __call__(self, plan: Sequence[Tensor]) -> Iterator[Tensor]:
        """One uint8 batch on the device for each index array of the plan."""
        # Its own generator: a DataLoader without one draws from the global generator.
        loader: DataLoader[Tensor] = DataLoader(
            self.dataset,
            batch_size=None,
            sampler=list(plan),
            num_workers=self.num_workers,
            generator=torch.Generator(),
        )
        for batch in loader:
            yield batch.to(self.device)


def read_all(images: Images, num_threads: int) -> Tensor:
    """All images in memory: uint8 (N, C, H, W), read by several threads."""
    if isinstance(images, MemoryImages):
        return images.pixels
    with torch.inference_mode(False):  # threads may not write to a tensor of a Trainer's test
        pixels = torch.empty(len(images), *images.shape, dtype=torch.uint8)

    def fill(indices: Tensor) -> None:
        pixels[indices[0] : indices[-1] + 1] = images.read(indices)

    with ThreadPoolExecutor(max(1, num_threads)) as pool:
        for _ in pool.map(fill, torch.split(torch.arange(len(images)), CHUNK)):
            pass
    return pixels


class _Reads(Dataset[Tensor]):
    """Images by index arrays, for a DataLoader's workers."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def __getitem__(self, indices: Tensor) -> Tensor:
        return self.images.read(indices)
