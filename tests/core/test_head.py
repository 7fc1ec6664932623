"""The head of a child is what follows the number of outputs."""

import pytest
import torch
from torch import nn

from nas_lightning.core.head import head_tensors, load_params
from nas_lightning.core.scale import Scale
from nas_lightning.networks.markers import Optional
from nas_lightning.search_spaces.chain import ChainSpace
from nas_lightning.search_spaces.custom import CustomSpace
from nas_lightning.search_spaces.darts import DartsSpace

SCALE = Scale(channels=4, cells=3, flavour="child", input_shape=(3, 32, 32), num_outputs=10)


def test_the_head_of_a_cell_network_is_its_classifier():
    space = DartsSpace()
    assert head_tensors(space, space.sample(0), SCALE) == ("classifier.weight", "classifier.bias")


def test_the_head_of_a_chain_is_what_makes_its_logits():
    space = ChainSpace()
    names = head_tensors(space, space.sample(0), SCALE)
    assert names[0] == "bias"
    assert {name.split(".")[0] for name in names[1:]} == {"heads"}


def test_a_network_without_a_head_is_refused():
    space = CustomSpace(lambda: nn.Sequential(Optional("a", nn.Linear(3, 3))), scale=SCALE)
    with pytest.raises(ValueError, match=r"'custom' must build children of num_outputs outputs"):
        head_tensors(space, space.sample(0), SCALE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": torch.zeros(2, 4)}, r"is weight: \(2, 4\) there, \(2, 3\) here"),
        ({"bias": None}, r"is bias: none there, \(2,\) here"),
        ({"more": torch.zeros(5)}, r"is more: \(5,\) there, none here"),
    ],
)
def test_the_first_tensor_that_differs_is_named(change, message):
    given = {"weight": torch.zeros(2, 3), "bias": torch.zeros(2), **change}
    with pytest.raises(ValueError, match=message):
        load_params(nn.Linear(3, 2), {k: v for k, v in given.items() if v is not None}, ())


def test_what_is_left_keeps_its_params():
    layer = nn.Linear(3, 2)
    bias = layer.bias.clone()
    load_params(layer, {"weight": torch.ones(2, 3), "bias": torch.ones(5)}, ["bias"])
    assert torch.equal(layer.weight, torch.ones(2, 3))
    assert torch.equal(layer.bias, bias)
