"""Batches on the device: in a keyed order, augmented and normalised there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
]

Batch = tuple[Tensor, Tensor]
Arrays = tuple[NDArray[np.float32], NDArray[np.int64] | NDArray[np.float32]]
Reader = Callable[[Sequence[Tensor]], Iterator[Tensor]]  # index arrays in, uint8 batches out


@dataclass(frozen=True)
class Place:
    """A process's device, and its rank among all processes."""

    device: torch.device
    rank: int = 0
    world: int = 1


@dataclass(frozen=True)
class LabelledImages:
    """Images and labels from which batches are made."""

    read: Reader
    labels: Tensor  # (N, ...), of all images, on the device
    normalise: Callable[[Tensor], Tensor]  # pixels to floats
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
    """Training batches, in another order and with another augmentation each epoch.

    They are images (n, C, H, W), normalised float32, and labels (n, ...), on the device. Every
    process draws for the whole batch and takes its part of it. Each image comes once before one
    comes again; a short rest is dropped.

    Args:
        images: all images.
        indices: of the images to use, int64 (K,).
        place: of this process.
        key: (seed, purpose); the draws depend on it, the epoch and the batch.
        batch_size: over all processes, a multiple of their number.
        augmentation: of the whole batch.
        num_batches: per epoch, the images repeat if need be; None means all whole batches.

    Raises: ValueError: the processes cannot have equal parts of a batch.
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
        """Returns the indices of an epoch's images, in order: (num_batches * batch_size,)."""
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
        return batch.chunk(self.place.world)[self.place.rank]

    def _finish(self, pixels: Tensor, epoch: int, number: int) -> Tensor:
        generator = keyed_generator(*self.key, epoch, "augmentation", number)
        draws = self.augmentation.draw(self.batch_size, pixels.shape[-2:], generator)
        if not self.augmentation.mixup:
            draws = draws.part(self.place.rank, self.place.world)
        floats = self.images.normalise(self.augmentation.move(pixels, draws))
        return self.augmentation.cut(floats, draws)


class PairedBatches:
    """Steps of a search, {"train": batch, "val": batch}, from equally many batches of each."""

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

    The processes divide each batch of at most `batch_size` images; their parts differ by one image
    at most, so weight what you average.
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
