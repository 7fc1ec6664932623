"""Batches on the device: in a keyed order, augmented and normalised there."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nas_lightning.data.augmentation import Augmentation
from nas_lightning.data.normalisation import Normalisation
from nas_lightning.data.readers import Reader
from nas_lightning.data.split import keyed_generator

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Place:
    """Where a process stands: its device, and its rank among all processes."""

    device: torch.device
    rank: int = 0
    world: int = 1


class ShuffledBatches:
    """Training batches: another order and another augmentation each epoch, both keyed.

    Every process draws for the whole batch and takes its own part of it. The order runs through
    all images before one comes again; a short rest is dropped.

    Args:
        read: reads images by their indices.
        labels: int64 (N,), of all that `read` can read.
        indices: int64 (K,): the images to go through.
        key: (seed, purpose), to which epoch and batch are added.
        batch_size: images of a batch, over all processes.
        num_outputs: number of classes or columns, for the targets of mixed images.
        num_batches: batches of an epoch; None means as many whole ones as there are, and more
            than that begins another round.
        augmentation: of the whole batch.
        normalise: makes floats of pixels.
        place: this process's device and rank.

    Raises:
        ValueError: if the batch cannot be divided evenly among the processes.
    """

    def __init__(
        self,
        read: Reader,
        labels: Tensor,
        indices: Tensor,
        *,
        key: tuple[int, str],
        batch_size: int,
        augmentation: Augmentation,
        normalise: Normalisation,
        place: Place,
        num_outputs: int = 0,
        num_batches: int | None = None,
    ) -> None:
        if batch_size % place.world:
            raise ValueError(
                f"data.batch_size ({batch_size}) must be a multiple of the number of processes"
                f" ({place.world}); use e.g. {place.world * -(-batch_size // place.world)}"
            )
        self.read = read
        self.labels = labels
        self.indices = indices
        self.key = key
        self.batch_size = batch_size
        self.num_batches = len(indices) // batch_size if num_batches is None else num_batches
        self.augmentation = augmentation
        self.normalise = normalise
        self.place = place
        self.num_outputs = num_outputs
        self.epoch = 0
        self.sampler = self  # Lightning calls set_epoch of a loader's sampler.

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self.num_batches

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch (0-based) that the next iteration gives."""
        self.epoch = epoch

    def order(self, epoch: int) -> Tensor:
        """The images of an epoch, in order: int64 (num_batches * batch_size,)."""
        needed = self.num_batches * self.batch_size
        rounds = -(-needed // len(self.indices))
        orders = [
            torch.randperm(len(self.indices), generator=keyed_generator(*self.key, epoch, turn))
            for turn in range(rounds)
        ]
        return self.indices[torch.cat(orders)[:needed]] if orders else self.indices[:0]

    def __iter__(self) -> Iterator[Batch]:
        """Images (n, C, H, W), normalised float32, and labels (n, ...), on the device."""
        # A generator: the epoch is read at the first batch, after set_epoch.
        epoch = self.epoch
        whole = torch.split(self.order(epoch), self.batch_size)
        plan = [self._part(batch) for batch in whole]
        if self.augmentation.mixup:  # images of other processes are mixed in: each reads all
            plan = list(whole)
        for number, (pixels, indices) in enumerate(zip(self.read(plan), plan, strict=True)):
            labels = self.labels.index_select(0, indices.to(self.labels.device))
            images = self._finish(pixels, epoch, number)
            if self.augmentation.mixup:
                generator = keyed_generator(*self.key, epoch, "mixup", number)
                mixed = self.augmentation.mix(images, labels, self.num_outputs, generator)
                images, labels = map(self._part, mixed)
            yield images, labels

    def _part(self, batch: Tensor) -> Tensor:
        """This process's part of a whole batch."""
        return batch.chunk(self.place.world)[self.place.rank]

    def _finish(self, pixels: Tensor, epoch: int, number: int) -> Tensor:
        generator = keyed_generator(*self.key, epoch, "augmentation", number)
        draws = self.augmentation.draw(self.batch_size, pixels.shape[-2:], generator)
        if not self.augmentation.mixup:
            draws = draws.part(self.place.rank, self.place.world)
        return self.augmentation.cut(self.normalise(self.augmentation.move(pixels, draws)), draws)


class EpochBatches(Protocol):
    """Batches that differ from epoch to epoch."""

    def __len__(self) -> int:
        """Batches of an epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch (0-based) that the next iteration gives."""

    def __iter__(self) -> Iterator[Batch]:
        """Images (n, C, H, W) and targets (n, ...), on the device."""


class PairedBatches:
    """Steps of a search: a batch to train on and a batch to validate on, side by side.

    Args:
        train: decides the number of steps.
        val: has as many batches.
    """

    def __init__(self, train: EpochBatches, val: EpochBatches) -> None:
        self.train = train
        self.val = val
        self.sampler = self  # Lightning calls set_epoch of a loader's sampler.

    def __len__(self) -> int:
        """Steps of an epoch."""
        return len(self.train)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch (0-based) that the next iteration gives."""
        self.train.set_epoch(epoch)
        self.val.set_epoch(epoch)

    def __iter__(self) -> Iterator[dict[str, Batch]]:
        """{"train": (images, labels), "val": (images, labels)} a step."""
        for train, val in zip(self.train, self.val, strict=True):
            yield {"train": train, "val": val}


class OrderedBatches:
    """All images once, in order, without augmentation, in batches of nearly equal size.

    Among several processes the batches are divided, each image going to one of them; their
    numbers differ by one at most, so count what you average.

    Args:
        read: reads images by their indices.
        labels: int64 (N,), of all that `read` can read.
        indices: int64 (K,): the images to go through.
        batch_size: most images of a batch, over all processes.
        normalise: makes floats of pixels.
        place: this process's device and rank.
    """

    def __init__(
        self,
        read: Reader,
        labels: Tensor,
        indices: Tensor,
        *,
        batch_size: int,
        normalise: Normalisation,
        place: Place,
    ) -> None:
        self.read = read
        self.labels = labels
        self.normalise = normalise
        parts = indices.tensor_split(-(-len(indices) // batch_size))
        self.plan = [part.tensor_split(place.world)[place.rank] for part in parts]

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.plan)

    def __iter__(self) -> Iterator[Batch]:
        """Images (n, C, H, W), normalised float32, and labels (n,), on the device."""
        for pixels, indices in zip(self.read(self.plan), self.plan, strict=True):
            labels = self.labels.index_select(0, indices.to(self.labels.device))
            yield self.normalise(pixels), labels


def batch_for(part: Tensor, batch_size: int) -> int:
    """The batch size, if there are so many images to train on.

    Args:
        part: int64 (N,), the images to train on.
        batch_size: images of a step, over all processes.

    Raises:
        ValueError: if it is not in [1, N].
    """
    at_least("batch_size", batch_size, 1)
    if batch_size > len(part):
        raise ValueError(
            f"batch_size ({batch_size}) must not exceed the {len(part)} images to train on;"
            f" use data.batch_size={len(part)} or less, or more images"
        )
    return batch_size


def at_least(name: str, value: float, least: int) -> None:
    """Refuse a number that is too small.

    Raises:
        ValueError: if the value is smaller than the least.
    """
    if value < least:
        raise ValueError(f"{name} ({value}) must be >= {least}; use e.g. {max(least, 2)}")
