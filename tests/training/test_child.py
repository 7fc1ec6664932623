from math import cos, pi
from random import Random

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback
from torch import nn

from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import batch_norms
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.training.child import ChildModule, ChildRecipe, build_child
from nas_lightning.training.hardware import Hardware

SPACE = DartsSpace(nodes=2)
GENOTYPE = SPACE.sample(Random(2))
CLASSES, SIDE = 3, 8
SCALE = Scale(4, 3, flavour="child", input_shape=(1, SIDE, SIDE), num_outputs=CLASSES)


class Batches:
    """The same few batches in every epoch."""

    def __init__(self, number=3, size=6, side=SIDE):
        rng = torch.Generator().manual_seed(0)
        self.batches = [
            (
                torch.randn(size, 1, side, side, generator=rng),
                torch.randint(CLASSES, (size,), generator=rng),
            )
            for _ in range(number)
        ]

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches)


def child_of(recipe, scale=SCALE, seed=0):
    return ChildModule(build_child(SPACE, GENOTYPE, scale, seed), CLASSES, recipe, seed=seed)


def learning_rates(recipe, steps):
    return [recipe.lr * recipe.lr_share(step, steps) for step in range(steps)]


class Watch(Callback):
    """Notes the learning rate that each step is taken with."""

    def __init__(self):
        self.rates = []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


def test_the_learning_rate_rises_linearly_and_falls_along_a_cosine():
    found = learning_rates(ChildRecipe(lr=0.4, lr_min=0.1, warmup=0.2), steps=20)
    rising = [0.4 * share / 5 for share in (1, 2, 3, 4)]
    falling = [0.1 + 0.3 * (1 + cos(pi * step / 16)) / 2 for step in range(16)]
    assert found == pytest.approx(rising + falling, rel=1e-12)


def test_without_warm_up_the_first_step_has_the_largest_learning_rate():
    found = learning_rates(ChildRecipe(lr=0.4, warmup=0.0), steps=10)
    assert found == pytest.approx([0.2 * (1 + cos(pi * step / 10)) for step in range(10)])


def test_the_optimiser_has_the_recipes_values_and_schedule_and_every_param():
    recipe, watch = ChildRecipe(3, lr=0.3, momentum=0.7, weight_decay=0.02, warmup=0.0), Watch()
    module = trained(0, recipe, callbacks=[watch])
    (group,) = module.trainer.optimizers[0].param_groups
    assert [group[n] for n in ("initial_lr", "momentum", "weight_decay")] == [0.3, 0.7, 0.02]
    assert [id(p) for p in group["params"]] == [id(p) for p in module.network.parameters()]
    assert watch.rates == learning_rates(recipe, steps=9)


def smoothed(logits, targets, share):
    """Cross-entropy with the target's share spread over all classes, from its definition."""
    goal = (1 - share) * F.one_hot(targets, CLASSES) + share / CLASSES
    return -(goal * logits.log_softmax(1)).sum(1).mean()


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_loss_is_smoothed_in_training_alone(share):
    module = child_of(ChildRecipe(label_smoothing=share))
    (x, targets), *_ = batches = Batches(number=1)
    loss, logits = module.loss((x, targets))
    torch.testing.assert_close(loss, smoothed(logits, targets, share))
    wanted = smoothed(module.network.eval()(x), targets, 0.0).detach()
    (logged,) = Hardware().trainer(1).validate(module, batches, verbose=False)
    assert logged["child/validation_loss"] == pytest.approx(float(wanted), rel=1e-6)


