"""The criterion by hand, and what answers it to the bit."""

import math
from itertools import pairwise

import planted_search
import pytest
import torch
from command import rows
from lightning.pytorch.callbacks import Callback
from plain_context import PlainContext, batch, one_shot
from search_step import in_double

from nas_lightning.core.limited import limited
from nas_lightning.core.optimizers import Sgd
from nas_lightning.core.scale import Scale
from nas_lightning.run.forked import _without_limits
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies import robust_darts
from nas_lightning.strategies.robust_darts import RobustDarts, local_means, where_it_rises
from nas_lightning.training.updates import SearchUpdates

PAPER = {"window": 5, "back": 4, "ratio": 1.3}


@pytest.mark.parametrize(
    ("eigenvalues", "number"),
    [
        ([1.0] * 6, None),  # the mean four earlier is missing
        ([1.0] * 7, None),
        ([1.0] * 6 + [2.45], None),  # (4 + 2.45) / 5 = 1.29 times the mean of the first three
        ([1.0] * 6 + [2.55], 0),  # 1.31 times
        ([-1.0] * 6 + [-1.5], None),  # it falls below zero
        ([-1.0] * 6 + [9.0], 0),  # it rises above zero
        ([1.0] * 6 + [2.55] + [1.0] * 5, None),
        ([9.0] * 5 + [2.0] * 6 + [3.0] * 3, None),  # 13 / 5 is less than 16 / 5 four earlier
        ([2.0] * 9 + [3.0] * 4, 6),  # 14 / 5 is 1.4 times 2, which stands for measurement 6
    ],
)
def test_a_rise_is_a_local_mean_above_the_earlier_one_times_the_ratio(eigenvalues, number):
    assert where_it_rises(eigenvalues, **PAPER) == number


