"""A search that collapses to operations without parameters is warned of."""

import logging

import pytest
from torch import nn

from nas_lightning.callbacks.collapse import CollapseSentinel, parameter_free_share
from nas_lightning.core.decisions import Decision
from nas_lightning.strategies.random_sharing import RandomSharing

DECISIONS = [
    *(Decision(name, ("skip_connect", "sep_conv_3x3"), "op") for name in "abcd"),
    Decision("inputs", ("0+1", "0+2"), "input"),
]


def test_the_share_counts_operations_without_parameters_alone():
    chosen = {"a": "skip_connect", "b": "max_pool_3x3", "c": "sep_conv_3x3", "inputs": "0+1"}
    assert parameter_free_share(DECISIONS, chosen) == pytest.approx(2 / 3)


def test_the_operations_of_a_pair_count_one_by_one():
    chosen = {"a": "avg_pool_3x3+conv_3x3", "b": "max_pool_7x7+sep_conv_3x3"}
    assert parameter_free_share(DECISIONS, chosen) == pytest.approx(1 / 2)


def test_a_genotype_without_operations_has_share_0():
    assert parameter_free_share(DECISIONS, {"inputs": "0+1"}) == 0


@pytest.mark.parametrize(("op", "warns"), [("skip_connect", True), ("sep_conv_3x3", False)])
def test_a_collapsed_search_is_warned_of_at_its_end(op, warns, trainer, module, caplog):
    module.strategy.alpha.data[:, module.space.ops.index(op)] = 9.0
    with caplog.at_level(logging.WARNING):
        CollapseSentinel(share=0.6).on_train_end(trainer, module)
    assert ("100 % of the preferred operations have no parameters" in caplog.text) == warns


def test_uniform_paths_have_not_collapsed(trainer, module, caplog):
    module.strategy = RandomSharing(module.space, seed=0)
    with caplog.at_level(logging.WARNING):
        CollapseSentinel(share=0.6).on_train_end(trainer, module)
    assert caplog.text == ""


def test_the_training_of_a_child_is_no_search(trainer, caplog):
    CollapseSentinel().on_train_end(trainer, nn.Linear(1, 1))
    assert caplog.text == ""


@pytest.mark.parametrize("share", [0, 1.5])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match=rf"callbacks\.collapse\.share \({share}\) must be in"):
        CollapseSentinel(share)
