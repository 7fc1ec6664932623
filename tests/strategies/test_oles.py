import logging
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from plain_context import PlainContext, batch, one_shot, search
from search_step import CELLS, CHANNELS, CLASSES, SIDE, batches, in_double

from nas_lightning.core.optimizers import Adam
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.chain import ChainSpace
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.darts import Darts
from nas_lightning.strategies.oles import Oles, agreement
from nas_lightning.training.updates import SearchUpdates


def updates_of(make, space=NasBench201Space, **settings):
    torch.manual_seed(0)
    sized = space(scale=Scale(CHANNELS, CELLS))
    strategy = make(sized, 0, 50, alpha_optimizer=Adam(lr=0.05), **settings)
    return in_double(SearchUpdates(sized, strategy, (3, SIDE, SIDE), CLASSES))


def values(updates):
    return {name: param.detach().clone() for name, param in updates.params.items()}


def test_the_agreement_of_two_gradients_is_the_cosine_of_all_their_entries():
    first = [torch.tensor([[3.0, 0.0]]), torch.tensor([4.0]), None, torch.ones(2)]
    second = [torch.tensor([[1.0, 5.0]]), torch.tensor([0.5]), torch.ones(3), None]
    wanted = (3.0 * 1.0 + 4.0 * 0.5) / (5.0 * (1.0 + 25.0 + 0.25) ** 0.5)
    assert agreement(first, second).item() == pytest.approx(wanted)
    assert agreement([None, torch.ones(1)], [torch.ones(1), None]) is None


def gradient_at(updates, data, params):
    """Returns the gradient of a batch's loss at some params, by the params' names."""
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    loss = updates.loss(data, updates.strategy.mixture("params"), leaves)
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))


def test_a_mean_is_that_of_the_cosines_of_the_batches_gradients():
    updates = updates_of(Oles, every=5)
    train, val = batches()
    sums = torch.zeros(len(updates.op_params), dtype=torch.float64)
    for _ in range(3):
        before = values(updates)
        of_val = gradient_at(updates, val, before)
        updates.strategy.search_step(train, val, updates)
        of_train = gradient_at(updates, train, before)  # with the alphas that have moved
        for number, names in enumerate(updates.op_params.values()):
            one, other = (torch.cat([g[n].flatten() for n in names]) for g in (of_val, of_train))
            sums[number] += F.cosine_similarity(one, other, dim=0)
    assert updates.strategy.seen.tolist() == [3] * len(sums)
    torch.testing.assert_close(updates.strategy.total, sums)


@pytest.mark.parametrize(
    "space", [NasBench201Space, pytest.param(DartsSpace, marks=pytest.mark.slow)]
)
def test_at_threshold_minus_one_it_has_the_bits_of_darts(space):
    plain, stopping = updates_of(Darts, space), updates_of(Oles, space, every=1, threshold=-1.0)
    for updates in (plain, stopping):
        for _ in range(2):
            updates.strategy.search_step(*batches(), updates)
    assert torch.equal(plain.strategy.alpha, stopping.strategy.alpha)
    for name, param in plain.params.items():
        assert torch.equal(param, stopping.params[name]), name
    assert plain.meter == stopping.meter


def test_frozen_params_stand_still_to_the_bit_while_others_and_alphas_move():
    updates = updates_of(Oles, every=2)
    strategy, (train, val) = updates.strategy, batches()
    strategy.search_step(train, val, updates)  # momentum and decay have something to move
    frozen = list(updates.op_params)[1]
    strategy.frozen_at[1] = 1
    before, alpha = values(updates), strategy.alpha.detach().clone()
    strategy.threshold = -1.0
    strategy.search_step(train, val, updates)
    moved = {name for name, param in updates.params.items() if not torch.equal(param, before[name])}
    still = set(updates.op_params[frozen])
    assert still == updates.params.keys() - moved
    assert not torch.equal(strategy.alpha, alpha)


def test_the_norm_that_is_clipped_is_that_of_the_params_that_are_not_frozen():
    updates = updates_of(Oles, every=2, threshold=-1.0)
    strategy, (train, val) = updates.strategy, batches()
    settings = strategy.params_optimizer
    strategy.params_optimizer = type(settings)(clip=0.01)
    updates.optimizers.pop("alpha"), updates.__dict__.pop("optimizers")
    strategy.search_step(train, val, updates)
    updates.__dict__.pop("optimizers")  # without momentum
    strategy.frozen_at[:] = 1
    before = values(updates)
    strategy.search_step(train, val, updates)
    decay, lr = settings.weight_decay, updates.lr
    steps = [(before[n] - p) / lr - decay * before[n] for n, p in updates.params.items()]
    names = {n for members in updates.op_params.values() for n in members}
    norm = torch.sqrt(
        sum((s**2).sum() for n, s in zip(before, steps, strict=True) if n not in names)
    )
    assert norm.item() == pytest.approx(0.01, rel=1e-3)


