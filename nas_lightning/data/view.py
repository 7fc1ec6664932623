"""One view of a data set: the batches that a search, a candidate or a child may see."""

from collections.abc import Callable, Iterable

import lightning as L
import torch

from nas_lightning.data.batches import Batch, EpochBatches, PairedBatches, Place

__all__ = ["Batches", "View"]

Batches = Callable[[Place], Iterable[Batch]]


class View(L.LightningDataModule):
    """What one stage of a run sees of a data set: hand it to a Trainer.

    Each argument makes batches for a process's place. Without `val` the Trainer needs
    limit_val_batches=0, or it warns; without `test` the test set must not be seen.
    """

    def __init__(
        self,
        train: Callable[[Place], EpochBatches | PairedBatches],
        val: Batches | None = None,
        test: Batches | None = None,
    ) -> None:
        super().__init__()
        self._train, self._val, self._test = train, val, test

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
