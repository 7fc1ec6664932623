"""The data module: one data set, seen by the search, by its candidates and by the final child."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas_lightning.data.augmentation import NO_AUGMENTATION, Augmentation
from nas_lightning.data.batches import (
    OrderedBatches,
    PairedBatches,
    Place,
    ShuffledBatches,
    at_least,
    batch_for,
)
from nas_lightning.data.dataset_checks import check
from nas_lightning.data.image_store import Arrays, ImageStore
from nas_lightning.data.images import ImageArrays, Images, as_size, with_fewer
from nas_lightning.data.split import split_hash, strata, stratified_split, stratified_subset
from nas_lightning.data.targets import fit
from nas_lightning.data.unreadable import WAYS, readable
from nas_lightning.data.view import View


class ImageDataModule(View):
    """Images and their classes, split for a search, from one source.

    Handed to a Trainer itself, it is the same as `final()`.

    Args:
        source: called as source(path=, image_size=, channels=), returns ImageArrays.
        seed: decides the split, the order of the images and their augmentation.
        targets: what the task learns of an image: "classes", "labels" or "values".
        name: of the data set, for reports; None takes the last part of the path.
        path: where the source finds the images, if it needs to be told.
        image_size: one side or (height, width) in pixels; None leaves it to the source.
        channels: of an image; None leaves it to the source.
        num_classes: that must be found; None takes what is there.
        batch_size: images of a step, over all processes.
        validation_share: share of each class that the search validates on, in (0, 1).
        augmentation: of training images; None means none.
        max_images: most images of the training set, a stratified choice that is the same
            whatever the seed; None takes all.
        unreadable: what becomes of images that cannot be read: "refuse" ends with a message that
            names one, "skip" leaves them out and names them.
        memory_limit_gib: a training set that is larger, in GiB of pixels, is read by workers.
        num_workers: threads that read files, and processes that read beyond the memory limit.

    Raises:
        ValueError: if a number is out of its range.
    """

    def __init__(
        self,
        source: Callable[..., ImageArrays],
        *,
        seed: int,
        targets: str = "classes",
        name: str | None = None,
        path: str | None = None,
        image_size: int | tuple[int, ...] | None = None,
        channels: int | None = None,
        num_classes: int | None = None,
        batch_size: int = 64,
        validation_share: float = 0.5,
        augmentation: Augmentation | None = None,
        max_images: int | None = None,
        unreadable: str = "refuse",
        memory_limit_gib: float = 4.0,
        num_workers: int = 2,
    ) -> None:
        super().__init__(
            lambda place: self.final()._train(place),
            lambda place: [],
            lambda place: self.final()._read_test(place),
        )
        if path is not None and not path.strip():
            raise ValueError(f"data.path ({path!r}) must name a folder or file; give data.path=DIR")
        at_least("data.batch_size", batch_size, 1)
        if unreadable not in WAYS:
            raise ValueError(
                f"unknown data.unreadable '{unreadable}'; choose from: {', '.join(WAYS)}"
            )
        if max_images is not None:
            at_least("data.max_images", max_images, 2)
        at_least("data.num_workers", num_workers, 0)
        at_least("data.memory_limit_gib", memory_limit_gib, 0)
        self.source = source
        self.notes: tuple[str, ...] = ()
        self.seed = seed
        self.targets = targets
        self.path = path
        self.name = name or (path and Path(path).expanduser().resolve().name)
        self.image_size = image_size if image_size is None else as_size(image_size)
        self.channels = channels
        self.num_classes = num_classes
        self.batch_size = batch_size
        self.validation_share = validation_share
        self.augmentation = augmentation
        self.max_images = max_images
        self.unreadable = unreadable
        self.memory_limit_gib = memory_limit_gib
        self.num_workers = num_workers

    def load(self) -> None:
        """Read and check the training set, and whether the test set can be read; idempotent.

        Raises:
            ValueError: if the source finds the data wanting, or they do not fit the arguments.
        """
        _ = self._loaded  # reads at the first use

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """The shape of an image (channels, height, width)."""
        return self._loaded.train.shape

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, labels or values, in the order of the outputs."""
        return self._loaded.arrays.class_names

    @property
    def num_outputs(self) -> int:
        """The number of classes, labels or values."""
        return len(self.class_names)

    @property
    def split_hash(self) -> str:
        """16 hex digits that stand for the search's split of the training set."""
        return split_hash(self._parts)

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What an image must go through before a network sees it, as plain data.

        It has `channels`, and `image_size` [height, width] in pixels; then (pixel / 255 - mean) /
        std with the training set's `mean` and `std`, one number a channel.
        """
        channels, height, width = self.input_shape
        normalise = self._loaded.normalise
        return {
            "channels": channels,
            "image_size": [height, width],
            "mean": list(normalise.mean),
            "std": list(normalise.std),
        }

    def search(self) -> View:
        """The search's view: {"train": batch, "val": batch} a step, and all validation images.

        The two parts of the training set are augmented alike, as in DARTS (Liu et al. 2018,
        arXiv:1806.09055), but for mixup, which the validation part is spared; validation images
        come round again where they are fewer.
        """
        loaded, (train_part, val_part) = self._loaded, self._parts
        shuffled = partial(
            loaded.shuffled,
            images=loaded.train,
            batch_size=self.batch_size,
        )
        augmentation = self.augmentation or NO_AUGMENTATION
        unmixed = replace(augmentation, mixup=0.0)

        def train(place: Place) -> PairedBatches:
            keys = (self.seed, "search train"), (self.seed, "search val")
            first = shuffled(place, part=train_part, key=keys[0], augmentation=augmentation)
            second = shuffled(
                place, part=val_part, key=keys[1], augmentation=unmixed, num_batches=len(first)
            )
            return PairedBatches(first, second)

        return View(train, self._ordered(loaded.train, val_part))

    def candidate(
        self,
        max_samples: int | None = None,
        image_size: int | Sequence[int] | None = None,
        batch_size: int | None = None,
        cutout: int = 0,
    ) -> View:
        """A black-box candidate's view: it trains and validates on the search's two parts.

        Args:
            max_samples: most images to train on, a stratified choice; None means all.
            image_size: one side or (height, width) in pixels; None means the data's own.
            batch_size: images of a step, over all processes; None means the data's own.
            cutout: side of a square hole in pixels, where it exceeds the augmentation's own.

        Raises:
            ValueError: if a number is out of its range, or the batch is larger than what is left
                to train on.
        """
        part, validation_part = self._parts
        if max_samples is not None:
            at_least("max_samples", max_samples, 1)
            labels = strata(self._loaded.arrays.train_labels)[part]
            size = min(max_samples, len(part))
            part = part[stratified_subset(labels, size, (self.seed, "candidate"))]
        images = self._loaded.train
        if image_size is not None:
            images = self._loaded.at_size(as_size(image_size))
        return View(
            self._shuffled(images, part, "candidate", batch_size, cutout),
            self._ordered(images, validation_part),
        )

    def final(
        self, validation_share: float = 0.0, batch_size: int | None = None, cutout: int = 0
    ) -> View:
        """The found child's view: it trains on the whole training set and may be tested.

        Args:
            validation_share: share of each class held out to validate on, in [0, 1).
            batch_size: images of a step, over all processes; None means the data's own.
            cutout: side of a square hole in pixels, where it exceeds the augmentation's own.

        Raises:
            ValueError: if a number is out of its range, or the batch is larger than what is left
                to train on.
        """
        labels = self._loaded.arrays.train_labels
        part, held_out = torch.arange(len(labels)), torch.arange(0)
        if validation_share:
            key = (self.seed, "final")
            part, held_out = stratified_split(strata(labels), validation_share, key)
        images, test = self._loaded.train, self._loaded.arrays.test
        return View(
            self._shuffled(images, part, "final", batch_size, cutout),
            self._ordered(images, held_out) if len(held_out) else lambda place: [],
            self._ordered(test, torch.arange(len(test))),
        )

    @property
    def target_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (outputs,) of the training set's values; 0, 1 of classes."""
        labels = self._loaded.arrays.train_labels
        if not labels.is_floating_point():
            return torch.zeros(self.num_outputs), torch.ones(self.num_outputs)
        std = labels.std(0, correction=0)
        return labels.mean(0), torch.where(std > 0, std, torch.ones_like(std))

    def training_arrays(self) -> Arrays:
        """All training images (N, C, H, W), normalised float32, and their labels (N, ...)."""
        loaded = self._loaded
        return loaded.normalised(loaded.train), loaded.arrays.train_labels.numpy()

    def test_arrays(self) -> Arrays:
        """All test images (M, C, H, W), normalised float32, and their labels (M, ...)."""
        loaded = self._loaded
        return loaded.normalised(loaded.arrays.test), loaded.arrays.test_labels.numpy()

    @cached_property
    def _loaded(self) -> ImageStore:
        found = self.source(path=self.path, image_size=self.image_size, channels=self.channels)
        arrays = fit(found, self.targets)
        if self.max_images is not None:
            arrays = with_fewer(arrays, self.max_images)
        if self.unreadable == "skip":
            arrays, self.notes = readable(arrays)
        check(arrays, self.num_classes)
        batch_for(self._split(arrays.train_labels)[0], self.batch_size)  # before the slow reading
        return ImageStore(arrays, self.memory_limit_gib, self.num_workers)

    @cached_property
    def _parts(self) -> tuple[Tensor, Tensor]:
        """Indices of the training set that a search trains on, and that it validates on."""
        return self._split(self._loaded.arrays.train_labels)

    def _split(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        return stratified_split(strata(labels), self.validation_share, (self.seed, "split"))

    def _shuffled(
        self, images: Images, part: Tensor, purpose: str, batch_size: int | None, cutout: int
    ) -> Callable[[Place], ShuffledBatches]:
        """What makes a child's training batches."""
        augmentation = self.augmentation or NO_AUGMENTATION
        return partial(
            self._loaded.shuffled,
            images=images,
            part=part,
            key=(self.seed, purpose),
            batch_size=batch_for(part, self.batch_size if batch_size is None else batch_size),
            augmentation=augmentation.with_cutout(cutout),
        )

    def _ordered(self, images: Images, part: Tensor) -> Callable[[Place], OrderedBatches]:
        """What makes evaluation batches: without gradients twice as many images fit."""
        return partial(
            self._loaded.ordered, images=images, part=part, batch_size=2 * self.batch_size
        )
