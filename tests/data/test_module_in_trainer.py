"""What a real Trainer gets from the data module."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor, nn

from nas_lightning.data.augmentation import Augmentation
from nas_lightning.data.batches import PairedBatches
from nas_lightning.data.images import ImageArrays
from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.sources import digits

Source = Callable[..., ImageArrays]


class Watcher(L.LightningModule):
    """Trains a linear layer by hand or by Lightning, and notes the labels it sees."""

    def __init__(self, num_inputs: int, is_search: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(num_inputs, 10)
        self.is_search = is_search
        self.trained: dict[tuple[int, str], list[int]] = {}
        self.validated: list[int] = []
        self.tested: list[int] = []

    def loss(self, part: str, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        self.trained.setdefault((self.current_epoch, part), []).extend(y.tolist())
        return nn.functional.cross_entropy(self.layer(x.flatten(1)), y)

    def training_step(self, batch: Any) -> Tensor:
        parts = batch if self.is_search else {"train": batch}
        return sum((self.loss(part, each) for part, each in parts.items()), start=torch.zeros(()))

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        self.validated.extend(batch[1].tolist())

    def test_step(self, batch: tuple[Tensor, Tensor]) -> None:
        self.tested.extend(batch[1].tolist())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep Lightning's remarks about the machine out of the test's output."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


@pytest.fixture
def data(noise: Source) -> ImageDataModule:
    return ImageDataModule(noise, seed=0, batch_size=8, augmentation=Augmentation(2, True))


def trainer(epochs: int, **options: Any) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )


def test_a_trainer_searches_with_pairs_and_another_order_each_epoch() -> None:
    data = ImageDataModule(digits, seed=0, augmentation=Augmentation(1, False))
    watcher = Watcher(64, is_search=True)
    trainer(2).fit(watcher, datamodule=data.search())
    assert sorted(watcher.trained) == [(0, "train"), (0, "val"), (1, "train"), (1, "val")]
    assert {len(labels) for labels in watcher.trained.values()} == {11 * 64}
    assert watcher.trained[0, "train"] != watcher.trained[1, "train"]
    loader = data.search().train_dataloader()
    assert isinstance(loader, PairedBatches)
    loader.set_epoch(1)
    assert watcher.trained[1, "val"] == torch.cat([step["val"][1] for step in loader]).tolist()


def test_a_trainer_validates_on_every_validation_image_in_order(data: ImageDataModule) -> None:
    watcher = Watcher(240, is_search=True)
    trainer(1).fit(watcher, datamodule=data.search())
    expected = [batch[1] for batch in data.search().val_dataloader()]
    assert watcher.validated == torch.cat(expected).tolist()


def test_a_trainer_tests_the_final_child_on_the_test_set(
    data: ImageDataModule, noise: Source
) -> None:
    watcher = Watcher(240, is_search=False)
    stage = data.final()
    # Lightning warns of an empty validation loader unless it is told to leave validation out.
    trainer(1, limit_val_batches=0).fit(watcher, datamodule=stage)
    trainer(1).test(watcher, datamodule=stage, verbose=False)
    assert watcher.tested == noise().test_labels.tolist()
    assert watcher.validated == []
