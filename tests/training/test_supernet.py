from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from search_step import (
    CELLS,
    CHANNELS,
    CLASSES,
    SIDE,
    batches,
    changed,
    in_steps,
    module_of,
    state_of,
    with_log,
)

from nas_lightning.core.optimizers import Adam
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.darts import Darts
from nas_lightning.strategies.gdas import Gdas
from nas_lightning.training.supernet import SupernetModule


def clip_at(module, norm):
    module.strategy.params_optimizer = replace(module.strategy.params_optimizer, clip=norm)


class GradientCounter:
    """Counts how often a gradient is computed for one of these leaves."""

    def __init__(self, params):
        self.count = 0
        for param in params:
            param.register_hook(self.add)

    def add(self, _):
        self.count += 1


def test_an_alpha_step_takes_no_gradient_of_the_params():
    module = module_of("first")
    train, val = batches()
    counter = GradientCounter(module.supernet.parameters())
    module.strategy.alpha_step(train, val, module)
    assert counter.count == 0


def test_a_weight_step_takes_one_gradient_of_each_param_and_none_of_alpha():
    module = module_of("first")
    train, _ = batches()
    mixture = module.strategy.mixture("params")
    params = list(module.supernet.parameters())
    of_params, of_alpha = GradientCounter(params), GradientCounter([module.strategy.alpha])
    module.minimise("params", lambda: module.loss(train, mixture, statistics=True))
    assert (of_params.count, of_alpha.count) == (len(params), 0)


def test_a_step_leaves_no_gradient_behind():
    module = module_of("second")
    module.strategy.search_step(*batches(), module)
    assert all(param.grad is None for param in module.parameters())


def test_a_gradient_that_a_loss_does_not_have_is_none():
    module = module_of()
    params = list(module.params.values())
    first, second = module.gradient((params[0] ** 2).sum(), params[:2])
    assert torch.equal(first, 2 * params[0])
    assert second is None


def test_alphas_stand_still_where_zero_operations_cut_the_path():
    space = NasBench201Space(scale=Scale(CHANNELS, CELLS))
    strategy = Gdas(space, 0, 50, alpha_optimizer=Adam(lr=0.05))
    strategy.alpha.data[:, space.choices[0].options.index("none")] = 100.0
    module = in_steps(SupernetModule(space, strategy, (3, SIDE, SIDE), CLASSES).double())
    before = strategy.alpha.detach().clone()
    loss = module.strategy.search_step(*batches(), module)
    assert torch.isfinite(loss)
    assert torch.equal(strategy.alpha.detach(), before)


@pytest.mark.parametrize("clip", [0.01, 5.0])
def test_the_norm_of_all_gradients_together_is_clipped(clip):
    module = module_of()
    clip_at(module, clip)
    train, _ = batches()
    mixture = module.strategy.mixture("params")
    loss = module.loss(train, mixture)
    params = list(module.params.values())
    grads = module.gradient(loss, params)
    norm = torch.sqrt(sum((g**2).sum() for g in grads))
    share = min(1.0, clip / (float(norm) + 1e-6))
    lr, decay = module.lr, module.strategy.params_optimizer.weight_decay
    wanted = [p - lr * (share * g + decay * p) for p, g in zip(params, grads, strict=True)]
    module.minimise("params", lambda: module.loss(train, mixture))
    for param, value in zip(params, wanted, strict=True):
        torch.testing.assert_close(param, value, rtol=1e-10, atol=1e-14)


def test_alphas_are_not_clipped():
    module = module_of()
    clip_at(module, 1e-12)
    before = module.strategy.alpha.detach().clone()
    seen = []
    optimizer = module.optimizers()[1]
    step = optimizer.step
    optimizer.step = lambda: (seen.append(module.strategy.alpha.grad.norm()), step())
    module.strategy.alpha_step(*batches(), module)
    assert seen[0] > 1e-6
    assert not torch.equal(before, module.strategy.alpha)


def test_a_lookahead_is_the_next_weight_step_which_is_not_taken():
    module = module_of()
    train, val = batches()
    for _ in range(2):
        module.strategy.search_step(train, val, module)
    mixture = module.strategy.mixture("params")
    grads = module.gradient(module.loss(train, mixture), list(module.params.values()))
    before = state_of(module)
    ahead = module.lookahead(grads)
    assert changed(module, before) == set()
    clip_at(module, 1e9)
    module.minimise("params", lambda: module.loss(train, mixture))
    for name, param in module.params.items():
        torch.testing.assert_close(ahead[name], param, rtol=1e-12, atol=1e-14)


def test_a_param_without_gradient_stands_still_in_a_lookahead():
    module = module_of()
    ahead = module.lookahead([None] * len(module.params))
    for name, param in module.params.items():
        assert torch.equal(ahead[name], param)
        assert ahead[name] is not param


