"""The updates of a search in plain torch, without a Trainer."""

from dataclasses import replace

import pytest
import torch
from search_step import (
    CELLS,
    CHANNELS,
    CLASSES,
    NODES,
    SIDE,
    batches,
    changed,
    in_double,
    state_of,
    updates_of,
)

from nas_lightning.core.optimizers import TRAVEL, Adam
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.darts import Darts
from nas_lightning.strategies.gdas import Gdas
from nas_lightning.training.updates import SearchUpdates


def clip_at(updates, norm):
    updates.strategy.params_optimizer = replace(updates.strategy.params_optimizer, clip=norm)


class GradientCounter:
    """Counts how often a gradient is computed for one of these leaves."""

    def __init__(self, params):
        self.count = 0
        for param in params:
            param.register_hook(self.add)

    def add(self, _):
        self.count += 1


def test_an_alpha_step_takes_no_gradient_of_the_params():
    updates = updates_of("first")
    train, val = batches()
    counter = GradientCounter(updates.supernet.parameters())
    updates.strategy.alpha_step(train, val, updates)
    assert counter.count == 0


def test_a_weight_step_takes_one_gradient_of_each_param_and_none_of_alpha():
    updates = updates_of("first")
    train, _ = batches()
    mixture = updates.strategy.mixture("params")
    params = list(updates.supernet.parameters())
    of_params, of_alpha = GradientCounter(params), GradientCounter([updates.strategy.alpha])
    updates.minimise("params", lambda: updates.loss(train, mixture, statistics=True))
    assert (of_params.count, of_alpha.count) == (len(params), 0)


def test_a_step_leaves_no_gradient_behind():
    updates = updates_of("second")
    updates.strategy.search_step(*batches(), updates)
    assert all(param.grad is None for param in [*updates.params.values(), updates.strategy.alpha])


def test_a_gradient_that_a_loss_does_not_have_is_none():
    updates = updates_of()
    params = list(updates.params.values())
    first, second = updates.gradient((params[0] ** 2).sum(), params[:2])
    assert torch.equal(first, 2 * params[0])
    assert second is None


def test_alphas_stand_still_where_zero_operations_cut_the_path():
    space = NasBench201Space(scale=Scale(CHANNELS, CELLS))
    strategy = Gdas(space, 0, 50, alpha_optimizer=Adam(lr=0.05))
    strategy.alpha.data[:, space.choices[0].options.index("none")] = 100.0
    updates = in_double(SearchUpdates(space, strategy, (3, SIDE, SIDE), CLASSES))
    before = strategy.alpha.detach().clone()
    loss = updates.strategy.search_step(*batches(), updates)
    assert torch.isfinite(loss)
    assert torch.equal(strategy.alpha.detach(), before)


@pytest.mark.parametrize("clip", [0.01, 5.0])
def test_the_norm_of_all_gradients_together_is_clipped(clip):
    updates = updates_of()
    clip_at(updates, clip)
    train, _ = batches()
    mixture = updates.strategy.mixture("params")
    loss = updates.loss(train, mixture)
    params = list(updates.params.values())
    grads = updates.gradient(loss, params)
    norm = torch.sqrt(sum((g**2).sum() for g in grads))
    share = min(1.0, clip / (float(norm) + 1e-6))
    lr, decay = updates.lr, updates.strategy.params_optimizer.weight_decay
    wanted = [p - lr * (share * g + decay * p) for p, g in zip(params, grads, strict=True)]
    updates.minimise("params", lambda: updates.loss(train, mixture))
    for param, value in zip(params, wanted, strict=True):
        torch.testing.assert_close(param, value, rtol=1e-10, atol=1e-14)


def test_alphas_are_not_clipped():
    updates = updates_of()
    clip_at(updates, 1e-12)
    before = updates.strategy.alpha.detach().clone()
    seen = []
    optimizer = updates.optimizers["alpha"]
    step = optimizer.step
    optimizer.step = lambda: (seen.append(updates.strategy.alpha.grad.norm()), step())
    updates.strategy.alpha_step(*batches(), updates)
    assert seen[0] > 1e-6
    assert not torch.equal(before, updates.strategy.alpha)


def test_a_lookahead_is_the_next_weight_step_which_is_not_taken():
    updates = updates_of()
    train, val = batches()
    for _ in range(2):
        updates.strategy.search_step(train, val, updates)
    mixture = updates.strategy.mixture("params")
    grads = updates.gradient(updates.loss(train, mixture), list(updates.params.values()))
    before = state_of(updates)
    ahead = updates.lookahead(grads)
    assert changed(updates, before) == set()
    clip_at(updates, 1e9)
    updates.minimise("params", lambda: updates.loss(train, mixture))
    for name, param in updates.params.items():
        torch.testing.assert_close(ahead[name], param, rtol=1e-12, atol=1e-14)


def test_a_param_without_gradient_stands_still_in_a_lookahead():
    updates = updates_of()
    ahead = updates.lookahead([None] * len(updates.params))
    for name, param in updates.params.items():
        assert torch.equal(ahead[name], param)
        assert ahead[name] is not param


def test_only_a_loss_with_statistics_moves_them():
    updates = updates_of()
    train, _ = batches()
    before = state_of(updates)
    updates.loss(train, updates.strategy.mixture("params"))
    assert changed(updates, before) == set()
    updates.loss(train, updates.strategy.mixture("params"), statistics=True)
    moved = changed(updates, before)
    assert {name.rsplit(".", 1)[1] for name in moved} == {"running_mean", "running_var"}


def test_a_loss_at_other_params_is_that_of_a_network_with_them():
    updates, other = updates_of(), updates_of()
    train, _ = batches()
    with torch.no_grad():
        for param in other.supernet.parameters():
            param.add_(0.1)
    mixture = updates.strategy.mixture("params")
    found = updates.loss(train, mixture, dict(other.params))
    assert torch.equal(found, other.loss(train, mixture))


