from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from plain_context import PlainContext, batch, one_shot
from plain_darts import copy_params
from plain_pc_darts import PartialSupernet
from planted_problem.spaces import PlantedLayers

from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.enas_macro import EnasMacroSpace
from nas_lightning.strategies.pc_darts import normalised_edges, same_group

SPACE = DartsSpace(nodes=2)
SCALE = Scale(8, 3, input_shape=(6, 8, 8), num_outputs=4)
ROUNDING = {"rtol": 1e-9, "atol": 1e-12}  # float64; sums in another order


def test_edges_are_a_softmax_of_beta_over_the_edges_of_a_node():
    beta = torch.tensor([0.3, -0.1, 1.0, 0.2, 0.5])
    weights = normalised_edges(beta, same_group(["a", "a", "b", "b", "b"]))
    expected = torch.cat([beta[:2].softmax(0), beta[2:].softmax(0)])
    torch.testing.assert_close(weights, expected)


def test_weights_are_alphas_softmax_times_the_edges_softmax():
    strategy = one_shot("pc_darts", SPACE)
    with torch.no_grad():
        strategy.beta.copy_(torch.arange(float(len(strategy.beta))) / 10)
    together = same_group([choice.group for choice in SPACE.choices])
    edges = normalised_edges(strategy.beta, together)
    expected = strategy.alpha.softmax(-1) * edges[:, None]
    torch.testing.assert_close(strategy.mixture("alpha").weights, expected)
    torch.testing.assert_close(strategy.scores().weights.sum(1), edges)


@pytest.mark.parametrize("space", [PlantedLayers(), EnasMacroSpace(layers=3)])
def test_an_operation_and_its_skips_do_not_compete(space):
    strategy = one_shot("pc_darts", space)
    rows = strategy.mixture("alpha").weights.sum(dim=1)
    torch.testing.assert_close(rows, torch.ones(len(space.choices)))


def test_the_genotype_ranks_edges_by_alpha_times_beta():
    strategy = one_shot("pc_darts", SPACE)
    names = [choice.name for choice in SPACE.choices]
    with torch.no_grad():
        strategy.beta[names.index("normal/edge_1_3")] = 3.0
        strategy.beta[names.index("normal/edge_2_3")] = 2.0
    assert strategy.derive(None, []).mapping["normal/node_3/inputs"] == "1+2"


def test_the_bypass_is_weighted_by_its_edges_beta():
    strategy = one_shot("pc_darts", SPACE)
    context = PlainContext(strategy, SPACE, SCALE)
    (expected,) = torch.autograd.grad(
        context.loss(batch(), strategy.mixture("alpha")), strategy.beta
    )
    assert (expected != 0).all()


def test_loss_and_gradients_are_those_of_the_plain_network():
    space = DartsSpace()
    strategy = one_shot("pc_darts", space).double()
    with torch.no_grad():
        for logits in strategy.parameters():
            logits.mul_(300.0)
    torch.manual_seed(0)
    mine = space.supernet(strategy.stage(0).of(SCALE)).double()
    plain = PartialSupernet(SCALE.channels, SCALE.cells, 6, 4).double()
    copy_params(plain, mine)
    x, targets = batch()[0].double(), batch()[1]
    logits, taken = [strategy.alpha, strategy.beta], []
    for network, weights in ((mine, [strategy.mixture("alpha")]), (plain, logits)):
        loss = F.cross_entropy(network(x, *weights), targets)
        gradients = torch.autograd.grad(loss, [*logits, *network.parameters()])
        taken.append([loss.detach(), *gradients])
    for found, wanted in zip(*taken, strict=True):
        torch.testing.assert_close(found, wanted, **ROUNDING)


def test_alphas_stand_still_while_the_params_get_warm():
    strategy = one_shot("pc_darts", SPACE, epochs=10)
    context = PlainContext(strategy, SPACE, SCALE)
    for epoch, steps in ((2, ["params"]), (3, ["alpha", "params"])):
        context.taken.clear()
        strategy.start_epoch(epoch)
        strategy.search_step(batch(), batch(seed=2), context)
        assert [which for which, _, _ in context.taken] == steps


def test_the_supernet_is_built_with_partial_channels():
    assert one_shot("pc_darts", SPACE).stage(3).of(SCALE).partial == 4


@pytest.mark.parametrize("phase", ["params", "alpha"])
@pytest.mark.parametrize("partial", [1, 2])
def test_a_supernet_of_other_partial_channels_is_refused(partial, phase):
    strategy = one_shot("pc_darts", SPACE)
    supernet = SPACE.supernet(replace(SCALE, partial=partial))
    message = (
        rf"is for a supernet of scale.partial=4, got one of {partial}; build it with "
        r"space.supernet\(strategy.stage\(epoch\).of\(scale\)\)"
    )
    with pytest.raises(ValueError, match=message):
        supernet(batch()[0], strategy.mixture(phase))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"warmup": 1.0}, r"strategy.warmup \(1.0\) must be in \[0, 1\)"),
        ({"partial": 4}, "'planted_cells' has no partial channels, strategy.partial is 4; set st"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        one_shot("pc_darts", **settings)
