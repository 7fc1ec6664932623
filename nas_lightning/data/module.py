"""The data module: one data set, seen by the search, by its candidates and by the final child."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas_lightning.core.checks import at_least, one_of
from nas_lightning.data.augmentation import NO_AUGMENTATION, Augmentation
from nas_lightning.data.batches import (
    Arrays,
    OrderedBatches,
    PairedBatches,
    Place,
    ShuffledBatches,
    batch_for,
)
from nas_lightning.data.dataset_checks import check, check_images_only
from nas_lightning.data.image_store import ImageStore
from nas_lightning.data.images import ImageArrays, Images, as_size, with_fewer
from nas_lightning.data.split import split_hash, strata, stratified_split, stratified_subset
from nas_lightning.data.targets import fit, statistics_of
from nas_lightning.data.unreadable import WAYS, without_unreadable
from nas_lightning.data.view import View

__all__ = ["ImageDataModule"]


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
        num_classes: the number that must be found; None takes what is there.
        batch_size: images per step, over all processes.
        validation_share: share of each class that the search validates on, in (0, 1).
        augmentation: of training images; None means none.
        max_images: most images of the training set, a stratified choice that is the same
            whatever the seed; None takes all.
        unreadable: what becomes of images that cannot be read: "refuse" ends with a message that
            names one, "skip" leaves them out and names them.
        memory_limit_gib: a training set that is larger, in GiB of pixels, is read by workers.
        num_workers: threads that read files, and processes that read beyond the memory limit.

    Raises:
        ValueError: a number is out of its range.
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
            test=lambda place: self.final()._read_test(place),
        )
        if path is not None and not path.strip():
            raise ValueError(f"data.path ({path!r}) must name a folder or file; give data.path=DIR")
        at_least("data.batch_size", batch_size, 1, use=64)
        one_of("data.unreadable", unreadable, WAYS)
        at_least("data.max_images", max_images, 2, use=1000)
        at_least("data.num_workers", num_workers, 0)
        at_least("data.memory_limit_gib", memory_limit_gib, 0)
        self.source, self.path = source, path
        self.seed, self.targets = seed, targets
        self.name = name or (path and Path(path).expanduser().resolve().name)
        self.image_size = image_size if image_size is None else as_size(image_size)
        self.channels, self.num_classes = channels, num_classes
        self.batch_size, self.validation_share = batch_size, validation_share
        self.augmentation = augmentation or NO_AUGMENTATION
        self.max_images, self.unreadable = max_images, unreadable
        self.memory_limit_gib, self.num_workers = memory_limit_gib, num_workers
        self.notes: tuple[str, ...] = ()

    def load(self) -> None:
        """Reads and checks the training set, and whether the test set can be read; idempotent."""
        _ = self._store  # reads at the first use

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of an image (channels, height, width), or of another sample."""
        return self._store.train.shape

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, labels or values, in the order of the outputs."""
        return self._store.arrays.class_names

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
        """What a sample must go through before a network sees it, as plain data.

        Of images it has `channels`, and `image_size` [height, width] in pixels; then (pixel / 255 -
        mean) / std with the training set's `mean` and `std`, one number per channel; `range` tells
        which numbers of arrays became the pixels 0 and 255, where they were no pixels. Of signals
        and tables it has `input_shape`; then (number - mean) / std, by channel or feature.
        """
        shape, store = list(self.input_shape), self._store
        size = {"channels": shape[0], "image_size": shape[1:]}
        if store.arrays.standardisation is not None:
            size = {"input_shape": shape}
        if store.arrays.pixel_range is not None:
            size["range"] = list(store.arrays.pixel_range)
        return {**size, "mean": store.mean, "std": store.std}

    @property
    def target_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation (outputs,) of the training set's values; 0 and 1 of classes."""
        return statistics_of(self._store.arrays.train_labels, self.num_outputs)

    def search(self) -> View:
        """Returns the search's view: {"train": batch, "val": batch} per step.

        The two parts of the training set are augmented alike, as in DARTS (Liu et al. 2018,
        arXiv:1806.09055), except that the validation part is not mixed up; validation images
        come round again where they are fewer. All of them are the validation batches.
        """
        (train_part, val_part), images = self._parts, self._store.train
        size, steps = self.batch_size, len(train_part) // self.batch_size
        unmixed = replace(self.augmentation, mixup=0.0)
        first = self._shuffled(images, train_part, "search train", size, self.augmentation)
        second = self._shuffled(images, val_part, "search val", size, unmixed, steps)
        return View(
            lambda place: PairedBatches(first(place), second(place)),
            self._ordered(images, val_part),
        )

    def candidate(
        self,
        max_samples: int | None = None,
        image_size: int | Sequence[int] | None = None,
        batch_size: int | None = None,
        cutout: int = 0,
    ) -> View:
        """Returns a black-box candidate's view: the search's two parts.

        Args:
            max_samples: most images to train on, a stratified choice; None means all.
            image_size: one side or (height, width) in pixels; None means the data's own.
            batch_size: images per step, over all processes; None means the data's own.
            cutout: side of a square hole in pixels, where it exceeds the augmentation's own.
        """
        part, val_part = self._parts
        check_images_only(self._store.arrays, image_size=image_size, cutout=cutout)
        at_least("max_samples", max_samples, 1, use=1000)
        if max_samples is not None:
            labels = strata(self._store.arrays.train_labels)[part]
            size = min(max_samples, len(part))
            part = part[stratified_subset(labels, size, (self.seed, "candidate"))]
        images = self._store.train
        if image_size is not None:
            images = self._store.at_size(as_size(image_size))
        train = self._of_child(images, part, "candidate", batch_size, cutout)
        return View(train, self._ordered(images, val_part))

    def final(
        self, validation_share: float = 0.0, batch_size: int | None = None, cutout: int = 0
    ) -> View:
        """Returns the found child's view: it trains on the whole training set and may be tested.

        Args:
            validation_share: share of each class held out to validate on, in [0, 1).
            batch_size: images per step, over all processes; None means the data's own.
            cutout: side of a square hole in pixels, where it exceeds the augmentation's own.
        """
        images, arrays = self._store.train, self._store.arrays
        check_images_only(arrays, cutout=cutout)
        part, val = torch.arange(len(images)), None
        if validation_share:
            key = (self.seed, "final")
            part, held_out = stratified_split(strata(arrays.train_labels), validation_share, key)
            val = self._ordered(images, held_out)
        train = self._of_child(images, part, "final", batch_size, cutout)
        return View(train, val, self._ordered(arrays.test, torch.arange(len(arrays.test))))

    def training_arrays(self) -> Arrays:
        """Returns all training images (N, C, H, W), normalised float32, and labels (N, ...)."""
        store = self._store
        return store.normalised(store.train), store.arrays.train_labels.numpy()

    def test_arrays(self) -> Arrays:
        """Returns all test images (M, C, H, W), normalised float32, and labels (M, ...)."""
        store = self._store
        return store.normalised(store.arrays.test), store.arrays.test_labels.numpy()

    @cached_property
    def _store(self) -> ImageStore:
        arrays = self.source(path=self.path, image_size=self.image_size, channels=self.channels)
        arrays = fit(arrays, self.targets)
        if self.max_images is not None:
            arrays = with_fewer(arrays, self.max_images)
        if self.unreadable == "skip":
            arrays, self.notes = without_unreadable(arrays)
        check(arrays, self.num_classes)
        check_images_only(arrays, **{**vars(self.augmentation), "mixup": 0})
        batch_for(self._split(arrays.train_labels)[0], self.batch_size)  # before the slow reading
        return ImageStore(arrays, self.memory_limit_gib, self.num_workers)

    @cached_property
    def _parts(self) -> tuple[Tensor, Tensor]:
        """Indices of the training set that a search trains on, and that it validates on."""
        return self._split(self._store.arrays.train_labels)

    def _split(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        return stratified_split(strata(labels), self.validation_share, (self.seed, "split"))

    def _of_child(
        self, images: Images, part: Tensor, purpose: str, batch_size: int | None, cutout: int
    ) -> Callable[[Place], ShuffledBatches]:
        """Returns what makes a child's training batches for a place."""
        size = batch_for(part, self.batch_size if batch_size is None else batch_size)
        augmentation = self.augmentation.with_cutout(cutout)
        return self._shuffled(images, part, purpose, size, augmentation)

    def _shuffled(
        self,
        images: Images,
        part: Tensor,
        purpose: str,
        batch_size: int,
        augmentation: Augmentation,
        num_batches: int | None = None,
    ) -> Callable[[Place], ShuffledBatches]:
        """Returns what makes training batches for a place; see ShuffledBatches."""

        def batches(place: Place) -> ShuffledBatches:
            labelled, key = self._store.labelled(images, place.device), (self.seed, purpose)
            return ShuffledBatches(
                labelled, part, place, key, batch_size, augmentation, num_batches
            )

        return batches

    def _ordered(self, images: Images, part: Tensor) -> Callable[[Place], OrderedBatches]:
        """Returns what makes evaluation batches: without gradients twice as many images fit."""

        def batches(place: Place) -> OrderedBatches:
            labelled = self._store.labelled(images, place.device)
            return OrderedBatches(labelled, part, place, 2 * self.batch_size)

        return batches
