"""The gradients of GDAS on NAS-Bench-201's space, against a plain arrangement of the network."""

import pytest
import torch
import torch.nn.functional as F
from plain_context import one_shot
from plain_darts import copy_params
from plain_nasbench201 import PlainSearchNetwork, straight_through
from planted_problem.spaces import PlantedCells, PlantedLayers

from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.nasbench201 import NasBench201Space

SPACE, TAU = NasBench201Space(), 3.0
SCALE = Scale(4, 5, input_shape=(3, 8, 8), num_outputs=4)
ROUNDING = {"rtol": 1e-9, "atol": 1e-12}  # float64; sums in another order


def batch():
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(6, 3, 8, 8, generator=rng, dtype=torch.float64)
    return x, torch.randint(4, (6,), generator=rng)


def both(gradient, seed, adds):
    """Returns loss and gradients (alphas first, then params) of our search and the plain one."""
    torch.manual_seed(seed)
    mine = SPACE.supernet(SCALE).double()
    plain = PlainSearchNetwork(4, 3, 4).double()
    copy_params(plain, mine)
    strategy = one_shot("gdas", SPACE, seed=seed, tau_start=TAU, gradient=gradient).double()
    rng = torch.Generator()
    rng.set_state(strategy.rng.get_state())
    noise = -(-torch.rand(strategy.alpha.shape, generator=rng, dtype=torch.float64).log()).log()
    alpha = strategy.alpha.detach().clone().requires_grad_()
    x, targets = batch()
    logits = plain(x, *straight_through(alpha, noise, TAU), adds)
    found = F.cross_entropy(mine(x, strategy.mixture("alpha")), targets)
    wanted = F.cross_entropy(logits, targets)
    return [
        (loss.detach(), *torch.autograd.grad(loss, [a, *net.parameters()], allow_unused=True))
        for loss, a, net in ((found, strategy.alpha, mine), (wanted, alpha, plain))
    ]


@pytest.mark.parametrize("gradient", ["sampled", "added"])
@pytest.mark.parametrize("seed", range(3))
def test_loss_and_gradients_are_those_of_the_plain_network(gradient, seed):
    found, wanted = both(gradient, seed, adds=gradient == "added")
    for mine, theirs in zip(found, wanted, strict=True):
        if mine is None:  # nothing enters a state of ours whose edges all have "none"
            assert theirs is None or not theirs.any()
        else:
            torch.testing.assert_close(mine, theirs, **ROUNDING)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_added_scales_the_gradient_of_an_edge_and_leaves_its_direction(seed):
    (_, mine, *_), (_, theirs, *_) = both("sampled", seed, adds=True)
    runs = mine.abs().sum(dim=1) > 0  # an edge of "none" has no gradient of its own
    assert runs.any()
    cosine = F.cosine_similarity(mine[runs], theirs[runs])
    torch.testing.assert_close(cosine.abs(), torch.ones_like(cosine), **ROUNDING)


def test_numbers_are_added_to_cells_of_edges_alone():
    message = r"search space 'planted_layers' has no cells of edges, on which strategy.gradient=add"
    with pytest.raises(ValueError, match=message):
        one_shot("gdas", PlantedLayers(), gradient="added")
    one_shot("gdas", PlantedCells(), gradient="added")
    with pytest.raises(ValueError, match=r"strategy.gradient 'paper'; choose from: sampled, added"):
        one_shot("gdas", gradient="paper")