def test_the_auxiliary_loss_is_added_with_its_weight_in_training_alone():
    scale = Scale(
        4, 3, flavour="child", auxiliary=True, input_shape=(1, 32, 32), num_outputs=CLASSES
    )
    module = child_of(ChildRecipe(auxiliary_weight=0.7, label_smoothing=0.2), scale)
    x, targets = Batches(side=32).batches[0]
    logits, auxiliary = module.network.forward_auxiliary(x)
    wanted = smoothed(logits, targets, 0.2) + 0.7 * smoothed(auxiliary, targets, 0.2)
    torch.testing.assert_close(module.loss((x, targets))[0], wanted)
    head, calls = module.network.auxiliary, []
    head.register_forward_hook(lambda *_: calls.append(1))
    trainer = Hardware().trainer(1)
    trainer.validate(module, Batches(side=32), verbose=False)
    trainer.test(module, Batches(side=32), verbose=False)
    assert calls == []


def test_steps_log_and_count():
    module = child_of(ChildRecipe(1))
    trainer = Hardware().trainer(1, limit_val_batches=0)
    trainer.fit(module, Batches(number=2), val_dataloaders=Batches())
    metrics = {"child/train_accuracy", "child/train_balanced_accuracy"}
    assert set(trainer.callback_metrics) == {"child/train_loss", "child/lr", *metrics}
    assert (module.meter.training_samples, module.meter.gradient_steps) == (12, 2)
    (tested,) = trainer.test(module, Batches(), verbose=False)
    assert "child/test_accuracy" in tested
    assert module.meter.training_samples == 12


@pytest.fixture
def in_epoch(monkeypatch):
    """Returns a child as it is in an epoch of its training."""

    def in_epoch(recipe, epoch):
        module = child_of(recipe)
        monkeypatch.setattr(ChildModule, "current_epoch", epoch)
        module.on_train_epoch_start()
        return module

    return in_epoch


@pytest.mark.parametrize(("epoch", "probability"), [(0, None), (1, 0.05), (3, 0.15)])
def test_drop_path_grows_linearly_by_epoch(in_epoch, epoch, probability):
    drop_path = in_epoch(ChildRecipe(epochs=4, drop_path=0.2), epoch)._drop_path
    found = drop_path and drop_path.probability
    assert found == (probability and pytest.approx(probability))


def test_drop_path_changes_training_and_no_evaluation(in_epoch):
    recipe, (x, targets) = ChildRecipe(epochs=2, drop_path=0.9), Batches().batches[0]
    without, _ = child_of(recipe).loss((x, targets))
    module = in_epoch(recipe, 1)
    assert not torch.equal(module.loss((x, targets))[0], without)
    assert torch.equal(module(x), module.network(x))


def test_drop_path_draws_the_same_in_the_same_epoch_and_others_in_the_next(in_epoch):
    recipe, batch = ChildRecipe(epochs=4, drop_path=0.9), Batches().batches[0]
    losses = [in_epoch(recipe, epoch).loss(batch)[0] for epoch in (1, 1, 2)]
    assert torch.equal(losses[0], losses[1])
    assert not torch.equal(losses[0], losses[2])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_with_the_epoch_and_the_cure(value, monkeypatch):
    module, loss = child_of(ChildRecipe(2, lr=0.25)), ChildModule.loss
    factors = [1.0, 1.0, 1.0, 1.0, value, 1.0]  # of the second epoch's second step

    def spoilt(self, batch):
        total, logits = loss(self, batch)
        return total * factors.pop(0), logits

    monkeypatch.setattr(ChildModule, "loss", spoilt)
    message = (
        rf"child's loss became {value} in step 1 of epoch 1 \(the last good one: [\d.]+\); lower "
        r"child.lr \(0.25\)$"
    )
    with pytest.raises(FloatingPointError, match=message):
        Hardware().trainer(2, limit_val_batches=0).fit(module, Batches(), Batches())


def trained(seed, recipe=None, callbacks=()):
    module = child_of(recipe or ChildRecipe(epochs=3, drop_path=0.5), seed=seed)
    trainer = Hardware().trainer(3, callbacks, limit_val_batches=0)
    trainer.fit(module, Batches(), val_dataloaders=Batches())
    return module


