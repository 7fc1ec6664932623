import math

import pytest
import torch
from plain_context import PlainContext, one_shot, search

from nas_lightning.core.scale import Scale
from nas_lightning.networks.cell import branch_weights
from nas_lightning.networks.operations import FactorizedReduction, Skip
from nas_lightning.networks.state import State
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space

SCALE = Scale(4, 3, input_shape=(3, 8, 8), num_outputs=2)


def at_epoch(epoch, space, **more):
    strategy = one_shot("darts_minus", space, epochs=5, **more)
    strategy.start_epoch(epoch)
    return strategy


def with_auxiliary_skips(cell, branches, weights, beta, x):
    """The states of a cell by the paper's equation: beta * x beside the mixture of each edge."""
    states = [x]
    for target in range(1, 4):
        total = beta * sum(states)
        for branch in (b for b in branches if b.target == target):
            total = total + weights[branch.key] * cell.ops[branch.key](State(states[branch.source]))
        states.append(total)
    return states


def test_a_cell_adds_beta_times_each_input_to_the_softmax_mixture_of_its_edge():
    space = NasBench201Space()
    strategy = at_epoch(1, space).double()
    torch.manual_seed(0)
    network = space.supernet(SCALE).double()
    cell, branches = network.cells[0], network.branches
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    mixed = cell.states([State(x)], branch_weights(branches, strategy.mixture("alpha")))
    plain = branch_weights(branches, strategy.scores())
    expected = with_auxiliary_skips(cell, branches, plain, 0.75, x)
    for mine, theirs in zip(mixed, expected, strict=True):
        torch.testing.assert_close(mine.x, theirs)


def test_skips_of_stride_1_have_no_params_and_those_of_stride_2_share_the_edges_own():
    network = DartsSpace(nodes=1).supernet(SCALE)
    ops = [cell.ops["0_2_skip_connect"] for cell in network.cells]
    assert {type(op) for op in ops} == {Skip, FactorizedReduction}
    assert not list(Skip().parameters())


@pytest.mark.parametrize("phase", ["params", "alpha"])
def test_a_row_weighs_one_and_beta_and_its_softmax_is_untouched(phase):
    strategy = at_epoch(2, DartsSpace(nodes=2), beta=0.6)
    added = strategy.mixture(phase).weights - strategy.scores().weights
    column = DartsSpace(nodes=2).choices[0].options.index("skip_connect")
    expected = torch.zeros_like(added)
    expected[:, column] = 0.3
    torch.testing.assert_close(added, expected, atol=1e-7, rtol=0)  # of one rounding
    assert strategy.mixture(phase).weights.requires_grad == (phase == "alpha")


@pytest.mark.parametrize(
    ("decay", "betas"),
    [
        ("linear", [1.0, 0.75, 0.5, 0.25, 0.0]),
        ("cosine", [1.0, (2 + math.sqrt(2)) / 4, 0.5, (2 - math.sqrt(2)) / 4, 0.0]),
    ],
)
def test_beta_falls_to_zero_in_the_last_epoch(decay, betas):
    strategies = [at_epoch(epoch, NasBench201Space(), decay=decay) for epoch in range(5)]
    assert [strategy.beta_now for strategy in strategies] == pytest.approx(betas, abs=1e-15)


def test_without_beta_a_search_has_the_bits_of_darts():
    ends = []
    for name, more in (("darts_minus", {"beta": 0.0}), ("darts", {})):
        strategy = one_shot(name, NasBench201Space(), epochs=2, **more)
        context = PlainContext(strategy, NasBench201Space())
        search(strategy, context, range(2), steps=1)
        ends.append([strategy.alpha.detach(), *(p.detach() for p in context.params.values())])
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(*ends, strict=True))


def test_a_space_without_skips_is_warned_of(caplog):
    one_shot("darts_minus")
    assert caplog.messages == [
        "search space 'planted_cells' has no skip_connect: strategy.beta and decay do nothing"
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beta": -1.0}, r"strategy\.beta \(-1\.0\) must be at least 0; use e\.g\. 1\.0"),
        ({"decay": "fast"}, "unknown strategy.decay 'fast'; choose from: linear, cosine"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        one_shot("darts_minus", **settings)
