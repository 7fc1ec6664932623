"""The state of a training is saved after every epoch, and the best one if wanted."""

import logging
from pathlib import Path

import pytest
import torch

from nas_lightning.callbacks.checkpoint import RunCheckpoint


@pytest.fixture
def saving(trainer):
    """A Trainer that notes what it saves."""
    trainer.saved = []
    trainer.save_checkpoint = lambda path: trainer.saved.append(path.name)
    return trainer


def test_the_last_epoch_is_saved_after_every_one(saving, module):
    keeper = RunCheckpoint(Path("x"))
    keeper.on_train_epoch_end(saving, module)
    keeper.on_train_epoch_end(saving, module)
    assert saving.saved == ["last.ckpt"] * 2


def test_the_best_epoch_is_saved_too_the_first_of_equal_ones(saving, module):
    keeper = RunCheckpoint(Path("x"), "m")
    for value in (0.5, 0.4, 0.5, 0.6):
        saving.callback_metrics = {"m": torch.tensor(value)}
        keeper.on_train_epoch_end(saving, module)
    assert saving.saved == ["best.ckpt", "last.ckpt", *["last.ckpt"] * 2, "best.ckpt", "last.ckpt"]
    assert keeper.best == pytest.approx(0.6)


def test_a_resumed_keeper_remembers_the_best(saving, module):
    keeper = RunCheckpoint(Path("x"), "m")
    keeper.load_state_dict({"best": 0.7, "threads": torch.get_num_threads()})
    saving.callback_metrics = {"m": 0.6}
    keeper.on_train_epoch_end(saving, module)
    assert saving.saved == ["last.ckpt"]


def test_another_number_of_threads_is_told_because_bits_depend_on_it(caplog):
    threads = torch.get_num_threads()
    with caplog.at_level(logging.WARNING):
        RunCheckpoint(Path("x")).load_state_dict({"best": 0.0, "threads": threads + 7})
    assert f"resumed on {threads} CPU threads instead of {threads + 7}" in caplog.text
