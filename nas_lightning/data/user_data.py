"""A user's own LightningDataModule as the data of a run."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from nas_lightning.core.checks import at_least
from nas_lightning.data.batches import Arrays, PairedBatches, Place, View
from nas_lightning.data.identity import content_hash
from nas_lightning.data.images import Size
from nas_lightning.data.keyed_loader import KeyedLoader, TrainingLoader
from nas_lightning.data.labels import statistics_of
from nas_lightning.data.module import ImageDataModule

__all__ = ["RunData", "UserData", "as_run_data", "no_module"]

CPU = Place(torch.device("cpu"))


def no_module() -> L.LightningDataModule:
    """Raises ValueError: the placeholder of conf/data/own.yaml until a module is named."""
    raise ValueError("data=own needs a LightningDataModule; add data._target_=package.Module")


class UserData:
    """A user's LightningDataModule.

    It must have `train_dataloader`, `val_dataloader` and `test_dataloader`, each with a length and
    batches (samples, targets): samples are images, float (N, C, H, W), signals (N, C, L) or rows of
    a table (N, features); targets class indices (N,), or (N, K) of labels or values. For classes it
    must have `class_names` or `num_classes`, and for samples that are not pixels / 255
    `preprocessing` (mean, std). It may have `class_names`, `name` and `split_hash`.

    A search trains params on the training batches, and alphas on the validation batches, which
    begin anew each epoch; a found child trains on the training batches. The seed is for the draws
    of the loaders. Other modules raise ValueError.
    """

    def __init__(self, module: object, seed: int, targets: str) -> None:
        kind = type(module).__name__
        if not isinstance(module, L.LightningDataModule):
            raise ValueError(f"data._target_ must be a LightningDataModule, got {kind}")
        for hook in ("train_dataloader", "val_dataloader", "test_dataloader"):
            if getattr(type(module), hook) is getattr(L.LightningDataModule, hook):
                raise ValueError(f"data._target_ ({kind}) must have {hook}; add it to the class")
        self.module, self.seed, self.targets = module, seed, targets
        self.name: str | None = getattr(module, "name", None) or kind
        self.notes: tuple[str, ...] = ()

    def load(self) -> None:
        """Sets the module up and checks the first batches of training and validation."""
        for part, (samples, targets) in self._first.items():
            where = f"a batch of {part}_dataloader()"
            self._check_samples(samples, where)
            self._check_targets(self._convert(targets), where, len(samples))

    @property
    def batch_size(self) -> int:
        """Samples per training step, over all processes."""
        return len(self._first["train"][0])

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of a sample, e.g. of an image (channels, height, width)."""
        return tuple(self._first["train"][0].shape[1:])

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, labels or values; numbers where the module has none."""
        names = getattr(self.module, "class_names", None)
        return tuple(str(name) for name in (range(self.num_outputs) if names is None else names))

    @property
    def num_outputs(self) -> int:
        """The number of classes, labels or values."""
        if self.targets != "classes":
            return self._convert(self._first["train"][1]).shape[1]
        names = getattr(self.module, "class_names", None)
        number = getattr(self.module, "num_classes", None) if names is None else len(names)
        if number is None:
            wanted = "must have class_names or num_classes; set one in its constructor"
            raise ValueError(f"data._target_ ({type(self.module).__name__}) {wanted}")
        return int(number)

    @property
    def split_hash(self) -> str | None:
        """The module's own, if it has one."""
        return getattr(self.module, "split_hash", None)

    @property
    def search_split(self) -> None:
        """None: the module's own loaders are the split."""
        return None

    @cached_property
    def identity(self) -> dict[str, str | int | None]:
        """The outputs, split, numbers of batches, and a hash of the first validation batch."""
        numbers = {f"{part} batches": len(loader) for part, loader in self._loaders.items()}
        first = content_hash(self._first_batch("val", ("identity",)))  # the same for all seeds
        split = {"outputs": self.num_outputs, "split": self.split_hash}
        return {**split, **numbers, "first validation batch": first}

    @property
    def facts(self) -> dict[str, Any]:
        """The shape of a sample and the names of the outputs."""
        names = list(self.class_names)
        return {"shape": list(self.input_shape), "classes": names, "passed_over": []}

    @cached_property
    def target_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation (outputs,) of the training targets; 0 and 1 unless they are values."""
        if self.targets != "values":
            return torch.zeros(self.num_outputs), torch.ones(self.num_outputs)
        return statistics_of(torch.from_numpy(self.training_arrays()[1]), self.num_outputs)

    @property
    def preprocessing(self) -> dict[str, Any]:
        """The module's own, or that of pixels / 255, and the shape of a sample."""
        own = getattr(self.module, "preprocessing", None) or {}
        if len(self.input_shape) != 3:
            return {"input_shape": list(self.input_shape), **own}
        channels, height, width = self.input_shape
        plain = {"mean": [0.0] * channels, "std": [1.0] * channels}
        return {"channels": channels, "image_size": [height, width], **plain, **own}

    def search(self) -> View:
        """Returns the search's view; validation batches repeat where they are fewer."""
        first = self._batches("train", "search train")
        second = self._batches("val", "search val", len(self._loaders["train"]))
        val = self._batches("val", "val")
        return View(lambda place: PairedBatches(first(place), second(place)), val)

    def candidate(
        self,
        max_samples: int | None = None,
        image_size: Size | None = None,
        batch_size: int | None = None,
        cutout: int = 0,
    ) -> View:
        """Returns a black-box candidate's view: the first batches of an epoch, or all."""
        self._refuse("evaluation.image_size", image_size, None)
        self._refuse("child.cutout", cutout, 0)
        at_least("max_samples", max_samples, 1, use=1000)
        number = None
        if max_samples is None:
            self._refuse("child.batch_size", batch_size, self.batch_size)
        else:
            number = max(1, min(max_samples // self.batch_size, len(self._loaders["train"])))
        return View(self._batches("train", "candidate", number), self._batches("val", "val"))

    def final(
        self, validation_share: float = 0.0, batch_size: int | None = None, cutout: int = 0
    ) -> View:
        """Returns the found child's view: it trains on the training batches and may be tested.

        With a validation share above 0 it is validated on the module's own validation batches.
        """
        self._refuse("child.batch_size", batch_size, self.batch_size)
        self._refuse("child.cutout", cutout, 0)
        val = self._batches("val", "val") if validation_share else None
        return View(self._batches("train", "final"), val, self._batches("test", "test"))

    def training_arrays(self) -> Arrays:
        """Returns the first 10,000 training samples of an epoch, and their targets."""
        return self._arrays("train", 10_000)

    def test_arrays(self) -> Arrays:
        """Returns all test samples (M, ...), and their targets."""
        return self._arrays("test", None)

    def _arrays(self, part: str, most: int | None) -> Arrays:
        samples, targets = [], []
        for x, y in self._batches(part, "arrays")(CPU):
            samples.append(x.numpy().astype(np.float32))
            targets.append(y.numpy())
            if most is not None and sum(map(len, targets)) >= most:
                break
        return np.concatenate(samples)[:most], np.concatenate(targets)[:most]

    def _batches(
        self, part: str, purpose: str, number: int | None = None
    ) -> Callable[[Place], KeyedLoader]:
        def batches(place: Place) -> KeyedLoader:
            loader = self._test_loader if part == "test" else self._loaders[part]
            kind = TrainingLoader if part == "train" else KeyedLoader
            return kind(loader, (self.seed, purpose), place, self._convert, number)

        return batches

    @cached_property
    def _loaders(self) -> dict[str, Any]:
        self.module.prepare_data()
        self.module.setup("fit")
        return {part: self._loader(part) for part in ("train", "val")}

    @cached_property
    def _test_loader(self) -> Any:
        _ = self._loaders  # its hooks come first
        self.module.setup("test")
        return self._loader("test")

    def _loader(self, part: str) -> Any:
        loader = getattr(self.module, f"{part}_dataloader")()
        if not hasattr(loader, "__len__") or not hasattr(loader, "__iter__"):
            wanted = f"{part}_dataloader() must return one loader with a length"
            raise ValueError(f"{wanted}, got {type(loader).__name__}")
        return loader

    @cached_property
    def _first(self) -> dict[str, tuple[Tensor, Tensor]]:
        return {part: self._first_batch(part, (self.seed, "first")) for part in self._loaders}

    def _first_batch(self, part: str, key: tuple[int | str, ...]) -> tuple[Tensor, Tensor]:
        """Returns the first batch of a loader whose draws depend on a key alone."""
        try:
            return next(iter(KeyedLoader(self._loaders[part], key, CPU, Tensor.clone, 1)))
        except (TypeError, ValueError, AttributeError, StopIteration) as error:
            wanted = f"{part}_dataloader() must give batches (samples, targets) of tensors"
            raise ValueError(f"{wanted}: {error!r}") from error

    def _check_samples(self, samples: Tensor, where: str) -> None:
        """Refuses samples other than images / 255, and others without preprocessing."""
        is_plain, shape = getattr(self.module, "preprocessing", None) is None, tuple(samples.shape)
        if not samples.is_floating_point() or len(shape) not in ((4,) if is_plain else (2, 3, 4)):
            raise ValueError(
                f"{where} must hold images, float (N, C, H, W), got {samples.dtype} {shape};"
                " signals and tables of floats need an attribute `preprocessing` of the module"
            )
        low, high = float(samples.min()), float(samples.max())
        if is_plain and not (low >= 0 and high <= 1):
            raise ValueError(
                f"{where} has values from {low:.3g} to {high:.3g}: images that are not pixels / 255"
                " need an attribute `preprocessing` of the module, with mean and std per channel"
            )

    def _check_targets(self, targets: Tensor, where: str, num_samples: int) -> None:
        """Refuses targets that the task cannot learn."""
        number, low, high = self.num_outputs, float(targets.min()), float(targets.max())
        is_good, wanted = targets.shape == (num_samples, number), "columns (N, K)"
        if not targets.is_floating_point():
            is_good = targets.shape == (num_samples,) and 0 <= low <= high < number
            wanted = f"class indices (N,) in [0, {number})"
        if not is_good:
            raise ValueError(
                f"{where} must hold {wanted} for its {num_samples} images, got"
                f" {tuple(targets.shape)}, {low:g} to {high:g}"
            )

    def _convert(self, targets: Tensor) -> Tensor:
        if self.targets == "classes":
            return targets.long()
        return (targets[:, None] if targets.dim() == 1 else targets).float()

    def _refuse(self, key: str, value: Any, own: Any) -> None:
        if value not in (None, own):
            raise ValueError(
                f"{key} ({value}) must be {own}: a data module of your own makes its batches"
                " itself; leave it null, or change the module"
            )


RunData = ImageDataModule | UserData


def as_run_data(data: object, seed: int, targets: str) -> RunData:
    """Returns a data set of ours as it is, or a user's module as `UserData`, which may raise."""
    return data if isinstance(data, ImageDataModule) else UserData(data, seed, targets)
