"""Fixtures: a search module and a stand-in for a Trainer, which callbacks and loggers observe."""

from types import SimpleNamespace

import pytest
import torch

from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.darts import Darts
from nas_lightning.training.supernet import SupernetModule


@pytest.fixture
def module():
    """A search module of a small space."""
    space = DartsSpace(nodes=1, scale=Scale(2, 3))
    return SupernetModule(space, Darts(space, 0, epochs=3), (1, 8, 8), 10)


@pytest.fixture
def trainer():
    """What callbacks ask of a Trainer in its first epoch."""
    metrics = {"search/train_loss": torch.tensor(2.5), "search/validation_accuracy": 0.125}
    return SimpleNamespace(
        callback_metrics=metrics,
        current_epoch=0,
        max_epochs=3,
        num_training_batches=4,
        fit_loop=SimpleNamespace(total_batch_idx=-1),
        is_global_zero=True,
        world_size=1,
    )
