"""The data module: one data set, seen by the search, by its candidates and by the final child."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from inspect import signature
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
    View,
)
from nas_lightning.data.dataset_checks import check, check_images_only, without_unreadable
from nas_lightning.data.image_store import ImageStore
from nas_lightning.data.images import ImageArrays, Images, Size, as_size, with_fewer
from nas_lightning.data.labels import fit, per_class, statistics_of
from nas_lightning.data.parts import Chosen
from nas_lightning.data.split import split_hash, strata, stratified_split, stratified_subset

__all__ = ["ImageDataModule"]


class ImageDataModule(View):
    """Images and their targets from one source, split for a search; to a Trainer, its `final()`.

    Args:
        source: called as source(path=, image_size=, channels=), returns ImageArrays.
        seed: decides the split, the order of the images and their augmentation.
        targets: what the task learns of an image: "classes", "labels" or "values".
        name: for reports; None takes the last part of the path.
        path: where the source finds the images, if it needs to be told.
        image_size: one side or (height, width) in pixels; None, as for channels: the source's.
        range: the numbers of black and white, (low, high), if the type of the images does not say.
        parts: names of the source's parts by role, e.g. {"train": "a+b", "test": "c"}.
        num_classes: the number that the source must have; None takes any.
        batch_size: images per step, over all processes.
        validation_share: share of each class that the search validates on, in (0, 1).
        augmentation: of training images; None means none.
        max_images: most training images, a stratified choice for all seeds; None takes all.
        unreadable: images raise ValueError ("refuse"), or are left out and named ("skip").
        memory_limit_gib: worker processes read a training set of more pixels than this, in GiB.
        num_workers: threads that read files, and processes that read beyond the memory limit.
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
        range: tuple[float, ...] | None = None,  # noqa: A002  # the key is data.range
        parts: Chosen | None = None,
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
        one_of("data.unreadable", unreadable, ("refuse", "skip"))
        at_least("data.max_images", max_images, 2, use=1000)
        at_least("data.num_workers", num_workers, 0)
        at_least("data.memory_limit_gib", memory_limit_gib, 0)
        self.source, self.path = source, path
        self.seed, self.targets = seed, targets
        self.split_seed = seed  # of the split for a search; a fork keeps that of its state
        self.name = name or (path and Path(path).expanduser().resolve().name)
        self.image_size = image_size if image_size is None else as_size(image_size)
        self.channels, self.num_classes = channels, num_classes
        if range is not None and not (len(range) == 2 and range[0] < range[1]):
            raise ValueError(f"data.range ({list(range)}) must be [LOW,HIGH]; use e.g. [0,255]")
        self.told = {"range": range, "parts": parts}
        self.batch_size, self.validation_share = batch_size, validation_share
        self.augmentation = augmentation or NO_AUGMENTATION
        self.max_images, self.unreadable = max_images, unreadable
        self.memory_limit_gib, self.num_workers = memory_limit_gib, num_workers
        self.notes: tuple[str, ...] = ()

    def load(self) -> None:
        """Reads and checks the training set, and checks the test set; idempotent."""
        _ = self._store.test  # reads at the first use

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of a sample, e.g. of an image (channels, height, width)."""
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
        """16 hex digits that identify the search's split of the training set."""
        return split_hash(self._parts)

    @property
    def search_split(self) -> tuple[int, int]:
        """On how many training images a search trains, and on how many it validates."""
        train, val = self._parts
        return len(train), len(val)

    @property
    def identity(self) -> dict[str, str | int]:
        """What tells the data from others; see `identity`."""
        return self._store.identity

    @property
    def facts(self) -> dict[str, Any]:
        """What was read, by part, and what was passed over, as plain data."""
        arrays = self._store.arrays
        return {
            "read": {"training": len(arrays.train), "test": len(arrays.test)},
            "shape": list(self.input_shape),
            "classes": list(arrays.class_names),
            "images_per_class": per_class(arrays),
            "passed_over": list(arrays.passed_over),
        }

    @property
    def preprocessing(self) -> dict[str, Any]:
        """How a sample becomes what a network sees, as plain data.

        For images `channels`, `image_size` [height, width] in pixels, the training set's `mean` and
        `std` per channel, for (pixel / 255 - mean) / std, and `range`, the numbers that became the
        pixels 0 and 255, if any; else `input_shape`, `mean` and `std` for (number - mean) / std.
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

        Both parts of the training set are augmented as in DARTS (Liu et al. 2018,
        arXiv:1806.09055), but mixup leaves out the validation part, which repeats where it is the
        smaller one. The validation batches hold all of it once.
        """
        (part, val_part), images = self._parts, self._store.train
        size, steps = self.batch_size, len(part) // self.batch_size
        unmixed = replace(self.augmentation, mixup=0.0)
        first = self._shuffled(images, part, "search train", size, self.augmentation)
        second = self._shuffled(images, val_part, "search val", size, unmixed, steps)
        val = self._ordered(images, val_part)
        return View(lambda place: PairedBatches(first(place), second(place)), val)

    def candidate(
        self,
        max_samples: int | None = None,
        image_size: Size | None = None,
        batch_size: int | None = None,
        cutout: int = 0,
    ) -> View:
        """Returns a black-box candidate's view: the search's two parts.

        It trains on at most `max_samples` images, a stratified choice; None means all, or the
        data's own size. `cutout`, a hole's side in pixels, replaces a smaller one.
        """
        (part, val_part), store = self._parts, self._store
        check_images_only(store.arrays, image_size=image_size, cutout=cutout)
        at_least("max_samples", max_samples, 1, use=1000)
        if max_samples is not None:
            labels, size = strata(store.arrays.train_labels)[part], min(max_samples, len(part))
            part = part[stratified_subset(labels, size, (self.seed, "candidate"))]
        images = store.train
        if image_size is not None:
            images = store.at_size(as_size(image_size, "evaluation.image_size"))
        train = self._of_child(images, part, "candidate", batch_size, cutout)
        return View(train, self._ordered(images, val_part))

    def final(
        self, validation_share: float = 0.0, batch_size: int | None = None, cutout: int = 0
    ) -> View:
        """Returns the found child's view: it trains on the whole training set and may be tested.

        A share of each class in [0, 1) is held out to validate on; for the rest see `candidate`.
        """
        store, val = self._store, None
        check_images_only(store.arrays, cutout=cutout)
        part = torch.arange(len(store.train))
        if validation_share:
            labels, key = strata(store.arrays.train_labels), (self.seed, "final")
            part, held_out = stratified_split(labels, validation_share, key)
            val = self._ordered(store.train, held_out)
        train = self._of_child(store.train, part, "final", batch_size, cutout)
        return View(train, val, self._ordered(store.test, torch.arange(len(store.test))))

    def training_arrays(self) -> Arrays:
        """Returns all training images (N, C, H, W), normalised float32, and labels (N, ...)."""
        return self._store.normalised(self._store.train), self._store.arrays.train_labels.numpy()

    def test_arrays(self) -> Arrays:
        """Returns all test images (M, C, H, W), normalised float32, and labels (M, ...)."""
        return self._store.normalised(self._store.test), self._store.arrays.test_labels.numpy()

    @cached_property
    def _store(self) -> ImageStore:
        arguments = {"path": self.path, "image_size": self.image_size, "channels": self.channels}
        arrays = fit(self.source(**arguments, **self._told()), self.targets)
        if self.max_images is not None:
            arrays = with_fewer(arrays, self.max_images)
        if self.unreadable == "skip":
            arrays, self.notes = without_unreadable(arrays)
        check(arrays, self.num_classes)
        check_images_only(arrays, **{**vars(self.augmentation), "mixup": 0})
        self._check_batch(self._split(arrays.train_labels)[0], self.batch_size)  # then slow reading
        return ImageStore(arrays, self.memory_limit_gib, self.num_workers)

    def _told(self) -> dict[str, Any]:
        """Returns range and parts if they are told; a source that does not take them is refused."""
        told = {key: value for key, value in self.told.items() if value is not None}
        taken = signature(self.source).parameters if told else {}
        if refused := [key for key in told if key not in taken]:
            raise ValueError(f"data.{refused[0]} has no effect on this data set; leave it null")
        return told

    @cached_property
    def _parts(self) -> tuple[Tensor, Tensor]:
        """Indices of the training images that a search trains on, and that it validates on."""
        return self._split(self._store.arrays.train_labels)

    def _split(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        return stratified_split(strata(labels), self.validation_share, (self.split_seed, "split"))

    def _of_child(
        self, images: Images, part: Tensor, purpose: str, batch_size: int | None, cutout: int
    ) -> Callable[[Place], ShuffledBatches]:
        size = self.batch_size if batch_size is None else batch_size
        own = "child.batch_size" if purpose == "final" else "batch_size"  # or an evaluation's
        self._check_batch(part, size, "data.batch_size" if size == self.batch_size else own)
        return self._shuffled(images, part, purpose, size, self.augmentation.with_cutout(cutout))

    def _check_batch(self, part: Tensor, size: int, key: str = "data.batch_size") -> None:
        at_least(key, size, 1, use=64)
        if size > len(part):
            raise ValueError(
                f"{key} ({size}) must not exceed the {len(part)} samples to train on; use"
                f" {key}={len(part)} or less, or more samples"
            )

    def _shuffled(
        self,
        images: Images,
        part: Tensor,
        purpose: str,
        batch_size: int,
        augmentation: Augmentation,
        num_batches: int | None = None,
    ) -> Callable[[Place], ShuffledBatches]:
        labelled, key = self._store.labelled, (self.seed, purpose)
        return lambda place: ShuffledBatches(
            labelled(images, place.device), part, place, key, batch_size, augmentation, num_batches
        )

    def _ordered(self, images: Images, part: Tensor) -> Callable[[Place], OrderedBatches]:
        labelled, size = self._store.labelled, 2 * self.batch_size  # without gradients more fit
        return lambda place: OrderedBatches(labelled(images, place.device), part, place, size)
