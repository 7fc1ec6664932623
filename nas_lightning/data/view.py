"""What one stage of a run sees of a data set."""

from collections.abc import Callable, Iterable

import lightning as L
import torch

from nas_lightning.data.batches import (
    Batch,
    EpochBatches,
    PairedBatches,
    Place,
)


class View(L.LightningDataModule):
    """What one stage of a run sees of a data set: hand it to a Trainer.

    Args:
        train: makes the training batches for a process's place.
        val: makes the validation batches; [] where there are none: the Trainer then wants
            limit_val_batches=0, or it warns.
        test: makes the test batches; None where the stage must not see the test set.
    """

    def __init__(
        self,
        train: Callable[[Place], EpochBatches | PairedBatches],
        val: Callable[[Place], Iterable[Batch]],
        test: Callable[[Place], Iterable[Batch]] | None = None,
    ) -> None:
        super().__init__()
        self._train = train
        self._val = val
        self._test = test

    def train_dataloader(self) -> EpochBatches | PairedBatches:
        """The training batches, on the training device."""
        return self._train(_place(self))

    def val_dataloader(self) -> Iterable[Batch]:
        """The validation batches, on the training device."""
        return self._val(_place(self))

    def test_dataloader(self) -> Iterable[Batch]:
        """The test batches; they read the test set.

        Raises:
            ValueError: if this stage must not see the test set.
        """
        return self._read_test(_place(self))

    def _read_test(self, place: Place) -> Iterable[Batch]:
        if self._test is None:
            raise ValueError("a search must not see the test set; use final() to test a child")
        return self._test(place)


def _place(module: L.LightningDataModule) -> Place:
    """Where the module's Trainer runs this process; the CPU without a Trainer."""
    trainer = module.trainer
    if trainer is None:
        return Place(torch.device("cpu"))
    return Place(trainer.strategy.root_device, trainer.global_rank, trainer.world_size)
