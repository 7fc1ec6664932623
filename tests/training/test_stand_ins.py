"""Tensors in the places of params for a pass."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from nas_lightning.training.stand_ins import StandIns


def tied():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    network[2].weight = network[0].weight
    return network


def test_a_pass_is_that_of_a_functional_call_tied_params_included():
    network, x = tied(), torch.randn(2, 3)
    tensors = {"0.weight": torch.randn(3, 3), "2.bias": torch.randn(3)}
    with StandIns(network).replaced(tensors):
        out = network(x)
    assert torch.equal(out, functional_call(network, tensors, x))


def test_params_are_back_after_the_block_also_where_it_fails():
    network = tied()
    before = list(network.named_parameters(remove_duplicate=False))
    for error in (None, RuntimeError):
        try:
            with StandIns(network).replaced({"0.weight": torch.zeros(3, 3)}):
                assert not network[2].weight.any()
                if error:
                    raise error
        except RuntimeError:
            pass
        after = list(network.named_parameters(remove_duplicate=False))
        assert all(a[0] == b[0] and a[1] is b[1] for a, b in zip(before, after, strict=True))


def test_a_name_that_is_no_param_is_refused():
    with pytest.raises(KeyError), StandIns(tied()).replaced({"3.weight": torch.zeros(1)}):
        pass
