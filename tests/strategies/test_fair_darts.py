import json
from types import SimpleNamespace

import pytest
import torch
from plain_context import PlainContext, batch, one_shot, search

from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.fair_darts import zero_one_loss


def filled(strategy):
    with torch.no_grad():
        strategy.alpha.copy_(torch.linspace(-3, 3, strategy.alpha.numel()).view_as(strategy.alpha))
    return strategy


@pytest.mark.parametrize("phase", ["params", "alpha"])
def test_the_weights_are_sigmoids_of_alpha_that_do_not_compete(phase):
    strategy = filled(one_shot("fair_darts", NasBench201Space()))
    before = strategy.mixture(phase).weights.detach()
    torch.testing.assert_close(before, 1 / (1 + (-strategy.alpha.detach()).exp()))
    with torch.no_grad():
        strategy.alpha[0, 1] += 5.0
    changed = strategy.mixture(phase).weights != before
    assert changed.nonzero().tolist() == [[0, 1]]


def test_alphas_begin_at_zero_and_nothing_is_preferred():
    strategy = one_shot("fair_darts")
    assert not strategy.alpha.any()
    assert (strategy.scores().weights == 0.5).all()


def test_the_zero_one_loss_adds_its_gradient_in_closed_form():
    strategy = filled(one_shot("fair_darts", NasBench201Space(), zero_one=4.0)).double()
    context = SimpleNamespace(params={}, loss=lambda batch, mixture, _: 0.0 * mixture.weights.sum())
    loss = strategy.alpha_loss(batch(), strategy.mixture("alpha"), context)
    (gradient,) = torch.autograd.grad(loss, strategy.alpha)
    s = strategy.alpha.detach().sigmoid()
    expected = -4.0 / 24 * 2 * (s - 0.5) * s * (1 - s)  # six edges of four operations
    expected[:, 0] = 0.0  # "none" is not counted
    torch.testing.assert_close(gradient, expected)


def test_the_zero_one_loss_is_least_where_all_is_decided():
    decided = zero_one_loss(torch.tensor([[0.0, 1.0]]), torch.ones(1, 2, dtype=torch.bool))
    open_ = zero_one_loss(torch.tensor([[0.5, 0.5]]), torch.ones(1, 2, dtype=torch.bool))
    assert (decided, open_) == (-0.25, 0.0)


@pytest.mark.parametrize("space", [NasBench201Space(), DartsSpace(nodes=2, min_edges=0)])
def test_the_cost_of_sigmoids_is_the_sum_of_what_each_operation_costs_and_exact_at_one_hot(space):
    cost = space.cost(Scale(4, 3, input_shape=(3, 8, 8), num_outputs=4))
    strategy = filled(one_shot("fair_darts", space)).double()
    scores = strategy.scores()
    fixed = cost.of(type(scores)(torch.zeros_like(scores.weights), scores.support))["parameters"]
    alone = torch.zeros_like(scores.weights)
    for place in torch.ones_like(alone).nonzero().tolist():
        one = torch.zeros_like(alone)
        one[tuple(place)] = 1.0
        alone[tuple(place)] = cost.of(type(scores)(one, scores.support))["parameters"] - fixed
    expected = fixed + (alone * scores.weights).sum()
    torch.testing.assert_close(cost.of(scores)["parameters"], expected)
    genotype = space.sample(0)
    with torch.no_grad():  # sigmoids of exactly 0 and 1
        strategy.alpha.copy_(2000.0 * (space.mixture(genotype).weights - 0.5))
    counted = cost.of_child(space.mixture(genotype))["parameters"]
    assert cost.of(strategy.scores())["parameters"].item() == counted


def test_a_search_ends_with_the_edges_above_the_threshold():
    space = DartsSpace(nodes=2, min_edges=0)
    strategy = one_shot("fair_darts", space)
    with torch.no_grad():
        strategy.alpha[space.rows["normal/edge_0_2"], 4] = 3.0
        strategy.alpha[space.rows["reduction/edge_1_2"], 3] = 3.0
    genotype = strategy.derive()
    edges = {name: op for name, op in genotype.mapping.items() if "edge" in name}
    assert edges == {"normal/edge_0_2": "sep_conv_3x3", "reduction/edge_1_2": "skip_connect"}


def test_a_cut_path_is_told_with_its_cure(caplog):
    strategy = one_shot("fair_darts", DartsSpace(nodes=1, min_edges=0))
    genotype = strategy.derive()
    assert "nothing" in genotype.mapping.values()
    (message,) = caplog.messages
    assert message.startswith("the found genotype cuts every path from the image to the output: ")
    assert message.endswith(
        "lower strategy.threshold (0.85; the highest score is 0.5000) or search for more "
        "strategy.epochs"
    )


def test_a_space_that_keeps_its_edges_is_warned_of(caplog):
    one_shot("fair_darts", DartsSpace(nodes=1))
    (message,) = caplog.messages
    assert message.startswith("search space 'darts' cannot leave edges out: strategy.threshold do")
    assert "search_space.min_edges=0" in message
    caplog.clear()
    one_shot("fair_darts", NasBench201Space())
    assert not caplog.messages


def test_a_search_of_darts_cells_without_edges_moves_params():
    space = DartsSpace(nodes=1, min_edges=0)
    strategy = one_shot("fair_darts", space, epochs=2)
    context = PlainContext(strategy, space, Scale(4, 3, input_shape=(6, 8, 8), num_outputs=4))
    search(strategy, context, range(2), steps=1)
    assert (strategy.scores().weights != 0.5).any()
    assert space.validate(strategy.derive())


@pytest.mark.parametrize("seed", range(3))
def test_a_genotype_of_few_edges_is_one_like_any_other(seed):
    space = DartsSpace(nodes=2, min_edges=0)
    genotype = threshold_like(space, seed)
    again = type(genotype).from_json(genotype.to_json({}))
    assert (again, again.id) == (genotype, json.loads(genotype.to_json({}))["id"])
    assert space.decode(space.encode(genotype)) == genotype
    for other in (space.mutate(genotype, seed), space.crossover(genotype, space.sample(1), seed)):
        assert space.validate(other) == other
    assert space.discretize(space.mixture(genotype)) == genotype


def threshold_like(space, seed):
    strategy = one_shot("fair_darts", space, threshold=0.7)
    with torch.no_grad():
        strategy.alpha.copy_(torch.randn(strategy.alpha.shape, generator=strategy.rng))
        strategy.alpha.mul_(0.4 + 0.3 * seed)
    return strategy.derive()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 1.5}, r"strategy\.threshold \(1\.5\) must be in \[0, 1\]; use e\.g\. 0\.85"),
        ({"zero_one": -1.0}, r"strategy\.zero_one \(-1\.0\) must be at least 0; use e\.g\. 10"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        one_shot("fair_darts", **settings)