def test_what_follows_draws_the_same_noise_again():
    torch.manual_seed(0)
    space = DartsSpace(ops=("noise", "sep_conv_3x3"), scale=Scale(CHANNELS, CELLS))
    updates = SearchUpdates(space, Darts(space, 0, 2), (3, SIDE, SIDE), CLASSES, steps=4)
    train, mixture = batches()[0], updates.strategy.mixture("params")
    with updates.draws_again():
        first = updates.loss(train, mixture)
    again = updates.loss(train, mixture)
    assert torch.equal(first, again)
    assert not torch.equal(updates.loss(train, mixture), again)


def test_losses_are_counted_by_samples_and_steps():
    updates = updates_of("first")
    updates.strategy.search_step(*batches(6), updates)
    assert (updates.meter.training_samples, updates.meter.gradient_steps) == (12, 2)
    updates = updates_of("second")
    updates.strategy.search_step(*batches(6), updates)
    assert (updates.meter.training_samples, updates.meter.gradient_steps) == (30, 2)


def test_an_epoch_begins_with_its_learning_rate_and_tells_the_strategy():
    updates, told = updates_of(), []
    updates.strategy.start_epoch = told.append
    updates.start_epoch(4)
    assert updates.lr == updates.strategy.params_optimizer.lr_at(4, 50)
    assert [group["lr"] for group in updates.optimizers["params"].param_groups] == [updates.lr]
    assert told == [4]


def test_gradients_and_statistics_are_means_over_processes():
    updates, reduced = updates_of(), []

    def mean(flat):
        reduced.append(flat.shape)
        return 3 * flat

    params = list(updates.params.values())
    (alone,) = updates.gradient((params[0] ** 2).sum(), params[:1])
    updates.mean, updates.num_processes = mean, 2
    first, second = updates.gradient((params[0] ** 2).sum(), params[:2])
    assert torch.equal(first, 3 * alone)
    assert second is None
    assert reduced == [(params[0].numel(),)]
    updates.average_statistics()
    assert {float(b.unique()) for n, b in updates.supernet.named_buffers() if "var" in n} == {3.0}
    updates.loss(batches(6)[0], updates.strategy.scores())
    assert updates.meter.training_samples == 12


def test_a_forward_runs_in_the_context_that_is_set():
    space = DartsSpace(NODES, scale=Scale(CHANNELS, CELLS))
    updates = SearchUpdates(space, Darts(space, 0), (3, SIDE, SIDE), CLASSES)
    updates.forward_context = lambda: torch.autocast("cpu", torch.bfloat16)
    seen = []
    updates.supernet.classifier.register_forward_hook(lambda _, __, out: seen.append(out.dtype))
    updates.loss(batches()[0], updates.strategy.scores())
    updates.validate(updates.strategy.scores(), [batches()[1]])
    assert seen == [torch.bfloat16] * 2


def test_the_steps_of_the_search_set_the_alphas_learning_rate_where_it_is_none():
    space = DartsSpace(NODES, scale=Scale(CHANNELS, CELLS))
    told = SearchUpdates(space, Darts(space, 0), (3, SIDE, SIDE), CLASSES, steps=300)
    assert told.optimizers["alpha"].param_groups[0]["lr"] == TRAVEL / 300
    untold = SearchUpdates(space, Darts(space, 0), (3, SIDE, SIDE), CLASSES)
    with pytest.raises(ValueError, match=r"steps \(None\) must be those of the whole.*epochs \* b"):
        untold.strategy.search_step(*batches(), untold)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_with_the_epoch_and_the_cure(value):
    updates = updates_of()
    updates.watch.start_step({})
    updates.watch.note("the training loss", torch.tensor(value))
    message = (
        rf"loss became {value} in step 0 of epoch 4; lower strategy.params_optimizer.lr \(0.025\)$"
    )
    with pytest.raises(FloatingPointError, match=message):
        updates.end_epoch(4)


@pytest.mark.parametrize("which", ["alphas", "params"])
def test_an_epoch_whose_last_step_spoilt_something_names_it(which):
    updates = updates_of()
    tensor = {"alphas": updates.strategy.alpha, "params": updates.params["classifier.bias"]}[which]
    with torch.no_grad():
        tensor[0] = float("nan")
    expected = {"alphas": "alpha; lower strategy.alpha_opt", "params": "bias; lower strategy.par"}
    with pytest.raises(FloatingPointError, match=rf"last step of epoch 3.*{expected[which]}"):
        updates.end_epoch(3)


def initial_params(seed, noise):
    torch.manual_seed(noise)
    space = DartsSpace(scale=Scale(4, 3))
    updates = SearchUpdates(space, Darts(space, 0), (3, SIDE, SIDE), CLASSES, seed=seed)
    assert torch.initial_seed() == noise
    return torch.cat([param.flatten() for param in updates.params.values()])


def test_initial_params_depend_on_the_seed_alone():
    assert torch.equal(initial_params(seed=3, noise=1), initial_params(seed=3, noise=2))
    assert not torch.equal(initial_params(seed=3, noise=1), initial_params(seed=4, noise=1))


def test_a_strategy_without_params_gets_no_second_optimiser():
    updates = updates_of()
    updates.strategy._parameters.clear()
    assert set(updates.optimizers) == {"params"}


def test_a_stage_keeps_the_type_of_the_params(monkeypatch):
    updates = updates_of()  # in float64
    monkeypatch.setattr(updates, "_stage", replace(updates.strategy.stage(0), number=1))
    assert updates.rebuild(0)
    assert {param.dtype for param in updates.params.values()} == {torch.float64}
