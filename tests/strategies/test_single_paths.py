"""Strategies that run one path: forward and gradient against a network that runs everything."""

import pytest
import torch
import torch.nn.functional as F
from plain_context import batch, one_shot
from plain_darts import PlainSupernet, copy_params

from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.darts import DartsSpace

NODES = 2
SPACE = DartsSpace(NODES)
SCALE = Scale(4, 3, input_shape=(6, 8, 8), num_outputs=4)
ROUNDING = {"rtol": 1e-9, "atol": 1e-12}  # float64; sums in another order


@pytest.mark.parametrize("name", ["enas", "gdas", "proxyless", "random_sharing"])
def test_a_single_path_is_the_plain_networks_with_all_other_weights_zero(name):
    torch.manual_seed(0)
    mine, plain = SPACE.supernet(SCALE).double(), PlainSupernet(4, 3, 6, 4, NODES).double()
    copy_params(plain, mine)
    mixture = one_shot(name, SPACE).double().mixture("params")
    weights = mixture.weights.double()
    assert max(map(len, mixture.support)) == 1
    x, targets = batch()[0].double(), batch()[1]
    found = F.cross_entropy(mine(x, mixture.to(x)), targets)
    wanted = F.cross_entropy(plain.run(x, weights), targets)
    torch.testing.assert_close(found, wanted, **ROUNDING)
    theirs = torch.autograd.grad(wanted, list(plain.parameters()), allow_unused=True)
    ours = torch.autograd.grad(found, list(mine.parameters()), allow_unused=True)
    for own, full in zip(ours, theirs, strict=True):
        torch.testing.assert_close(torch.zeros_like(full) if own is None else own, full, **ROUNDING)
