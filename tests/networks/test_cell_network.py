from random import Random

import pytest
import torch

from nas_lightning.networks.cell import DropPath
from nas_lightning.search_spaces.chain import ChainSpace
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.enas_macro import EnasMacroSpace
from nas_lightning.search_spaces.enas_micro import EnasMicroSpace
from nas_lightning.search_spaces.mobile import MobileSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space

SPACES = [ChainSpace, DartsSpace, EnasMacroSpace, EnasMicroSpace, MobileSpace, NasBench201Space]


def child_of(space):
    torch.manual_seed(0)
    return space.child(space.sample(Random(1)), space.scale.of_data((3, 16, 16), 4))


@pytest.mark.parametrize("space", [DartsSpace, EnasMicroSpace])
def test_a_network_without_an_auxiliary_head_says_so(space):
    message = r"the network has no auxiliary head \(scale.auxiliary is false\); build it with"
    with pytest.raises(ValueError, match=message):
        child_of(space()).forward_auxiliary(torch.randn(2, 3, 16, 16))


@pytest.mark.parametrize("space", SPACES)
def test_no_network_drops_paths_outside_training(space):
    child, x = child_of(space()).eval(), torch.randn(4, 3, 16, 16)
    assert torch.equal(child(x, drop_path=DropPath(0.9)), child(x))
