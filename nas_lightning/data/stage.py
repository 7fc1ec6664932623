"""What one stage of a run sees of a data set."""

from collections.abc import Callable

import lightning as L
import torch

from nas_lightning.data.batches import (
    Batch,
    OrderedBatches,
    PairedBatches,
    Place,
    ShuffledBatches,
)


class Stage(L.LightningDataModule):
    """What one stage of a run sees of a data set: hand it to a Trainer.

    Args:
        train: makes the training batches for a process's place.
        val: makes the validation batches; [] where there are none: the Trainer then wants
            limit_val_batches=0, or it warns.
        test: makes the test batches; None where the stage must not see the test set.
    """

    def __init__(
        self,
        train: Callable[[Place], ShuffledBatches | PairedBatches],
        val: Callable[[Place], OrderedBatches | list[Batch]],
        test: Callable[[Place], OrderedBatches] | None = None,
    ) -> None:
        super().__init__()
        self._train = train
        self._val = val
        self._test = test

    def train_dataloader(self) -> ShuffledBatches | PairedBatches:
        """The training batches, on the training device."""
        return self._train(_place(self))

    def val_dataloader(self) -> OrderedBatches | list[Batch]:
        """The validation batches, on the training device."""
        return self._val(_place(self))

    def test_dataloader(self) -> OrderedBatches:
        """The test batches; they read the test set.

        Raises:
            ValueError: if this stage must not see the test set.
        """
        return self._read_test(_place(self))

    def _read_test(self, place: Place) -> OrderedBatches:
        if self._test is None:
            raise ValueError("a search must not see the test set; use final() to test a child")
        return self._test(place)


def _place(module: L.LightningDataModule) -> Place:
    """Where the module's Trainer runs this process; the CPU without a Trainer."""
    trainer = module.trainer
    if trainer is None:
        return Place(torch.device("cpu"))
    return Place(trainer.strategy.root_device, trainer.global_rank, trainer.world_size)
