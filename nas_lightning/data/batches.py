"""Batches, augmented and normalised on the device, and the views of a data set made of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import lightning as L
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
    "LaterBatches",
    "OrderedBatches",
    "PairedBatches",
    "Place",
    "Reader",
    "ShuffledBatches",
    "View",
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


class EpochBatches(ABC):
    """Batches that differ from epoch to epoch."""

    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch (0-based) of the next iteration."""
        self.epoch = epoch

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __iter__(self) -> Iterator[Batch]: ...


@dataclass(eq=False)
class ShuffledBatches(EpochBatches):
    """Training batches, in another order and with another augmentation each epoch.

    They are images (n, C, H, W), normalised float32, and labels (n, ...), on the device. Every
    process draws for the whole batch and takes its part of it. A short rest is dropped.
    """

    images: LabelledImages
    indices: Tensor  # of the images to use, int64 (K,)
    place: Place
    key: tuple[int, str]  # (seed, purpose); draws depend on it, the epoch and the batch
    batch_size: int  # over all processes, a multiple of their number
    augmentation: Augmentation
    num_batches: int | None = None  # per epoch, images repeat if need be; None means all whole ones

    def __post_init__(self) -> None:
        if self.batch_size % (world := self.place.world):
            raise ValueError(
                f"data.batch_size ({self.batch_size}) must be a multiple of the number of processes"
                f" ({world}); use e.g. {world * -(-self.batch_size // world)}"
            )
        self.sampler = self  # Lightning calls set_epoch of a loader's sampler

    def __len__(self) -> int:
        whole = len(self.indices) // self.batch_size
        return whole if self.num_batches is None else self.num_batches

    def order(self, epoch: int) -> Tensor:
        """Returns the indices of an epoch's images, in order, for all batches."""
        needed = len(self) * self.batch_size
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


class LaterBatches(EpochBatches):
    """The batches of another loader, from an epoch (0-based) of it that counts as the first."""

    def __init__(self, batches: "EpochBatches | PairedBatches", first: int) -> None:
        self.batches, self.first = batches, first
        self.sampler = self  # Lightning calls set_epoch of a loader's sampler

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        self.batches.set_epoch(self.first + self.epoch)
        return iter(self.batches)


class PairedBatches:
    """Steps of a search, {"train": batch, "val": batch}, from equally many batches of each."""

    def __init__(self, train: EpochBatches, val: EpochBatches) -> None:
        self.train, self.val = train, val
        self.sampler = self  # Lightning calls set_epoch of a loader's sampler

    def __len__(self) -> int:
        return len(self.train)

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch (0-based) of the next iteration."""
        self.train.set_epoch(epoch)
        self.val.set_epoch(epoch)

    def __iter__(self) -> Iterator[dict[str, Batch]]:
        for train, val in zip(self.train, self.val, strict=True):
            yield {"train": train, "val": val}


class OrderedBatches:
    """All images once, in order, without augmentation, in batches of nearly equal size.

    The processes divide each batch, of `most` images or fewer; their parts differ by one image at
    most, so weight what you average.
    """

    def __init__(self, images: LabelledImages, indices: Tensor, place: Place, most: int) -> None:
        self.images = images
        parts = indices.tensor_split(-(-len(indices) // most))
        self.plan = [part.tensor_split(place.world)[place.rank] for part in parts]

    def __len__(self) -> int:
        return len(self.plan)

    def __iter__(self) -> Iterator[Batch]:
        for pixels, indices in zip(self.images.read(self.plan), self.plan, strict=True):
            yield self.images.normalise(pixels), self.images.labels_of(indices)


class View(L.LightningDataModule):
    """What one stage of a run sees of a data set: hand it to a Trainer.

    Each argument makes batches for a process's place. Without `val` the Trainer needs
    limit_val_batches=0, or it warns; without `test` the test set must not be seen.
    """

    def __init__(
        self,
        train: Callable[[Place], EpochBatches | PairedBatches],
        val: Callable[[Place], Iterable[Batch]] | None = None,
        test: Callable[[Place], Iterable[Batch]] | None = None,
    ) -> None:
        super().__init__()
        self._train, self._val, self._test = train, val, test

    def later(self, epoch: int) -> "View":
        """Returns the same view, whose training begins with the batches of an epoch (0-based)."""
        return View(lambda place: LaterBatches(self._train(place), epoch), self._val, self._test)

    def train_dataloader(self) -> EpochBatches | PairedBatches:
        """Returns the training batches, on the training device."""
        return self._train(self._place)

    def val_dataloader(self) -> Iterable[Batch]:
        """Returns the validation batches, on the training device."""
        return [] if self._val is None else self._val(self._place)

    def test_dataloader(self) -> Iterable[Batch]:
        """Returns the test batches, or raises ValueError if this view must not see them."""
        return self._read_test(self._place)

    def _read_test(self, place: Place) -> Iterable[Batch]:
        if self._test is None:
            raise ValueError("a search must not see the test set; use final() to test a child")
        return self._test(place)

    @property
    def _place(self) -> Place:
        """Where the view's Trainer runs this process; the CPU without a Trainer."""
        if (trainer := self.trainer) is None:
            return Place(torch.device("cpu"))
        return Place(trainer.strategy.root_device, trainer.global_rank, trainer.world_size)
