"""A search that collapses to operations without parameters is warned of, once, and may be ended."""

import logging
from functools import partial
from types import SimpleNamespace

import planted_search
import pytest
import torch
from command import rows
from torch import nn

from nas_lightning.callbacks.collapse import (
    CollapseSentinel,
    is_before_collapse,
    parameter_free_share,
)
from nas_lightning.callbacks.epoch_logs import MetricsLog
from nas_lightning.config.paths import config_dir
from nas_lightning.core.decisions import Decision
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.random_sharing import RandomSharing

DECISIONS = [
    *(Decision(name, ("skip_connect", "sep_conv_3x3"), "op") for name in "abcd"),
    Decision("inputs", ("0+1", "0+2"), "input"),
]
NOISE = partial(DartsSpace, 1, ("noise", "sep_conv_3x3"))


def test_the_share_counts_operations_without_parameters_alone():
    chosen = {"a": "skip_connect", "b": "max_pool_3x3", "c": "sep_conv_3x3", "inputs": "0+1"}
    assert parameter_free_share(DECISIONS, chosen) == pytest.approx(2 / 3)


def test_the_share_of_skips_counts_them_alone():
    chosen = {"a": "skip_connect", "b": "max_pool_3x3", "c": "noise", "d": "sep_conv_3x3"}
    assert parameter_free_share(DECISIONS, chosen, ("skip_connect",)) == pytest.approx(1 / 4)


def test_the_operations_of_a_pair_count_one_by_one():
    chosen = {"a": "avg_pool_3x3+conv_3x3", "b": "max_pool_7x7+sep_conv_3x3"}
    assert parameter_free_share(DECISIONS, chosen) == pytest.approx(1 / 2)


def test_a_genotype_without_operations_has_share_0():
    assert parameter_free_share(DECISIONS, {"inputs": "0+1"}) == 0


@pytest.fixture
def epochs(trainer, module):
    """Lets a sentinel see epochs, in each of which one operation is preferred everywhere."""
    trainer.should_stop, trainer.max_epochs = False, 9
    even = torch.zeros_like(module.strategy.alpha)

    def see(sentinel, *ops, first=0):
        if first == 0:
            module.strategy.alpha.data = even.clone()
            sentinel.on_train_start(trainer, module)
        for trainer.current_epoch, op in enumerate(ops, first):
            module.strategy.alpha.data = even.clone()
            if op is not None:
                module.strategy.alpha.data[:, module.space.ops.index(op)] = 9.0
            sentinel.on_train_epoch_end(trainer, module)
        return sentinel

    return see


CONV, SKIP, POOL = "sep_conv_3x3", "skip_connect", "max_pool_3x3"


def test_a_collapse_is_warned_of_once_with_its_reason_and_a_cure(epochs, caplog):
    with caplog.at_level(logging.WARNING):
        found = epochs(CollapseSentinel(), CONV, SKIP, SKIP, SKIP)
    (told,) = [record.message for record in caplog.records]
    assert (
        "since epoch 1 (0-based) more than 60% of the preferred operations have no parameters"
        in told
    )
    assert "now 100% (100% are skips), the entropy of the weights is 0.0" in told
    assert "try a strategy that holds against it (e.g. strategy=robust_darts" in told
    assert (found.collapse["epoch"], found.collapse["seen"]) == (1, 2)


def test_the_cure_names_strategies_that_there_are(epochs, caplog):
    with caplog.at_level(logging.WARNING):
        epochs(CollapseSentinel(), SKIP, SKIP)
    named = [word.strip("(),") for word in caplog.text.split() if "strategy=" in word]
    files = [config_dir() / "strategy" / f"{word.partition('=')[2]}.yaml" for word in named]
    assert len(files) >= 2
    assert all(file.is_file() for file in files)


def test_a_collapse_of_one_epoch_is_none(epochs):
    assert epochs(CollapseSentinel(), SKIP, CONV, POOL, CONV).collapse is None


def test_in_the_last_epoch_one_is_enough(epochs, trainer):
    trainer.max_epochs = 3
    found = epochs(CollapseSentinel(), CONV, CONV, POOL)
    assert found.collapse["epoch"] == 2
    assert found.collapse["genotype_skip_share"] == 0


def test_epochs_in_which_no_preference_has_formed_do_not_count(epochs, module):
    module.strategy.alpha.data += 1e-3 * torch.randn_like(module.strategy.alpha)
    assert epochs(CollapseSentinel(share=0.1), None, None, None).collapse is None


def test_a_search_that_is_resumed_knows_the_row_of_epochs(epochs):
    past, resumed = epochs(CollapseSentinel(), CONV, SKIP), CollapseSentinel()
    resumed.load_state_dict(past.state_dict())
    assert epochs(resumed, SKIP, first=2).collapse["epoch"] == 1


