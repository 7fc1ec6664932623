"""Seconds and epochs are added to the module's meter, also over a resume."""

import pytest

from nas_lightning.callbacks import cost_timer as cost
from nas_lightning.training.cost_meter import CostMeter


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = [100.0]
    monkeypatch.setattr(cost.time, "perf_counter", lambda: now[0])
    return now


def test_an_epoch_adds_its_seconds_on_every_device(clock, trainer, module):
    trainer.world_size = 2
    meter = CostMeter(training_samples=5)
    timer = cost.CostTimer(meter)
    timer.on_train_epoch_start(trainer, module)
    clock[0] += 3
    timer.on_train_epoch_end(trainer, module)
    assert meter == CostMeter(3.0, 6.0, training_samples=5, epochs_trained=1)


def test_a_resumed_meter_goes_on_from_the_checkpoint():
    kept = CostMeter(3.0, 3.0, 64, 8, 0, 2)
    meter = CostMeter()
    cost.CostTimer(meter).load_state_dict(cost.CostTimer(kept).state_dict())
    assert meter == kept