def vector(module):
    return torch.cat([tensor.flatten() for tensor in module.network.state_dict().values()])


def test_training_repeats_to_the_bit_with_the_same_seed():
    first = trained(seed=5)
    torch.manual_seed(999)
    second, other = trained(seed=5), trained(seed=6)
    assert torch.equal(vector(first), vector(second))
    assert not torch.equal(vector(first), vector(other))
    assert first.meter.training_samples == 3 * 3 * 6


def test_training_is_a_plain_loop():
    recipe = ChildRecipe(epochs=3, clip=0.5, label_smoothing=0.1, lr=0.2, warmup=0.0)
    network = build_child(SPACE, GENOTYPE, SCALE, 1).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.2, 0.9, weight_decay=3e-4)
    for step, (x, targets) in enumerate(3 * Batches().batches):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 + cos(pi * step / 9))
        optimizer.zero_grad()
        for norm in batch_norms(network):  # statistics settle as the mean of the first batches
            norm.momentum = max(0.1, 1 / (step + 1))
        F.cross_entropy(network(x), targets, label_smoothing=0.1).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimizer.step()
    found = vector(trained(seed=1, recipe=recipe))
    wanted = torch.cat([tensor.flatten() for tensor in network.state_dict().values()])
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)  # float32, nine steps


def test_the_last_learning_rate_step_is_the_schedules_end():
    module = trained(seed=1, recipe=ChildRecipe(epochs=3, lr=0.2, lr_min=0.05, warmup=0.0))
    lr = module.trainer.optimizers[0].param_groups[0]["lr"]
    assert lr == pytest.approx(0.05)


def test_initial_params_depend_on_the_seed_alone():
    first = build_child(SPACE, GENOTYPE, SCALE, 0)
    torch.manual_seed(77)
    second, other = (build_child(SPACE, GENOTYPE, SCALE, seed) for seed in (0, 1))
    assert torch.initial_seed() == 77
    assert torch.equal(first.classifier.weight, second.classifier.weight)
    assert not torch.equal(first.classifier.weight, other.classifier.weight)


def test_a_checkpoint_carries_the_card():
    module = ChildModule(nn.Identity(), CLASSES, card={"space": "darts"})
    checkpoint = {}
    module.on_save_checkpoint(checkpoint)
    assert checkpoint == {"child": {"space": "darts"}}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, r"child.epochs \(0\) must be at least 1; use e.g. 12"),
        ({"lr": 0.0}, r"child.lr \(0.0\) must be in \(0, inf\); use e.g. 0.025"),
        ({"lr": 0.1, "lr_min": 0.2}, r"child.lr_min \(0.2\) must be in \[0, 0.1\]; use e.g. 0$"),
        ({"lr_min": -0.1}, r"child.lr_min \(-0.1\) must be in \[0, 0.1\]"),
        ({"warmup": 1.0}, r"child.warmup \(1.0\) must be in \[0, 1\)"),
        ({"momentum": 1.0}, r"child.momentum \(1.0\) must be in \[0, 1\)"),
        ({"label_smoothing": -0.1}, r"child.label_smoothing \(-0.1\) must be in \[0, 1\)"),
        ({"drop_path": 1.5}, r"child.drop_path \(1.5\) must be in \[0, 1\)"),
        ({"validation_share": 1.0}, r"child.validation_share \(1.0\) must be in \[0, 1\)"),
        ({"weight_decay": -1.0}, r"child.weight_decay \(-1.0\) must be in \[0, inf\)"),
        ({"weight_decay": float("nan")}, r"child.weight_decay \(nan\) must be in \[0, inf\)"),
        ({"cutout": -2}, r"child.cutout \(-2\) must be at least 0"),
        ({"clip": 0.0}, r"child.clip \(0.0\) must be above 0; use e.g. 5.0"),
    ],
)
def test_impossible_recipes_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        ChildRecipe(**values)