def test_the_criterion_is_that_of_centred_windows_in_epochs():
    series = torch.rand(25, generator=torch.Generator().manual_seed(0)).cumsum(0).pow(1.2)
    at = {2 * number: value for number, value in enumerate(series.tolist())}

    def mean(centre, now):
        near = [v for epoch, v in at.items() if abs(epoch - centre) <= 4 and epoch <= now]
        return sum(near) / len(near)

    found, wanted = [], []
    for now in range(12, 50, 2):
        number = where_it_rises(series[: now // 2 + 1].tolist(), **PAPER)
        found.append(None if number is None else 2 * number)
        rises = mean(now - 4, now) / mean(now - 12, now) > 1.3
        wanted.append(now - 12 if rises else None)
    assert found == wanted
    assert {None} < set(found)


def test_the_first_mean_is_that_of_half_a_window():
    assert local_means([1.0, 2.0], 5) == []
    assert local_means([1.0, 2.0, 6.0, 7.0, 4.0, 11.0], 5) == [3.0, 4.0, 4.0, 6.0]
    assert local_means([1.0, 2.0], 1) == [1.0, 2.0]


def measured(monkeypatch, series):
    """Has eigenvalues be those of a series, by the number of the measurement in the search."""
    values = iter(series)
    monkeypatch.setattr(robust_darts, "alpha_eigenvalue", lambda *_: next(values))


def states_of(context):
    """Returns what an epoch leaves, as tensors by name."""
    parts = {"supernet": context.supernet.state_dict(), "alpha": {"alpha": context.strategy.alpha}}
    for name, optimizer in context.optimizers.items():
        for number, state in optimizer.state_dict()["state"].items():
            parts[f"{name} {number}"] = state
    return {
        f"{part} {name}": tensor.detach().clone()
        for part, state in parts.items()
        for name, tensor in state.items()
    }


def searched(monkeypatch, series, epochs=8, **more):
    """Searches; returns the strategy, the updates, and the states after each epoch by number."""
    settings = {"window": 1, "back": 1, "start": 0.0, "interval": 0.04} | more
    measured(monkeypatch, series)
    space = NasBench201Space(scale=Scale(2, 3))
    strategy = RobustDarts(space, 0, epochs, **settings)
    updates = in_double(SearchUpdates(space, strategy, (3, 8, 8), 4, steps=2 * epochs))
    states, used = {}, []
    for epoch in range(epochs):
        updates.start_epoch(epoch)
        (group,) = updates.optimizers["params"].param_groups
        used.append((group["lr"], group["weight_decay"]))
        for key in (2 * epoch, 2 * epoch + 1):
            train, val = (batch(seed=n, space_shape=(3, 8, 8)) for n in (key, key + 50))
            strategy.search_step(train, val, updates)
        states[f"{epoch} trained"] = states_of(updates)
        strategy.finish_epoch(epoch, updates, [batch(space_shape=(3, 8, 8))])
        states[epoch] = states_of(updates)
    return strategy, updates, states, used


def assert_equal_bits(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_a_rise_stops_the_search_with_what_it_was_before(monkeypatch):
    strategy, _, states, _ = searched(monkeypatch, [1.0, 1.0, 1.0, 2.0], on_rise="stop")
    assert strategy.is_over
    assert_equal_bits(states[3], states[2])
    assert (states["3 trained"]["alpha alpha"] != states[3]["alpha alpha"]).any()
    assert torch.equal(states[7]["alpha alpha"], states[2]["alpha alpha"])  # whoever goes on
    assert strategy.derive() == strategy.space.discretize(strategy.scores())
    assert strategy.measurements() == {"dominant_eigenvalue": 2.0, "weight_decay": 3e-4}
    (note,) = strategy.notes()
    told = "in epoch 3 (0-based) the dominant eigenvalue, 2, had risen since epoch 2; the search "
    assert note.startswith(told)


def test_without_a_rise_it_is_darts(monkeypatch):
    strategy, _, states, used = searched(monkeypatch, [1.0] * 8)
    assert not strategy.is_over
    assert used == [(Sgd().lr_at(epoch, 8), 3e-4) for epoch in range(8)]
    assert all((a != b).any() for a, b in pairwise(states[n]["alpha alpha"] for n in range(8)))


def test_adaptive_regularisation_goes_back_to_the_bit_and_raises_the_weight_decay(monkeypatch):
    series = [1.0, 1.0, 1.0, 2.0, 1.0, 3.0, 5.0, 1.0]
    strategy, _, states, used = searched(monkeypatch, series, on_rise="regularise")
    assert_equal_bits(states[3], states[2])  # raised to 3e-3; now 1 1 1
    assert_equal_bits(states[4], states["4 trained"])  # 1 1 1 1
    assert_equal_bits(states[5], states[4])  # raised to 0.03
    assert_equal_bits(states[6], states["6 trained"])  # it rises, and there is nothing to raise
    assert [decay for _, decay in used] == pytest.approx([3e-4] * 4 + [3e-3] * 2 + [0.03] * 2)
    assert strategy.record.eigenvalues == [1.0, 1.0, 1.0, 1.0, 5.0]
    assert strategy.record.epochs == [0, 1, 2, 4, 6]
    assert strategy.measurements()["dominant_eigenvalue"] == 1.0  # of the last epoch
    assert not strategy.is_over


def test_the_schedule_goes_back_too_and_is_drawn_out_to_the_end(monkeypatch):
    series = [1.0, 1.0, 1.0, 2.0, *[1.0] * 4]
    _, _, _, used = searched(monkeypatch, series, on_rise="regularise")
    places = [0, 1, 2, 3, 3, 3 + 5 / 4, 3 + 10 / 4, 3 + 15 / 4]  # epoch 4 is again the one after 2
    wanted = [0.001 + 0.012 * (1 + math.cos(math.pi * place / 8)) for place in places]
    assert [lr for lr, _ in used] == pytest.approx(wanted)


def test_the_search_never_returns_to_before_its_start(monkeypatch):
    strategy, _, _, _ = searched(monkeypatch, [1.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0], start=0.3)
    assert not strategy.is_over
    strategy, _, _, _ = searched(monkeypatch, [1.0, 1.0, 1.0, 4.0], start=0.3)
    assert strategy.is_over


def test_the_paper_measures_every_second_of_fifty_epochs_and_no_rise_counts_in_the_last():
    space = NasBench201Space()
    strategy = RobustDarts(space, 0, 50, window=5, back=4)
    assert [n for n in range(50) if n % strategy.measured_every == 0] == list(range(0, 50, 2))
    short = one_shot("robust_darts", epochs=2, start=0.0, window=1, back=1, ratio=1e-9)
    context = PlainContext(short)
    for epoch in range(2):
        short.finish_epoch(epoch, context, [batch()])
    assert not short.is_over
    assert short.record.epochs == [0]


def within(**bounds):
    """Returns the updates of a search within limits."""
    scale = Scale(2, 3, input_shape=(3, 8, 8), num_outputs=4)
    space = limited(NasBench201Space(scale=scale), scale, bounds)
    return SearchUpdates(space, RobustDarts(space, 0, 8), (3, 8, 8), 4, steps=16)


def test_a_fork_with_other_limits_goes_back_to_what_was_before_it_but_for_their_multipliers():
    before, forked = within(parameters=1e6), within(parameters=1e6, multiply_adds=1e9)
    for updates, multiplier in ((before, 3.0), (forked, 5.0)):
        updates.limits.multiplier.fill_(multiplier)
    with torch.no_grad():
        before.strategy.alpha.fill_(0.5)
    forked.restore(_without_limits({"0": before.snapshot()})["0"])
    assert (forked.strategy.alpha == 0.5).all()
    assert forked.limits.multiplier.tolist() == [5.0, 5.0]


class Interrupted(Exception):  # noqa: N818 - stands for whatever ends a training
    pass


class InterruptedIn(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == (self.epoch, 1):
            raise Interrupted


def alphas(folder):
    return [(row["epoch"], row["weight"]) for row in rows(folder / "alphas.csv")]


@pytest.mark.parametrize("epoch", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_a_search_that_went_back_resumes_to_the_same_bits(tmp_path, epoch):
    whole = planted_search.search("robust_darts", tmp_path / "whole")
    assert whole.strategy.record.raises == 2
    with pytest.raises(Interrupted):
        planted_search.search("robust_darts", tmp_path / "two", [InterruptedIn(epoch)])
    resumed = planted_search.search("robust_darts", tmp_path / "two")
    assert alphas(tmp_path / "two") == alphas(tmp_path / "whole")
    assert_equal_bits(dict(resumed.supernet.state_dict()), dict(whole.supernet.state_dict()))
    assert_equal_bits(resumed.strategy.record.snapshots[0], whole.strategy.record.snapshots[0])


def test_a_search_that_is_stopped_costs_nothing_more_also_where_it_is_resumed(
    tmp_path, monkeypatch
):
    settings = {"start": 0.0, "window": 1, "back": 1, "ratio": 1e-9}
    monkeypatch.setitem(planted_search.SETTINGS, "robust_darts", settings)
    module = planted_search.search("robust_darts", tmp_path)
    assert module.strategy.is_over
    assert {row["epoch"] for row in rows(tmp_path / "alphas.csv")} == {"-1", "0", "1"}
    weights = {epoch: [w for e, w in alphas(tmp_path) if e == epoch] for epoch in ("0", "1")}
    assert weights["0"] == weights["1"]
    before = module.meter.gradient_steps
    again = planted_search.search("robust_darts", tmp_path)
    assert again.meter.gradient_steps == before
    assert again.found == module.found
    assert {row["epoch"] for row in rows(tmp_path / "alphas.csv")} == {"-1", "0", "1"}


def test_a_search_without_validation_batches_is_refused():
    strategy = one_shot("robust_darts")
    message = "strategy=robust_darts measures the curvature on a validation batch, .*, got 0; hold"
    with pytest.raises(ValueError, match=message):
        strategy.finish_epoch(0, PlainContext(strategy), [])


def test_too_few_epochs_are_told_once_and_stand_in_the_result(monkeypatch, caplog):
    strategy, *_ = searched(monkeypatch, [1.0] * 5, epochs=5, window=3, back=2, start=0.2)
    told = "a search of 5 epochs ends before eigenvalues can be compared"
    assert caplog.text.count(told) == 1
    (note,) = strategy.notes()
    assert note.startswith(told)


def test_epochs_that_are_enough_need_no_word(monkeypatch, caplog):
    strategy, *_ = searched(monkeypatch, [1.0] * 6, epochs=6, window=3, back=2, start=0.2)
    assert (strategy.notes(), caplog.text) == ([], "")
    strategy.record.eigenvalues.pop()  # as where the cap of samples ends the search
    (note,) = strategy.notes()
    assert note.startswith("a search cut short ends before eigenvalues can be compared")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"on_rise": "wait"}, "unknown strategy.on_rise 'wait'; choose from: stop, regularise"),
        ({"interval": 0.0}, r"strategy.interval \(0.0\) must be in \(0, 1\]; use e.g. 0.04"),
        ({"start": 1.0}, r"strategy.start \(1.0\) must be in \[0, 1\); use e.g. 0.2"),
        ({"window": 0}, r"strategy.window \(0\) must be at least 1; use e.g. 5"),
        ({"back": 0}, r"strategy.back \(0\) must be at least 1; use e.g. 4"),
        ({"ratio": 0.0}, r"strategy.ratio \(0.0\) must be in \(0, inf\); use e.g. 1.3"),
        ({"max_weight_decay": 0.0}, r"max_weight_decay \(0.0\) must be above 0; use e.g. 0.03"),
        ({"factor": 1.0}, r"strategy.factor \(1.0\) must be in \(1, inf\); use e.g. 10"),
        (
            {"on_rise": "regularise", "max_weight_decay": 0.0003},
            r"strategy.params_optimizer.weight_decay \(0.0003\) must be in \(0, 0.0003\); use e.g",
        ),
    ],
)
def test_settings_out_of_range_are_refused(more, message):
    with pytest.raises(ValueError, match=message):
        one_shot("robust_darts", **more)
