"""Batches on the device: in a keyed order, augmented and normalised there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas_lightning.core.checks import at_least
from nas_lightning.data.augmentation import Augmentation
from nas_lightning.data.split import keyed_generator

__all__ = [
    "Arrays",
    "Batch",
    "EpochBatches",
    "LabelledImages",
    "OrderedBatches",
    "PairedBatches",
    "Place",
    "Reader",
    "ShuffledBatches",
    "batch_for",
]

Batch = tuple[Tensor, Tensor]
Arrays = tuple[NDArray[np.float32], NDArray[np.int64] | NDArray[np.float32]]
Reader = Callable[[Sequence[Tensor]], Iterator[Tensor]]  # index arrays in, uint8 batches out


@dataclass(frozen=True)
class Place:
    """Where a process stands: its device, and its rank among all processes."""

    device: torch.device
    rank: int = 0
    world: int = 1


@dataclass(frozen=True)
class LabelledImages:
    """Images on a device, of which batches are made."""

    read: Reader
    labels: Tensor  # (N, ...), of all images that `read` can read
    normalise: Callable[[Tensor], Tensor]  # makes floats of pixels
    num_outputs: int  # classes or columns

    def labels_of(self, indices: Tensor) -> Tensor:
        """Returns the labels of some images, on the device."""
        return self.labels.index_select(0, indices.to(self.labels.device))


class EpochBatches(Protocol):
    """Batches that differ from epoch to epoch."""

    def __len__(self) -> int: ...

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch (0-based) that the next iteration gives."""

    def __iter__(self) -> Iterator[Batch]: ...


class ShuffledBatches:
    """Training batches: another order and another augmentation each epoch, both keyed.

    They are images (n, C, H, W), normalised float32, and labels (n, ...), on the device. Every
    process draws for the whole batch and takes its own part of it. The order runs through all
    images before one comes again; a short rest is dropped.

    Args:
        images: all images.
        indices: int64 (K,): the images to go through.
        place: this process's device and rank.
        key: (seed, purpose), to which epoch and batch are added.
        batch_size: images of a batch, over all processes.
        augmentation: of the whole batch.
        num_batches: batches of an epoch, where more than there are begin another round; None
            means as many whole ones as there are.

    Raises:
        ValueError: the batch cannot be divided evenly among the processes.
    """

    def __init__(
        self,
        images: LabelledImages,
        indices: Tensor,
        place: Place,
        key: tuple[int, str],
        batch_size: int,
        augmentation: Augmentation,
        num_batches: int | None = None,
    ) -> None:
        if batch_size % place.world:
            raise ValueError(
                f"data.batch_size ({batch_size}) must be a multiple of the number of processes"
                f" ({place.world}); use e.g. {place.world * -(-batch_size // place.world)}"
            )
        self.images, self.indices, self.place = images, indices, place
        self.key, self.batch_size, self.augmentation = key, batch_size, augmentation
        self.num_batches = len(indices) // batch_size if num_batches is None else num_batches
        self.epoch = 0
        self.sampler = self  # Lightning calls set_epoch of a loader's sampler

    def __len__(self) -> int:
        return self.num_batches

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch (0-based) that the next iteration gives."""
        self.epoch = epoch

    def order(self, epoch: int) -> Tensor:
        """Returns the images of an epoch, in order: int64 (num_batches * batch_size,)."""
        needed = self.num_batches * self.batch_size
        orders = [
            torch.randperm(len(self.indices), generator=keyed_generator(*self.key, epoch, turn))
            for turn in range(-(-needed // len(self.indices)))
        ]
        return self.indices[torch.cat(orders)[:needed]] if orders else self.indices[:0]

    def __iter__(self) -> Iterator[Batch]:
        epoch = self.epoch  # read at the first batch, after set_epoch: this is a generator
        plan: Sequence[Tensor] = torch.split(self.order(epoch), self.batch_size)
        if not self.augmentation.mixup:  # else images of other processes are mixed in: read all
            plan = [self._part(batch) for batch in plan]
        pairs = zip(self.images.read(plan), plan, strict=True)
        for number, (pixels, indices) in enumerate(pairs):
            images, labels = self._finish(pixels, epoch, number), self.images.labels_of(indices)
            if self.augmentation.mixup:
                generator = keyed_generator(*self.key, epoch, "mixup", number)
                outputs = self.images.num_outputs
                mixed = self.augmentation.mix(images, labels, outputs, generator)
                images, labels = map(self._part, mixed)
            yield images, labels

    def _part(self, batch: Tensor) -> Tensor:
        """Returns this process's part of a whole batch."""
        return batch.chunk(self.place.world)[self.place.rank]

    def _finish(self, pixels: Tensor, epoch: int, number: int) -> Tensor:
        generator = keyed_generator(*self.key, epoch, "augmentation", number)
        draws = self.augmentation.draw(self.batch_size, pixels.shape[-2:], generator)
        if not self.augmentation.mixup:
            draws = draws.part(self.place.rank, self.place.world)
        floats = self.images.normalise(self.augmentation.move(pixels, draws))
        return self.augmentation.cut(floats, draws)


class PairedBatches:
    """Steps of a search, {"train": batch, "val": batch}, of as many batches of both."""

    def __init__(self, train: EpochBatches, val: EpochBatches) -> None:
        self.train, self.val = train, val
        self.sampler = self  # Lightning calls set_epoch of a loader's sampler

    def __len__(self) -> int:
        return len(self.train)

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch (0-based) that the next iteration gives."""
        self.train.set_epoch(epoch)
        self.val.set_epoch(epoch)

    def __iter__(self) -> Iterator[dict[str, Batch]]:
        for train, val in zip(self.train, self.val, strict=True):
            yield {"train": train, "val": val}


class OrderedBatches:
    """All images once, in order, without augmentation, in batches of nearly equal size.

    Among several processes the batches are divided, each image going to one of them; their
    numbers differ by one at most, so count what you average.

    Args:
        images: all images.
        indices: int64 (K,): the images to go through.
        place: this process's device and rank.
        batch_size: most images of a batch, over all processes.
    """

    def __init__(
        self, images: LabelledImages, indices: Tensor, place: Place, batch_size: int
    ) -> None:
        self.images = images
        parts = indices.tensor_split(-(-len(indices) // batch_size))
        self.plan = [part.tensor_split(place.world)[place.rank] for part in parts]

    def __len__(self) -> int:
        return len(self.plan)

    def __iter__(self) -> Iterator[Batch]:
        for pixels, indices in zip(self.images.read(self.plan), self.plan, strict=True):
            yield self.images.normalise(pixels), self.images.labels_of(indices)


def batch_for(part: Tensor, batch_size: int) -> int:
    """Returns the batch size.

    Raises:
        ValueError: it is not in [1, N], the number of images to train on.
    """
    at_least("batch_size", batch_size, 1, use=64)
    if batch_size > len(part):
        raise ValueError(
            f"batch_size ({batch_size}) must not exceed the {len(part)} images to train on;"
            f" use data.batch_size={len(part)} or less, or more images"
        )
    return batch_size
