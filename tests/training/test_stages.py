"""Strategies that build their supernet anew between epochs."""

import warnings

import lightning as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning.core.scale import Scale
from nas_lightning.core.strategy import Stage
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.darts import Darts
from nas_lightning.training.search_state import keep_params
from nas_lightning.training.supernet import SupernetModule

SPACE = DartsSpace(nodes=1, ops=("skip_connect", "sep_conv_3x3"), scale=Scale(2, 3))


class Growing(Darts):
    """Searches with 3 cells, then with 5."""

    keep, cells, number = True, 5, 0
    lrs = (0.025, 0.01900, 0.00700)  # one cosine to 0.001 over 3 epochs

    def stage(self, epoch):
        if epoch < 2:
            return Stage({"cells": 3}, self.keep)
        return Stage({"cells": self.cells}, self.keep, self.number)

    def finish_epoch(self, epoch, context, val):
        self.finished = (epoch, sum(len(y) for _, y in val))


class StartingAnew(Growing):
    keep = False
    lrs = (0.025, 0.01300, 0.025)  # one over 2 epochs, one over the last


class StartingAnewAlike(StartingAnew):
    cells, number = 3, 1


class Watch(L.Callback):
    """Notes cells, a first param, the learning rate and the momentum of statistics."""

    def __init__(self):
        self.seen, self.last, self.lrs, self.momenta = [], [], [], []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if batch_idx == 0:
            self.lrs.append(module.optimizers()[0].param_groups[0]["lr"])
            first = next(iter(module.updates.params.values())).detach().clone()
            self.seen.append((module.updates.scale.cells, first))

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.momenta.append(module.updates._norms[0].momentum)
        self.last.append(next(iter(module.updates.params.values())).detach().clone())


def batches(num):
    return DataLoader(TensorDataset(torch.randn(num, 1, 8, 8), torch.randint(2, (num,))), 4)


class Data(L.LightningDataModule):
    def train_dataloader(self):
        return {"train": batches(8), "val": batches(8)}

    def val_dataloader(self):
        return batches(4)


@pytest.fixture(params=[Growing, StartingAnew, StartingAnewAlike])
def run(request):
    torch.manual_seed(0)
    module = SupernetModule(SPACE, request.param(SPACE, 0, epochs=3), (1, 8, 8), 2)
    watch = Watch()
    trainer = L.Trainer(
        max_epochs=3,
        accelerator="cpu",
        callbacks=[watch],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    trainer.fit(module, datamodule=Data())
    return module, watch


def test_another_stage_builds_the_supernet_and_its_optimiser_anew(run):
    module, watch = run
    assert [cells for cells, _ in watch.seen] == [3, 3, module.strategy.cells]
    (params_optimizer, _) = module.optimizers()
    moved = [p for group in params_optimizer.param_groups for p in group["params"]]
    assert [id(p) for p in moved] == [id(p) for p in module.supernet.parameters()]
    assert len(module.supernet.cells) == module.strategy.cells


def test_a_rebuilt_supernet_keeps_params_only_where_its_stage_says_so(run):
    module, watch = run
    kept = torch.equal(watch.seen[2][1], watch.last[3])
    assert kept is module.strategy.keep


def test_the_learning_rate_begins_anew_only_where_params_do(run):
    module, watch = run
    assert watch.lrs == pytest.approx(module.strategy.lrs, abs=1e-9)


def test_statistics_settle_anew_in_a_rebuilt_supernet(run):
    assert run[1].momenta == [1.0, 1 / 2, 1 / 3, 1 / 4, 1.0, 1 / 2]


def test_a_strategy_finishes_each_epoch_with_the_validation_batches(run):
    assert run[0].strategy.finished == (2, 4)


def test_what_two_networks_share_is_kept_by_leading_slices():
    old = nn.ModuleDict({"a": nn.Linear(2, 3), "b": nn.Linear(2, 2)})
    new = nn.ModuleDict({"a": nn.Linear(3, 2), "c": nn.Linear(2, 2)})
    before = {name: tensor.clone() for name, tensor in new.state_dict().items()}
    keep_params(new, old)
    assert torch.equal(new["a"].weight[:, :2], old["a"].weight[:2])
    assert torch.equal(new["a"].weight[:, 2:], before["a.weight"][:, 2:])
    assert torch.equal(new["c"].weight, before["c.weight"])


def test_an_impossible_later_stage_is_refused_before_the_search():
    strategy = StartingAnew(SPACE, 0, 3)
    strategy.cells = 2
    with pytest.raises(ValueError, match=r"scale.cells \(2\) must be at least 3"):
        SupernetModule(SPACE, strategy, (3, 8, 8), 2)


def test_a_stage_of_an_impossible_scale_is_refused_by_the_scale():
    with pytest.raises(ValueError, match=r"scale.cells \(1\) must be at least 3"):
        Stage({"cells": 1}).of(SPACE.scale)
