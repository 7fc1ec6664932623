"""Epochs are planned by time: within it, again where the speed changes, and to the same bits."""

import re

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning.callbacks.checkpoint import RunCheckpoint
from nas_lightning.core.optimizers import Adam
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.darts import Darts
from nas_lightning.strategies.drnas import DrNas
from nas_lightning.training.child import ChildModule, ChildRecipe, build_child
from nas_lightning.training.hardware import Hardware
from nas_lightning.training.supernet import SupernetModule
from nas_lightning.training.time_plan import SamePlan, Speed, TimePlan

STEPS, SIZE = 4, 4  # of an epoch, of a batch
SPACE = NasBench201Space(scale=Scale(channels=2, cells=3))
X = torch.randn(STEPS * SIZE, 1, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.arange(STEPS * SIZE) % 2


class Clock(L.Callback):
    """A clock that each step moves on, by the seconds that it is told for an epoch."""

    def __init__(self, step_s=lambda epoch: 1.0):
        self.now, self.step_s = 100.0, step_s

    def __call__(self):
        return self.now

    def on_train_batch_start(self, trainer, *_):
        self.now += self.step_s(trainer.current_epoch)


class Stop(L.Callback):
    """Interrupts a training after an epoch has been saved."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == self.epoch:
            raise KeyboardInterrupt


def loader():
    return DataLoader(TensorDataset(X, Y), SIZE)


def search(seconds, clock, kind=Darts, folder=None, stop=None, resume=None, epochs=2, **more):
    """Returns the module of a search that is to take so many seconds."""
    strategy = kind(SPACE, 0, epochs, alpha_optimizer=Adam(lr=None, weight_decay=0))
    plan = TimePlan(seconds, clock=clock, **more)
    module = SupernetModule(SPACE, strategy, (1, 8, 8), 2, plan=plan)
    saves = [] if folder is None else [RunCheckpoint(folder)]
    stops = [] if stop is None else [Stop(stop)]
    trainer = Hardware().trainer(epochs, [clock, *saves, *stops], wraps=False)
    loaders = {"train": loader(), "val": loader()}
    try:
        trainer.fit(module, loaders, loader(), ckpt_path=resume, weights_only=True)
    except (KeyboardInterrupt, SystemExit):
        assert stop is not None
    return module


def rate(module):
    return module.updates.optimizers["alpha"].param_groups[0]["lr"]


@pytest.mark.parametrize(("seconds", "epochs", "steps"), [(12, 3, 12), (14, 4, 14), (41, 11, 41)])
def test_the_epochs_fill_the_time_and_the_schedules_end_with_it(seconds, epochs, steps):
    clock = Clock()
    module = search(seconds, clock)
    assert clock.now - 100 == steps
    assert module.strategy.epochs == epochs
    assert module.updates.lr == module.strategy.lr_at(epochs - 1)
    assert rate(module) == 12.0 / (STEPS * epochs)


def test_the_plan_is_made_anew_where_the_speed_changes():
    clock = Clock(lambda epoch: 1.0 if epoch < 3 else 2.0)
    module = search(40, clock)
    assert clock.now - 100 == pytest.approx(40, rel=0.1)
    assert module.strategy.epochs == 7  # three of 4 s, of 8 s three and a part


@pytest.mark.parametrize(("last_s", "epochs", "steps"), [(2.0, 4, 14), (0.5, 5, 18)])
def test_the_last_epoch_ends_within_5_percent(last_s, epochs, steps):
    clock = Clock(lambda epoch: 1.0 if epoch < 3 else last_s)
    module = search(15, clock)
    assert (module.strategy.epochs, module.meter.gradient_steps) == (epochs, 2 * steps)
    assert clock.now - 100 == pytest.approx(15, rel=0.1)


def test_the_plan_stays_where_the_end_would_be_missed_by_little():
    plan = TimePlan(100)
    assert plan.revise(0, Speed(10.0, 1.0, 0.0, 10))
    assert not plan.revise(1, Speed(20.4, 1.04, 0.0, 10))
    assert plan.revise(1, Speed(20.8, 1.08, 0.0, 10))


@pytest.mark.slow
def test_stages_that_have_begun_stay():
    slow = Clock(lambda epoch: 1.0 if epoch < 4 else 3.0)
    module = search(64, slow, DrNas, epochs=6)
    assert slow.now - 100 == pytest.approx(64, rel=0.1)
    assert module.strategy.number == 1
    quick = Clock(lambda epoch: 3.0 if epoch < 3 else 1.0)
    assert int(search(72, quick, DrNas, epochs=6).strategy.done) == 1
    assert quick.now - 100 <= 72


@pytest.mark.slow
def test_a_resumed_search_ends_with_the_bits_of_the_plan_and_counts_what_was_used(tmp_path):
    whole = search(30, Clock(), folder=tmp_path / "whole")
    search(30, Clock(), folder=tmp_path / "cut", stop=3)
    late = Clock()
    late.now = 5000.0  # the process was away
    resumed = search(30, late, folder=tmp_path / "cut", resume=tmp_path / "cut" / "last.ckpt")
    assert late.now - 5000 == 30 - 3 * STEPS
    assert resumed.strategy.epochs == whole.strategy.epochs == 8
    assert torch.equal(resumed.strategy.alpha, whole.strategy.alpha)
    pairs = zip(resumed.supernet.parameters(), whole.supernet.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.slow
def test_a_finished_plan_is_resumed_to_nothing(tmp_path):
    search(30, Clock(), folder=tmp_path)
    clock = Clock()
    search(30, clock, folder=tmp_path, resume=tmp_path / "last.ckpt")
    assert clock.now == 100


@pytest.mark.slow
def test_epochs_that_were_given_are_the_most():
    clock = Clock()
    assert search(1000, clock, most=5).strategy.epochs == 5
    assert clock.now - 100 == 5 * STEPS


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, "max_seconds (3) must allow at least one epoch, which takes 4.0 s here; start a new "
         "run with max_seconds=6 or more, or make an epoch shorter, e.g. by data.max_images"),
        ({"share": 0.5}, "max_seconds (6), 50% of it for the search, must allow at least one "
         "epoch, which takes 4.0 s here; start a new run with max_seconds=12 or more"),
    ],
)  # fmt: skip
def test_a_time_below_one_epoch_is_refused_with_one_that_works(more, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        search(3, Clock(), **more)


def child(plan, clock):
    """Returns the module of a child that was trained by a plan, and its Trainer."""
    scale = Scale(2, 3, input_shape=(1, 8, 8), num_outputs=2)
    recipe = ChildRecipe(epochs=2, scale=scale)
    network = build_child(SPACE, SPACE.sample(0), scale, 0)
    module = ChildModule(network, 2, recipe, plan=plan)
    trainer = Hardware().trainer(2, [clock], limit_val_batches=0)
    trainer.fit(module, loader(), loader())
    return module, trainer


def child_plan(seconds, clock):
    return TimePlan(seconds, has_part=False, must_fit=False, clock=clock)


@pytest.mark.parametrize(("seconds", "epochs"), [(22, 5), (1, 1)])
def test_a_child_takes_whole_epochs_one_at_least(seconds, epochs):
    clock = Clock()
    module, trainer = child(child_plan(seconds, clock), clock)
    assert (clock.now - 100, module.recipe.epochs) == (STEPS * epochs, epochs)
    ends = module.recipe.lr_share(STEPS * epochs, STEPS * epochs)  # of the whole cosine
    assert trainer.lr_scheduler_configs[0].scheduler.lr_lambdas[0](STEPS * epochs) == ends == 0


def test_what_is_trained_alike_has_the_same_plan_whatever_time_it_takes():
    clock = Clock(lambda epoch: 1.0 if epoch < 2 else 2.0)
    plan = child_plan(28, clock)
    first, _ = child(plan, clock)
    slow = Clock(lambda epoch: 9.0)
    second, _ = child(SamePlan(plan.past), slow)
    assert plan.past == {0: 7, 2: 4}
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
