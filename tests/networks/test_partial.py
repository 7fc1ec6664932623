from dataclasses import replace
from random import Random

import pytest
import torch
import torch.nn.functional as F

from nas_lightning.core.choices import Branch, Factor
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import child_cost, inherit
from nas_lightning.networks.cell import Cell
from nas_lightning.networks.operations import Skip
from nas_lightning.networks.partial import BYPASS, Bypass, shuffled
from nas_lightning.networks.state import State
from nas_lightning.search_spaces.darts import DartsSpace

SCALE = Scale(8, 3, partial=4, input_shape=(3, 9, 8), num_outputs=3)
SPACE = DartsSpace(nodes=2)


def test_a_shuffle_deals_the_groups_out_in_turn():
    x = torch.arange(8.0).view(1, 8, 1, 1)
    assert shuffled(x, 4).flatten().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]


def test_operations_read_the_first_quarter_and_the_bypass_carries_the_others_by_its_weight():
    double = Skip()
    branches = (
        Branch(0, 1, "skip_connect", (Factor(0, (0.0, 1.0)),)),
        Branch(0, 1, BYPASS, (Factor(0, (1.0, 1.0)),)),
    )
    cell = Cell(
        branches,
        lambda b: Bypass(1) if b.op == BYPASS else double,
        [Skip()],
        2,
        [1],
        8,
        1,
        partial=4,
    )
    x = torch.randn(2, 8, 3, 3)
    weights = {branches[0].key: torch.tensor(0.3), branches[1].key: torch.tensor(0.9)}
    expected = shuffled(torch.cat([0.3 * x[:, :2], 0.9 * x[:, 2:]], dim=1), 4)
    torch.testing.assert_close(cell([State(x)], weights).x, expected)


def test_the_bypass_of_a_reduction_is_max_pooling_that_keeps_odd_edges():
    x = torch.randn(1, 2, 5, 4)
    torch.testing.assert_close(
        Bypass(2)(State(x)), F.max_pool2d(F.pad(x, (0, 0, 0, 1), value=-9), 2)
    )


def test_the_search_network_has_the_params_of_the_official_code():
    scale = Scale(16, 8, partial=4, input_shape=(3, 32, 32), num_outputs=10)
    with torch.device("meta"):
        network = DartsSpace().supernet(scale)
    assert sum(p.numel() for p in network.parameters()) == 299_578


@pytest.mark.parametrize("training", [True, False])
def test_one_hot_supernet_with_partial_channels_is_the_inherited_child(training):
    supernet, genotype = SPACE.supernet(SCALE), SPACE.sample(Random(3))
    child = SPACE.child(genotype, SCALE)
    inherit(child, supernet)
    supernet.train(training), child.train(training)
    x = torch.randn(4, 3, 9, 8)
    assert torch.equal(supernet(x, SPACE.mixture(genotype)), child(x))


def test_partial_channels_cost_what_the_child_with_partial_channels_costs():
    genotype = SPACE.sample(Random(4))
    assert SPACE.cost(SCALE).of_child(SPACE.mixture(genotype)) == child_cost(SPACE, genotype, SCALE)


def test_parts_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(
        ValueError,
        match=r"scale.partial \(3; .* must be at least 1 and divide scale.channels \(8\)",
    ):
        replace(SCALE, partial=3)