@pytest.mark.parametrize("stops", [False, True])
def test_a_collapsed_search_is_ended_where_that_is_wanted(epochs, trainer, stops):
    sentinel = CollapseSentinel()
    sentinel.stops = stops
    epochs(sentinel, SKIP, SKIP)
    assert trainer.should_stop == stops


def test_a_search_that_was_ended_ends_again_when_it_is_resumed(epochs, trainer, module):
    past, resumed = epochs(CollapseSentinel(), SKIP, SKIP), CollapseSentinel()
    resumed.load_state_dict(past.state_dict())
    resumed.stops = True
    resumed.on_train_start(trainer, module)
    assert trainer.should_stop


def test_epochs_before_a_collapse_are_those_before_its_first_sign(epochs, trainer):
    sentinel = CollapseSentinel()
    trainer.callbacks = [SimpleNamespace(), sentinel]
    seen = []
    for epoch, op in enumerate((CONV, SKIP, CONV, POOL, SKIP, CONV)):
        epochs(sentinel, *[CONV] * epoch, op) if epoch == 0 else epochs(sentinel, op, first=epoch)
        seen.append(is_before_collapse(trainer))
    assert seen == [True, False, True, False, False, False]


def test_uniform_paths_have_not_collapsed(trainer, module):
    module.strategy, trainer.max_epochs = RandomSharing(module.space, seed=0), 1
    trainer.should_stop = False
    sentinel = CollapseSentinel()
    sentinel.on_train_epoch_end(trainer, module)
    assert sentinel.collapse is None


def test_the_training_of_a_child_is_no_search(trainer):
    sentinel = CollapseSentinel()
    for hook in (sentinel.on_train_start, sentinel.on_validation_epoch_end):
        hook(trainer, nn.Linear(1, 1))
    sentinel.on_train_epoch_end(trainer, nn.Linear(1, 1))
    assert sentinel.collapse is None


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("share", 0, r"must be in \(0, 1\]"),
        ("share", 1.5, r"must be in \(0, 1\]"),
        ("patience", 0, "must be at least 1"),
        ("path_every", 0, "must be at least 1"),
        ("eigenvalue_every", 0, "must be at least 1"),
    ],
)
def test_a_value_out_of_range_is_refused(name, value, rule):
    with pytest.raises(ValueError, match=rf"callbacks\.collapse\.{name} \({value}\) {rule}"):
        CollapseSentinel(**{name: value})


EIGENVALUES = {"darts": 2}  # epochs between two of them, of strategies that have alphas


@pytest.fixture(
    scope="module",
    params=[("darts", NOISE), ("drnas", None), ("enas", None)],
    ids=lambda param: param[0],
)
def searches(request, tmp_path_factory):
    """The folders of two searches, of which a sentinel watches the second; their modules."""
    name, space = request.param
    watched = [CollapseSentinel(0.1, 1, 1, EIGENVALUES.get(name))]
    found = []
    with pytest.MonkeyPatch.context() as patch:
        if space is not None:
            patch.setitem(planted_search.SPACES, name, space)
        for sentinels in ([], watched):
            folder = tmp_path_factory.mktemp(name)
            log = MetricsLog(folder / "metrics.csv")
            module = planted_search.search(name, folder, [*sentinels, log], epochs=3)
            found.append((folder, module))
    return found


def test_a_search_that_is_watched_ends_with_the_same_bits(searches):
    (alone, module), (watched, other) = searches
    mine, theirs = module.state_dict(), other.state_dict()
    assert [name for name in mine if not _is_same(mine[name], theirs[name])] == []
    assert (alone / "alphas.csv").read_bytes() == (watched / "alphas.csv").read_bytes()
    assert module.found == other.found
    before = rows(alone / "metrics.csv")
    assert [{k: row[k] for k in before[0]} for row in rows(watched / "metrics.csv")] == before


def test_the_path_is_measured_as_often_as_it_is_wanted(searches):
    watched = rows(searches[1][0] / "metrics.csv")
    values = [float(row["search/discretized_validation_accuracy"]) for row in watched]
    assert len(values) == 3
    assert all(0 <= value <= 1 for value in values)


def test_the_curvature_is_measured_where_that_is_wanted(searches):
    first, second, _ = rows(searches[1][0] / "metrics.csv")
    if EIGENVALUES.get(searches[1][1].strategy.__class__.__name__.lower()):
        assert first["search/dominant_eigenvalue"] == ""
        assert abs(float(second["search/dominant_eigenvalue"])) > 0
    else:
        assert "search/dominant_eigenvalue" not in first


def _is_same(one, other):
    if isinstance(one, dict):
        return all(torch.equal(one[key], other[key]) for key in one)
    return torch.equal(one, other)
