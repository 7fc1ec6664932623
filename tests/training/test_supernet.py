"""The search module under a Trainer."""

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins import MixedPrecision
from torch.utils.data import DataLoader, IterableDataset

from nas_lightning.core.optimizers import Adam
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.darts import Darts
from nas_lightning.training.hardware import Hardware
from nas_lightning.training.supernet import SupernetModule

SPACE = DartsSpace(nodes=1, ops=("skip_connect", "sep_conv_3x3"), scale=Scale(2, 3))
SIZE, STEPS = 4, 3  # of a batch, and of an epoch


class Batches(list):
    """Batches of any kind, which Lightning takes for a loader."""


class Noting(Darts):
    """Notes with what it finishes an epoch."""

    def finish_epoch(self, epoch, context, val):
        self.finished.append((epoch, context, sum(len(y) for _, y in val)))


class Watch(Callback):
    """Notes learning rates, and a draw from the global generator, at the start of each epoch."""

    def __init__(self):
        self.lrs, self.draws = [], []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if batch_idx == 0:
            self.lrs.append(trainer.optimizers[0].param_groups[0]["lr"])
            self.draws.append(torch.rand(1))


def batches():
    rng = torch.Generator().manual_seed(0)
    draws = [torch.randn(SIZE, 1, 8, 8, generator=rng) for _ in range(STEPS)]
    return Batches((x, torch.randint(2, (SIZE,), generator=rng)) for x in draws)


def module_of(epochs=2, **more):
    strategy = Noting(SPACE, 0, epochs, alpha_optimizer=Adam(lr=1e-3))
    strategy.finished = []
    return SupernetModule(SPACE, strategy, (1, 8, 8), 2, **more)


def fit(module, epochs=2, train=None, val=None, callbacks=(), **more):
    """Returns the Trainer that has fitted a module."""
    loaders = train or {"train": batches(), "val": batches() if val is None else val}
    trainer = Hardware().trainer(epochs, callbacks, wraps=False, **more)
    trainer.fit(module, loaders, batches())
    return trainer


def test_a_search_logs_its_losses_its_rate_and_the_state_of_its_choices():
    trainer = fit(module_of())
    logged = trainer.callback_metrics
    assert float(logged["search/alpha_entropy"]) == pytest.approx(1, abs=0.1)
    assert float(logged["search/skip_share"]) == pytest.approx(1 / 2, abs=0.1)
    losses = {f"search/{part}_loss" for part in ("train", "validation")}
    accuracies = {"search/validation_accuracy", "search/validation_balanced_accuracy"}
    states = {"search/lr", "search/alpha_entropy", "search/skip_share"}
    assert set(logged) == losses | accuracies | states


@pytest.mark.parametrize(("max_samples", "steps"), [(None, 6), (16, 2), (17, 3)])
def test_a_search_stops_where_the_cap_of_samples_is_reached(max_samples, steps):
    module = module_of(max_samples=max_samples)
    fit(module)
    assert module.meter.training_samples == steps * 2 * SIZE
    assert module.meter.gradient_steps == steps * 2


def test_a_resumed_search_does_not_go_beyond_its_cap():
    module = module_of(max_samples=16)
    module.meter.training_samples = 16
    fit(module)
    assert module.meter.training_samples == 16


@pytest.mark.parametrize(("max_samples", "epochs"), [(None, [0, 1]), (16, [0])])
def test_a_strategy_finishes_its_epoch_also_where_the_cap_ends_it(max_samples, epochs):
    module = module_of(max_samples=max_samples)
    fit(module)
    assert module.strategy.finished == [(e, module.updates, SIZE * STEPS) for e in epochs]


def test_an_epoch_begins_with_its_learning_rate_and_its_seed():
    first, second = Watch(), Watch()
    module = module_of()
    fit(module, callbacks=[first])
    torch.manual_seed(9)
    fit(module_of(), callbacks=[second])
    rates = [module.strategy.params_optimizer.lr_at(epoch, 2) for epoch in range(2)]
    assert first.lrs == second.lrs == rates
    assert first.draws == second.draws
    assert first.draws[0] != first.draws[1]


def test_a_trainer_of_another_length_is_refused():
    message = r"Trainer\(max_epochs=7\) must be the strategy's epochs \(2\): its schedules end"
    with pytest.raises(ValueError, match=message):
        fit(module_of(), epochs=7)


def test_a_trainer_that_scales_losses_is_refused():
    module, plugin = module_of(), MixedPrecision("16-mixed", "cpu")
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=2,
        plugins=[plugin],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
    )
    with pytest.raises(ValueError, match=r"precision='16-mixed'\) scales losses.*use precision="):
        trainer.fit(module, {"train": batches(), "val": batches()}, batches())


def test_a_loader_without_a_length_is_refused():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter([(torch.zeros(1, 8, 8), 0)] * 6)

    loaders = {part: DataLoader(Stream(), 2) for part in ("train", "val")}
    with pytest.raises(ValueError, match=r"must have a length: .*Trainer\(limit_train_batches=100"):
        fit(module_of(), train=loaders)
    assert fit(module_of(), train=loaders, limit_train_batches=2).global_step == 8


@pytest.mark.parametrize(
    ("loaders", "kind"),
    [
        (batches(), "tuple"),
        (Batches(list(batch) for batch in batches()), "list"),
        ({"train": batches()}, "dict"),
    ],
    ids=["tuple", "list", "half"],
)
def test_a_batch_of_one_part_is_refused_with_the_cure(loaders, kind):
    with pytest.raises(ValueError, match=rf'needs batches \{{"train".*got {kind}; let train_data'):
        fit(module_of(), train=loaders)


def test_images_that_are_not_finite_are_named_at_the_epochs_end():
    val = batches()
    val[1][0][0] = float("inf")
    message = r"^the sum of the validation inputs became inf in step 1 of epoch 0 .*; look for such"
    with pytest.raises(FloatingPointError, match=message):
        fit(module_of(), val=val)


def test_a_genotype_is_derived_without_a_trainer_or_validation_batches():
    module = module_of()
    assert module.derive() == module.space.discretize(module.strategy.scores())


def test_what_is_drawn_while_a_genotype_is_derived_depends_on_the_seed_alone():
    module, drawn = module_of(), []
    module.strategy.derive = lambda *_: torch.rand(1)
    for noise in range(2):
        torch.manual_seed(noise)
        drawn.append(module.derive())
    assert torch.equal(*drawn)


def test_a_checkpoint_names_supernet_strategy_and_nothing_of_the_updates():
    names = {name.split(".")[0] for name in module_of().state_dict()}
    assert names == {"supernet", "strategy"}