def test_only_a_loss_with_statistics_moves_them():
    module = module_of()
    train, _ = batches()
    before = state_of(module)
    module.loss(train, module.strategy.mixture("params"))
    assert changed(module, before) == set()
    module.loss(train, module.strategy.mixture("params"), statistics=True)
    moved = changed(module, before)
    assert {name.rsplit(".", 1)[1] for name in moved} == {"running_mean", "running_var"}


def test_a_loss_at_other_params_is_that_of_a_network_with_them():
    module, other = module_of(), module_of()
    train, _ = batches()
    with torch.no_grad():
        for param in other.supernet.parameters():
            param.add_(0.1)
    mixture = module.strategy.mixture("params")
    found = module.loss(train, mixture, dict(other.params))
    assert torch.equal(found, other.loss(train, mixture))


def test_losses_are_counted_by_samples_and_steps():
    module = module_of("first")
    module.strategy.search_step(*batches(6), module)
    assert (module.meter.training_samples, module.meter.gradient_steps) == (12, 2)
    module = module_of("second")
    module.strategy.search_step(*batches(6), module)
    assert (module.meter.training_samples, module.meter.gradient_steps) == (30, 2)


@pytest.mark.parametrize(("max_samples", "stops"), [(None, False), (12, True), (13, False)])
def test_a_search_stops_where_the_cap_of_samples_is_reached(max_samples, stops):
    module = with_log(module_of())
    module.max_samples = max_samples
    train, val = batches(6)
    module.training_step({"train": train, "val": val}, 0)
    assert module.trainer.should_stop is stops
    assert set(module.logged) == {"search/train_loss", "search/lr"}


@pytest.mark.parametrize(("max_samples", "stops"), [(None, False), (12, True), (13, False)])
def test_a_resumed_search_does_not_go_on_beyond_its_cap(max_samples, stops):
    module = with_log(module_of())
    module.max_samples, module.meter.training_samples = max_samples, 12
    module.trainer.max_epochs = 50
    module.on_train_start()
    assert module.trainer.should_stop is stops


@pytest.mark.parametrize(
    ("last", "capped", "finishes"), [(False, False, 0), (True, False, 1), (False, True, 1)]
)
def test_a_strategy_finishes_its_epoch_also_where_the_cap_ends_it(last, capped, finishes):
    module, finished = with_log(module_of()), []
    module.trainer.is_last_batch = last
    module.trainer.fit_loop = SimpleNamespace(epoch_loop=SimpleNamespace(done=capped))
    module.trainer.val_dataloaders = ["batch"]
    module.strategy.finish_epoch = lambda *told: finished.append(told)
    module.on_train_batch_end(None, None, 0)
    assert finished == [(4, module, ["batch"])] * finishes


def test_a_trainer_of_another_length_is_refused():
    module = with_log(module_of())
    module.trainer.max_epochs = 7
    message = r"Trainer\(max_epochs=7\) must be the strategy's epochs \(50\): its schedules end"
    with pytest.raises(ValueError, match=message):
        module.on_train_start()


@pytest.mark.parametrize(
    ("batch", "kind"), [((1, 2), "tuple"), ({"train": (1, 2)}, "dict"), ([], "list")]
)
def test_a_batch_of_one_part_is_refused_with_the_cure(batch, kind):
    with pytest.raises(ValueError, match=rf'needs batches \{{"train".*got {kind}; let train_data'):
        module_of().training_step(batch, 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_with_the_epoch_and_the_cure(value):
    module = with_log(module_of())
    module.watch.start_step({})
    module.watch.note("the training loss", torch.tensor(value))
    message = (
        rf"loss became {value} in step 0 of epoch 4; lower strategy.params_optimizer.lr \(0.025\)"
    )
    with pytest.raises(FloatingPointError, match=message):
        module.on_train_epoch_end()


def test_an_epoch_begins_with_its_learning_rate_and_its_seed():
    module, draws = with_log(module_of()), []
    module._trainer.global_rank = 0
    for _ in range(2):
        module.on_train_epoch_start()
        draws.append(torch.rand(1))
    assert torch.equal(*draws)
    assert module.lr == module.strategy.params_optimizer.lr_at(4, 50)
    assert [group["lr"] for group in module.optimizers()[0].param_groups] == [module.lr]


def initial_params(seed, noise):
    torch.manual_seed(noise)
    space = DartsSpace(scale=Scale(4, 3))
    module = SupernetModule(space, Darts(space, 0), (3, SIDE, SIDE), CLASSES, seed=seed)
    assert torch.initial_seed() == noise
    return torch.cat([param.flatten() for param in module.supernet.parameters()])


def test_initial_params_depend_on_the_seed_alone():
    assert torch.equal(initial_params(seed=3, noise=1), initial_params(seed=3, noise=2))
    assert not torch.equal(initial_params(seed=3, noise=1), initial_params(seed=4, noise=1))


def test_a_strategy_without_params_gets_no_second_optimiser():
    module = module_of()
    module.strategy.alpha.requires_grad_(False)
    module.strategy._parameters.clear()
    assert len(module.configure_optimizers()) == 1
