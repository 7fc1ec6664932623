import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nas_lightning.core.choices import Factor, may_run
from nas_lightning.networks.operations import FactorizedReduction, relu_conv_norm
from nas_lightning.networks.state import State
from nas_lightning.search_spaces.block_network import LooseEnds, unread

SIZES = {2: 3, 5: 4, 6: 2}  # channels by state


def states(numbers):
    rng = torch.Generator().manual_seed(0)
    images = {
        n: torch.randn(2, channels, 5, 4, generator=rng, dtype=torch.float64)
        for n, channels in SIZES.items()
    }
    return {n: State(images[n]) for n in numbers}


def projection(make):
    layers = {n: make(channels, 3, None) for n, channels in SIZES.items()}
    return LooseEnds(layers, nn.Identity(), dict.fromkeys(SIZES, ())).double()


@pytest.mark.parametrize("there", [(2, 5, 6), (5, 6), (6,)])
def test_the_projection_is_the_convolution_of_the_concatenation(there):
    ends, inputs = projection(relu_conv_norm), states(there)
    weight = torch.cat([ends.layers[str(n)].layers[0].weight for n in there], dim=1)
    wanted = F.conv2d(F.relu(torch.cat([inputs[n].x for n in there], dim=1)), weight)
    torch.testing.assert_close(ends(inputs), wanted, rtol=1e-12, atol=1e-12)


def test_the_halving_projection_is_that_of_the_concatenation():
    ends, inputs = projection(FactorizedReduction), states(SIZES)
    whole = FactorizedReduction(sum(SIZES.values()), 3, None).double()
    with torch.no_grad():
        for name in ("even", "odd"):
            weights = [getattr(layer, name).weight for layer in ends.layers.values()]
            getattr(whole, name).weight.copy_(torch.cat(weights, dim=1))
    wanted = whole(State(torch.cat([state.x for state in inputs.values()], dim=1)))
    torch.testing.assert_close(ends(inputs), wanted, rtol=1e-12, atol=1e-12)


def test_a_weighted_state_has_its_part_of_the_sum_weighted():
    ends, inputs = projection(relu_conv_norm), states(SIZES)
    heavy = {n: State(x.x * (0.3 if n == 5 else 1.0)) for n, x in inputs.items()}
    parts = {n: ends({n: state}) for n, state in inputs.items()}
    wanted = parts[2] + 0.3 * parts[5] + parts[6]
    torch.testing.assert_close(ends(heavy), wanted, rtol=1e-12, atol=1e-12)


def test_unread_is_one_where_nobody_reads_and_zero_elsewhere():
    factors = unread([(0, 2, 1), (1, 3, 1)])
    assert factors == (Factor(0, (1.0, 0.0)), Factor(1, (1.0, 0.0, 1.0)))
    running = {(i, j) for i in range(2) for j in range(3) if may_run(factors, ((i,), (j,)))}
    assert running == {(0, 0), (0, 2)}