def test_an_operation_is_frozen_at_the_check_at_which_its_mean_is_too_low_for_good():
    updates = updates_of(Oles, every=2, threshold=1.0)
    strategy, (train, val) = updates.strategy, batches()
    strategy.search_step(train, val, updates)
    assert set(strategy.frozen_at.tolist()) == {-1}
    strategy.total[0] = 100.0  # agrees for now
    before = values(updates)
    strategy.search_step(train, val, updates)
    number = len(updates.op_params)
    assert strategy.frozen_at.tolist() == [-1] + [2] * (number - 1)
    first = set(next(iter(updates.op_params.values())))
    of_ops = {name for members in updates.op_params.values() for name in members}
    moved = {name for name, param in updates.params.items() if not torch.equal(param, before[name])}
    assert moved & of_ops == first  # from the very step of the check
    assert (strategy.seen[0], strategy.total[0]) == (0, 0.0)  # the mean begins anew
    for _ in range(2):
        strategy.search_step(train, val, updates)
    assert strategy.frozen_at.tolist() == [4] + [2] * (number - 1)


def test_skips_and_operations_without_params_are_never_frozen():
    updates = updates_of(Oles, DartsSpace)
    ops = {name.partition("_")[2].partition("_")[2] for name in updates.op_params}
    assert ops == {"sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"}
    assert any("skip_connect" in name for name in updates.params)
    assert len(updates.op_params) == CELLS * 14 * 4


def test_what_is_frozen_is_reported_once(caplog):
    updates = updates_of(Oles, every=1, threshold=-1.0)
    strategy = updates.strategy
    strategy.search_step(*batches(), updates)
    strategy.frozen_at[[4, 2]] = torch.tensor([1, 3])
    with caplog.at_level(logging.INFO):
        strategy.derive(updates)
    names = list(updates.op_params)
    (message,) = caplog.messages
    assert message == (
        f"strategy oles froze 2 of {len(names)} operations "
        f"(first {names[4]} at step 1, {names[2]} at step 3)"
    )


def test_a_search_that_ends_before_the_first_check_says_so(caplog):
    updates = updates_of(Oles, every=20)
    for _ in range(6):
        updates.strategy.search_step(*batches(), updates)
    updates.strategy.derive(updates)
    (message,) = caplog.messages
    assert "froze nothing: the search ended after 6 weight steps, before its first check" in message
    assert "set strategy.every=2" in message


def test_a_search_of_operations_without_params_counts_its_steps_and_says_so(caplog):
    space = DartsSpace(nodes=1, ops=("skip_connect", "max_pool_3x3"), scale=Scale(CHANNELS, CELLS))
    updates = updates_of(Oles, lambda scale: space, every=2)
    for _ in range(2):
        updates.strategy.search_step(*batches(), updates)
    assert updates.strategy.steps == 2
    updates.strategy.derive(updates)
    assert caplog.messages == updates.strategy.notes()
    assert "no operation of search space 'darts' has params that it could freeze" in caplog.text


def test_means_and_what_is_frozen_are_resumed():
    whole = one_shot("oles", epochs=4, every=3, threshold=0.2)
    context = PlainContext(whole)
    search(whole, context, range(2))
    other = one_shot("oles", epochs=4, every=3, threshold=0.2, seed=5)
    other.load_state_dict(whole.state_dict())
    assert whole.steps == 4
    for name in ("steps", "total", "seen", "frozen_at"):
        assert torch.equal(getattr(whole, name), getattr(other, name))
    again = PlainContext(other)
    again.supernet.load_state_dict(context.supernet.state_dict())
    for name, optimizer in again.optimizers.items():
        optimizer.load_state_dict(deepcopy(context.optimizers[name].state_dict()))
    for strategy, own in ((whole, context), (other, again)):
        strategy.search_step(batch(seed=1), batch(seed=2), own)
    assert torch.equal(whole.total, other.total)
    assert torch.equal(whole.frozen_at, other.frozen_at)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 0}, r"strategy.every \(0\) must be at least 1; use e.g. 20"),
        ({"threshold": 2.0}, r"strategy.threshold \(2.0\) must be in \[-1, 1\]; use e.g. 0.4"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        one_shot("oles", **settings)


def test_a_space_without_operations_is_refused():
    message = "freezes operations, but search space 'chain' chooses none: its options share"
    with pytest.raises(ValueError, match=message):
        Oles(ChainSpace(), 0)
