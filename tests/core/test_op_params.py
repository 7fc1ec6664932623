import pytest
import torch
from torch import nn

from nas_lightning.core.choices import Choice
from nas_lightning.core.op_params import op_params
from nas_lightning.core.scale import Scale
from nas_lightning.networks.markers import OneOf
from nas_lightning.search_spaces.chain import ChainSpace
from nas_lightning.search_spaces.enas_macro import EnasMacroSpace
from nas_lightning.search_spaces.enas_micro import EnasMicroSpace
from nas_lightning.search_spaces.mobile import MobileSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space

SCALE = Scale(4, 3, input_shape=(3, 32, 32), num_outputs=5)


def params_of(space):
    with torch.device("meta"):
        return op_params(space.supernet(SCALE), space.choices)


def test_an_operation_is_one_edges_in_one_cell():
    convolutions = ("nor_conv_1x1", "nor_conv_3x3")
    edges = ("0_1", "0_2", "1_2", "0_3", "1_3", "2_3")
    wanted = {f"cells.0.ops.{edge}_{op}" for edge in edges for op in convolutions}
    found = params_of(NasBench201Space())
    assert found.keys() == wanted
    for name, params in found.items():
        assert params == (f"{name}.layers.0.weight", f"{name}.layers.0.bias")


@pytest.mark.parametrize("space", [EnasMicroSpace(blocks=1), EnasMacroSpace()])
def test_what_carries_and_joins_states_is_no_operation(space):
    names = {name.rpartition(".")[2] for name in params_of(space)}
    assert names
    assert all("conv" in name or "pool" in name for name in names)


@pytest.mark.parametrize("space", [ChainSpace(), MobileSpace()])
def test_options_that_share_params_are_no_operations(space):
    assert params_of(space) == {}


def test_a_param_belongs_to_the_innermost_of_operations_that_lie_in_each_other():
    inner = OneOf("inner", {"a": nn.Linear(2, 2, bias=False), "b": nn.Identity()})
    network = OneOf("outer", {"c": nn.Sequential(inner, nn.Linear(2, 2)), "d": nn.Identity()})
    network.row, inner.row = 0, 1
    choices = [Choice("outer", ("c", "d"), "op", "x"), Choice("inner", ("a", "b"), "op", "x")]
    assert op_params(network, choices) == {
        "parts.c.0.parts.a": ("parts.c.0.parts.a.weight",),
        "parts.c": ("parts.c.1.weight", "parts.c.1.bias"),
    }
