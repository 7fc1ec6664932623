from math import cos, pi
from random import Random
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
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


def stubbed(recipe, scale=SCALE, **trainer):
    """A child outside a Trainer, with what it logs kept in a dictionary."""
    module = child_of(recipe, scale)
    module.logged = {}
    module.log = lambda name, value, **_: module.logged.update({name: value})
    optimizer = SimpleNamespace(param_groups=[{"lr": 0.5}])
    trainer = {"world_size": 1, "optimizers": [optimizer], "global_step": 0} | trainer
    module._trainer = SimpleNamespace(**trainer)
    return module


def learning_rates(recipe, steps):
    module = stubbed(recipe, max_epochs=recipe.epochs, estimated_stepping_batches=steps)
    setting = module.configure_optimizers()
    assert setting["lr_scheduler"]["interval"] == "step"
    optimizer, schedule = setting["optimizer"], setting["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def test_the_learning_rate_rises_linearly_and_falls_along_a_cosine():
    found = learning_rates(ChildRecipe(lr=0.4, lr_min=0.1, warmup=0.2), steps=20)
    rising = [0.4 * share / 5 for share in (1, 2, 3, 4)]
    falling = [0.1 + 0.3 * (1 + cos(pi * step / 16)) / 2 for step in range(16)]
    assert found == pytest.approx(rising + falling, rel=1e-12)


def test_without_warm_up_the_first_step_has_the_largest_learning_rate():
    found = learning_rates(ChildRecipe(lr=0.4, warmup=0.0), steps=10)
    assert found == pytest.approx([0.2 * (1 + cos(pi * step / 10)) for step in range(10)])


def test_the_optimiser_has_the_recipes_values_and_every_param():
    recipe = ChildRecipe(lr=0.3, momentum=0.7, weight_decay=0.02, warmup=0.0)
    module = stubbed(recipe, max_epochs=recipe.epochs, estimated_stepping_batches=5)
    (group,) = module.configure_optimizers()["optimizer"].param_groups
    assert [group[n] for n in ("initial_lr", "momentum", "weight_decay")] == [0.3, 0.7, 0.02]
    assert [id(p) for p in group["params"]] == [id(p) for p in module.network.parameters()]


def smoothed(logits, targets, share):
    """Cross-entropy with the target's share spread over all classes, from its definition."""
    goal = (1 - share) * F.one_hot(targets, CLASSES) + share / CLASSES
    return -(goal * logits.log_softmax(1)).sum(1).mean()


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_loss_is_smoothed_in_training_alone(share):
    module = stubbed(ChildRecipe(label_smoothing=share))
    x, targets = Batches().batches[0]
    logits = module.network(x)
    torch.testing.assert_close(
        module.training_step((x, targets), 0), smoothed(logits, targets, share)
    )
    module.validation_step((x, targets), 0)
    torch.testing.assert_close(
        module.logged["child/validation_loss"], smoothed(logits, targets, 0.0)
    )


def test_the_auxiliary_loss_is_added_with_its_weight_in_training_alone():
    scale = Scale(
        4, 3, flavour="child", auxiliary=True, input_shape=(1, 32, 32), num_outputs=CLASSES
    )
    module = stubbed(ChildRecipe(auxiliary_weight=0.7, label_smoothing=0.2), scale)
    x, targets = Batches(side=32).batches[0]
    logits, auxiliary = module.network.forward_auxiliary(x)
    wanted = smoothed(logits, targets, 0.2) + 0.7 * smoothed(auxiliary, targets, 0.2)
    torch.testing.assert_close(module.training_step((x, targets), 0), wanted)
    head, calls = module.network.auxiliary, []
    head.register_forward_hook(lambda *_: calls.append(1))
    module.validation_step((x, targets), 0)
    module.test_step((x, targets), 0)
    assert calls == []


def test_steps_log_and_count():
    module = stubbed(ChildRecipe())
    module.training_step(Batches().batches[0], 0)
    metrics = {"child/train_accuracy", "child/train_balanced_accuracy"}
    assert set(module.logged) == {"child/train_loss", "child/lr", *metrics}
    assert (module.meter.training_samples, module.meter.gradient_steps) == (6, 1)
    module.test_step(Batches().batches[0], 0)
    assert "child/test_accuracy" in module.logged
    assert module.meter.training_samples == 6


@pytest.mark.parametrize(("epoch", "probability"), [(0, None), (1, 0.05), (3, 0.15)])
def test_drop_path_grows_linearly_by_epoch(epoch, probability):
    module = stubbed(ChildRecipe(epochs=4, drop_path=0.2), current_epoch=epoch, global_rank=0)
    module.on_train_epoch_start()
    found = module._drop_path and module._drop_path.probability
    assert found == (probability and pytest.approx(probability))


def test_drop_path_changes_training_and_no_evaluation():
    module = stubbed(ChildRecipe(epochs=2, drop_path=0.9), current_epoch=1, global_rank=0)
    x, targets = Batches().batches[0]
    without = module.training_step((x, targets), 0)
    module.on_train_epoch_start()
    assert not torch.equal(module.training_step((x, targets), 0), without)
    assert torch.equal(module(x), module.network(x))


def test_drop_path_draws_the_same_in_the_same_epoch_and_others_in_the_next():
    losses = []
    for epoch in (1, 1, 2):
        module = stubbed(ChildRecipe(epochs=4, drop_path=0.9), current_epoch=epoch, global_rank=0)
        module.on_train_epoch_start()
        losses.append(module.training_step(Batches().batches[0], 0))
    assert torch.equal(losses[0], losses[1])
    assert not torch.equal(losses[0], losses[2])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_with_the_epoch_and_the_cure(value):
    module = stubbed(ChildRecipe(lr=0.25), current_epoch=2)
    for loss in (2.5, value):
        module.watch.start_step({})
        module.watch.note("the child's loss", torch.tensor(loss))
    message = (
        rf"child's loss became {value} in step 1 of epoch 2 \(the last good one: 2.5\); lower "
        r"child.lr \(0.25\)"
    )
    with pytest.raises(FloatingPointError, match=message):
        module.on_train_epoch_end()


def trained(seed, recipe=None):
    module = child_of(recipe or ChildRecipe(epochs=3, drop_path=0.5), seed=seed)
    trainer = Hardware().trainer(3, limit_val_batches=0)
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
        ({"lr": 0.0}, r"child.lr \(0.0\) must be > 0 and child.lr_min \(0.0\) between 0 and it"),
        ({"lr": 0.1, "lr_min": 0.2}, r"child.lr_min \(0.2\) between 0 and it; use e.g. 0.025"),
        ({"lr_min": -0.1}, r"child.lr_min \(-0.1\) between 0 and it"),
        ({"warmup": 1.0}, r"child.warmup \(1.0\) must be in \[0, 1\)"),
        ({"momentum": 1.0}, r"child.momentum \(1.0\) must be in \[0, 1\)"),
        ({"label_smoothing": -0.1}, r"child.label_smoothing \(-0.1\) must be in \[0, 1\)"),
        ({"drop_path": 1.5}, r"child.drop_path \(1.5\) must be in \[0, 1\)"),
        ({"validation_share": 1.0}, r"child.validation_share \(1.0\) must be in \[0, 1\)"),
        (
            {"weight_decay": -1.0},
            r"child.weight_decay \(-1.0\) and child.cutout \(0\) must be >= 0",
        ),
        ({"cutout": -2}, r"child.cutout \(-2\) must be >= 0"),
        ({"clip": 0.0}, r"child.clip \(0.0\) > 0"),
        ({"weight_decay": float("nan")}, r"child.weight_decay \(nan\) and"),
    ],
)
def test_impossible_recipes_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        ChildRecipe(**values)
