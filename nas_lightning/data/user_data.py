"""A user's own LightningDataModule, made to serve searches and children."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from nas_lightning.data.batches import PairedBatches, Place, at_least
from nas_lightning.data.dataset_checks import check_images, check_targets
from nas_lightning.data.image_store import Arrays
from nas_lightning.data.keyed_loader import KeyedLoader, TrainingLoader
from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.run_data import RunData
from nas_lightning.data.view import View

__all__ = ["UserData", "as_run_data", "no_module"]

PARTS = ("train", "val", "test")
MOST_FOR_A_BASELINE = 10_000


def no_module() -> L.LightningDataModule:
    """Stands in conf/data/own.yaml until a module is named.

    Raises:
        ValueError: always.
    """
    raise ValueError("data=own needs a LightningDataModule; add data._target_=package.Module")


def as_run_data(data: object, seed: int, targets: str) -> RunData:
    """The data set itself if it is one of ours, else a user's module made one.

    Args:
        data: what the configuration's `_target_` made.
        seed: seed of the loaders' draws.
        targets: what the task learns of an image: "classes", "labels" or "values".

    Raises:
        ValueError: if it is no LightningDataModule with the three loaders.
    """
    return data if isinstance(data, ImageDataModule) else UserData(data, seed, targets)


class UserData:
    """A user's LightningDataModule.

    It must have `train_dataloader`, `val_dataloader` and `test_dataloader`, each with a length and
    batches (images, targets): images float (N, C, H, W); targets class indices (N,), or
    (N, K) of labels or values. For classes it must have `class_names` or `num_classes`. It may have
    `preprocessing` (channels, image_size, mean, std) for images that are not pixels / 255,
    `class_names`, `name` and `split_hash`.

    A search trains params on the training batches and alphas on the validation batches, from
    their beginning in each epoch; a found child trains on the training batches.

    Args:
        module: the module.
        seed: seed of what its loaders draw.
        targets: "classes", "labels" or "values".

    Raises:
        ValueError: if it is no such module.
    """

    def __init__(self, module: object, seed: int, targets: str) -> None:
        kind = type(module).__name__
        if not isinstance(module, L.LightningDataModule):
            raise ValueError(f"data._target_ must be a LightningDataModule, got {kind}")
        for part in PARTS:
            hook = f"{part}_dataloader"
            if getattr(type(module), hook) is getattr(L.LightningDataModule, hook):
                raise ValueError(f"data._target_ ({kind}) must have {hook}; add it to the class")
        self.module, self.seed, self.targets = module, seed, targets
        self.name: str | None = getattr(module, "name", None) or kind
        self.notes: tuple[str, ...] = ()

    def load(self) -> None:
        """Sets the module up and looks at the first batches of training and validation.

        Raises:
            ValueError: if batches, targets or names are not as they must be.
        """
        for part in ("train", "val"):
            images, targets = self._first(part)
            where = f"a batch of {part}_dataloader()"
            check_images(images, where, getattr(self.module, "preprocessing", None) is None)
            check_targets(self._convert(targets), where, len(images), self.num_outputs)

    @property
    def batch_size(self) -> int:
        """Images of a training step, over all processes."""
        return len(self._first("train")[0])

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """The shape of an image (channels, height, width)."""
        channels, height, width = self._first("train")[0].shape[1:]
        return channels, height, width

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, labels or values; numbers where the module has none."""
        if (names := getattr(self.module, "class_names", None)) is not None:
            return tuple(str(name) for name in names)
        return tuple(str(number) for number in range(self.num_outputs))

    @property
    def num_outputs(self) -> int:
        """The number of classes, labels or values."""
        if self.targets != "classes":
            return self._convert(self._first("train")[1]).shape[1]
        names = getattr(self.module, "class_names", None)
        number = getattr(self.module, "num_classes", None) if names is None else len(names)
        if number is None:
            raise ValueError(
                f"data._target_ ({type(self.module).__name__}) must have class_names or"
                " num_classes; set one in its constructor"
            )
        return int(number)

    @property
    def split_hash(self) -> str | None:
        """The module's own, if it has one."""
        return getattr(self.module, "split_hash", None)

    @cached_property
    def target_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation (outputs,) of the training targets; 0 and 1 unless they are values."""
        if self.targets != "values":
            return torch.zeros(self.num_outputs), torch.ones(self.num_outputs)
        targets = torch.from_numpy(self.training_arrays()[1])
        std = targets.std(0, correction=0)
        return targets.mean(0), torch.where(std > 0, std, torch.ones_like(std))

    @property
    def preprocessing(self) -> dict[str, Any]:
        """The module's own, or that of pixels / 255."""
        channels, height, width = self.input_shape
        plain = {"mean": [0.0] * channels, "std": [1.0] * channels}
        size = {"channels": channels, "image_size": [height, width]}
        return {**size, **plain, **(getattr(self.module, "preprocessing", None) or {})}

    def search(self) -> View:
        """The search's view: {"train": batch, "val": batch} a step, and all validation batches."""

        def train(place: Place) -> PairedBatches:
            first = self._batches("train", "search train", place)
            return PairedBatches(first, self._batches("val", "search val", place, len(first)))

        return View(train, lambda place: self._batches("val", "val", place))

    def candidate(
        self,
        max_samples: int | None = None,
        image_size: int | Sequence[int] | None = None,
        batch_size: int | None = None,
        cutout: int = 0,
    ) -> View:
        """A black-box candidate's view: the first batches of an epoch, if it wants fewer.

        Raises:
            ValueError: if it wants other images than the module gives.
        """
        self._refuse("evaluation.image_size", image_size, None)
        self._refuse("child.cutout", cutout, 0)
        number = None
        if max_samples is not None:
            at_least("max_samples", max_samples, 1)
            number = max(1, min(max_samples // self.batch_size, len(self._loader("train"))))
        else:
            self._refuse("child.batch_size", batch_size, self.batch_size)
        return View(
            lambda place: self._batches("train", "candidate", place, number),
            lambda place: self._batches("val", "val", place),
        )

    def final(
        self, validation_share: float = 0.0, batch_size: int | None = None, cutout: int = 0
    ) -> View:
        """The found child's view: it trains on the training batches, and is tested.

        Args:
            validation_share: above 0 it is validated on the module's own validation batches.
            batch_size: must be None or the module's own.
            cutout: must be 0.

        Raises:
            ValueError: if it wants other images than the module gives.
        """
        self._refuse("child.batch_size", batch_size, self.batch_size)
        self._refuse("child.cutout", cutout, 0)
        return View(
            lambda place: self._batches("train", "final", place),
            (lambda place: self._batches("val", "val", place))
            if validation_share
            else (lambda place: []),
            lambda place: self._batches("test", "test", place),
        )

    def training_arrays(self) -> Arrays:
        """The first 10,000 training images (N, C, H, W) of an epoch, and their targets."""
        return self._arrays("train", MOST_FOR_A_BASELINE)

    def test_arrays(self) -> Arrays:
        """All test images (M, C, H, W), and their targets."""
        return self._arrays("test", None)

    def _arrays(self, part: str, most: int | None) -> Arrays:
        images, targets, count = [], [], 0
        for x, y in self._batches(part, "arrays", Place(torch.device("cpu"))):
            images.append(x.numpy().astype(np.float32))
            targets.append(y.numpy())
            count += len(y)
            if most is not None and count >= most:
                break
        return np.concatenate(images)[:most], np.concatenate(targets)[:most]

    def _batches(
        self, part: str, purpose: str, place: Place, number: int | None = None
    ) -> KeyedLoader:
        kind = TrainingLoader if part == "train" else KeyedLoader
        return kind(self._loader(part), (self.seed, purpose), place, self._convert, number)

    def _loader(self, part: str) -> Any:
        loader = self._test_loader if part == "test" else self._loaders[part]
        if not hasattr(loader, "__len__") or not hasattr(loader, "__iter__"):
            raise ValueError(
                f"{part}_dataloader() must return one loader with a length, got"
                f" {type(loader).__name__}"
            )
        return loader

    @cached_property
    def _loaders(self) -> dict[str, Any]:
        self.module.prepare_data()
        self.module.setup("fit")
        hooks: dict[str, Callable[[], Any]] = {
            "train": self.module.train_dataloader,
            "val": self.module.val_dataloader,
        }
        return {part: hook() for part, hook in hooks.items()}

    @cached_property
    def _test_loader(self) -> Any:
        _ = self._loaders  # its hooks come first
        self.module.setup("test")
        return self.module.test_dataloader()

    def _first(self, part: str) -> tuple[Tensor, Tensor]:
        return self._firsts[part]

    @cached_property
    def _firsts(self) -> dict[str, tuple[Tensor, Tensor]]:
        found = {}
        for part in ("train", "val"):
            loader, place = self._loader(part), Place(torch.device("cpu"))
            keyed = KeyedLoader(loader, (self.seed, "first"), place, lambda targets: targets, 1)
            try:
                found[part] = next(iter(keyed))
            except (TypeError, ValueError, AttributeError, StopIteration) as error:
                raise ValueError(
                    f"{part}_dataloader() must give batches (images, targets) of tensors: {error!r}"
                ) from error
        return found

    def _convert(self, targets: Tensor) -> Tensor:
        if self.targets == "classes":
            return targets.long()
        columns = targets[:, None] if targets.dim() == 1 else targets
        return columns.float()

    def _refuse(self, key: str, value: Any, own: Any) -> None:
        if value not in (None, own):
            raise ValueError(
                f"{key} ({value}) must be {own}: a data module of your own makes its batches"
                " itself; leave it null, or change the module"
            )
