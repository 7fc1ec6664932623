from functools import partial
from itertools import product
from random import Random

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nas_lightning.core.choices import Factor, Mixture
from nas_lightning.core.cost import QUANTITIES, Cost, Term, count_cost, trace_cost
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import child_cost, uniform_mixture
from nas_lightning.networks.batch_norm import BatchNorm
from nas_lightning.search_spaces.darts import DartsSpace

SCALE = Scale(4, 3, input_shape=(3, 32, 32), num_outputs=5)
# One node, so that every edge may be left out and each choice is independent of the others.
TINY = DartsSpace(nodes=1, ops=("none", "skip_connect", "sep_conv_3x3"), min_edges=0)


def on_meta(build):
    with torch.device("meta"):
        return build()


def test_convolutions_linear_layers_and_norms_are_counted_by_their_formulas():
    network = on_meta(
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=True),
            BatchNorm(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, (1, 5), groups=4, bias=False),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 7),
        )
    )
    assert count_cost(network, (3, 9, 13)) == {
        "parameters": (8 * 3 * 9 + 8) + 2 * 8 + 8 * 2 * 5 + (8 * 7 + 7),
        "multiply_adds": (5 * 7) * 8 * 3 * 9 + (5 * 3) * 8 * 2 * 5 + 8 * 7,
    }


class Attended(nn.Module):
    """Attention of rows of 8 numbers, in two heads, without params."""

    def forward(self, x):
        heads = x.unflatten(-1, (2, 4)).transpose(1, 2)
        return nn.functional.scaled_dot_product_attention(heads, heads, heads)


def test_a_product_costs_where_the_option_that_computes_it_is_chosen():
    with torch.device("meta"):
        network = Outer()
        network.inner.line = Attended()
    mixture = Mixture(torch.tensor([[0.5, 0.5], [0.2, 0.8], [1.0, 0.0]]), ((0, 1),) * 3)
    cost, free = trace_cost(network, (6, 8), mixture).of(mixture), 0.5 * 10 * 2 * 6 * 4
    assert cost["multiply_adds"].item() == pytest.approx(
        0.5 * 0.8 * 2 * 6 * 6 * 8 + free + 2 * 2 * 6 * 4 * 4
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_childs_cost_is_what_torch_counts_on_a_real_one(seed):
    space = DartsSpace()
    genotype = space.sample(Random(seed))
    child = space.child(genotype, SCALE).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        child(torch.randn(1, 3, 32, 32))
    assert child_cost(space, genotype, SCALE) == {
        "parameters": sum(p.numel() for p in child.parameters()),
        "multiply_adds": counter.get_total_flops() // 2,
    }


@pytest.mark.parametrize(
    ("size", "nodes"),
    [(8, 1), (13, 4), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((8, 4), (13, 1)))],
)
def test_the_one_hot_cost_of_a_supernet_is_the_childs(nodes, size):
    space = DartsSpace(nodes=nodes, min_edges=0)
    scale = Scale(4, 3, input_shape=(1, size, size + 1), num_outputs=5)
    cost = space.cost(scale)
    for seed in range(6):
        genotype = space.sample(Random(seed))
        assert cost.of_child(space.mixture(genotype)) == child_cost(space, genotype, scale)


def random_mixture(space):
    weights = torch.randn(uniform_mixture(space.choices).weights.shape, dtype=torch.float64,
                          generator=torch.Generator().manual_seed(0)).softmax(-1)  # fmt: skip
    return Mixture(weights, uniform_mixture(space.choices).support)


def test_the_expected_cost_is_the_mean_over_all_genotypes():
    mixture, names = random_mixture(TINY), [choice.name for choice in TINY.choices]
    mean = dict.fromkeys(QUANTITIES, 0.0)
    for picked in product(range(3), repeat=len(names)):
        options = {name: TINY.ops[i] for name, i in zip(names, picked, strict=True)}
        cost = child_cost(TINY, tiny_genotype(options), SCALE)
        chance = float(torch.stack([r[i] for r, i in zip(mixture.weights, picked, strict=True)])
                       .prod())  # fmt: skip
        mean = {name: mean[name] + chance * cost[name] for name in QUANTITIES}
    found = TINY.cost(SCALE).of(mixture)
    assert {name: float(value) for name, value in found.items()} == pytest.approx(mean, rel=1e-12)


def tiny_genotype(options):
    """The genotype whose edges carry these operations; "none" leaves an edge out."""
    chosen = {}
    for kind in ("normal", "reduction"):
        edges = {source: options[f"{kind}/edge_{source}_2"] for source in (0, 1)}
        kept = [str(source) for source, op in edges.items() if op != "none"]
        chosen[f"{kind}/node_2/inputs"] = "+".join(kept) or "nothing"
        chosen |= {f"{kind}/edge_{s}_2": op for s, op in edges.items() if op != "none"}
    return TINY.genotype(chosen)


def test_the_gradient_of_an_expected_cost_is_each_options_own_cost():
    mixture, cost = random_mixture(TINY), TINY.cost(SCALE)
    weights = mixture.weights.requires_grad_()
    (gradient,) = torch.autograd.grad(
        cost.of(Mixture(weights, mixture.support))["parameters"], weights
    )
    nothing = dict.fromkeys((choice.name for choice in TINY.choices), "none")
    least = child_cost(TINY, tiny_genotype(nothing), SCALE)["parameters"]
    for row, choice in zip(gradient, TINY.choices, strict=True):
        alone = [tiny_genotype(nothing | {choice.name: op}) for op in choice.options]
        costs = [child_cost(TINY, genotype, SCALE)["parameters"] - least for genotype in alone]
        assert row.tolist() == costs


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_gradients_are_those_of_finite_differences(quantity):
    mixture, cost = random_mixture(TINY), TINY.cost(SCALE)

    def function(weights):
        return cost.of(Mixture(weights, mixture.support))[quantity] / 1000.0

    assert torch.autograd.gradcheck(function, (mixture.weights.requires_grad_(),))


def test_options_outside_the_support_cost_nothing_whatever_their_weight():
    cost, uniform = TINY.cost(SCALE), uniform_mixture(TINY.choices)
    empty = Mixture(uniform.weights, ((),) * len(TINY.choices))
    nothing = tiny_genotype(dict.fromkeys((choice.name for choice in TINY.choices), "none"))
    assert cost.of_child(empty) == child_cost(TINY, nothing, SCALE)


def test_the_auxiliary_head_is_not_counted():
    space, genotype = TINY, TINY.sample(Random(0))
    plain = Scale(4, 3, flavour="child", input_shape=(3, 32, 32), num_outputs=5)
    with_head = Scale(4, 3, flavour="child", auxiliary=True, input_shape=(3, 32, 32), num_outputs=5)
    assert child_cost(space, genotype, with_head) == child_cost(space, genotype, plain)


def test_counting_leaves_no_hook_and_no_change_of_mode():
    network = on_meta(partial(TINY.child, TINY.sample(Random(0)), SCALE))
    count_cost(network, SCALE.image())
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())


def test_a_cost_without_terms_is_zero():
    found = Cost(()).of(uniform_mixture(TINY.choices))
    assert {name: float(value) for name, value in found.items()} == dict.fromkeys(QUANTITIES, 0.0)


class Outer(nn.Module):
    """Weighs a container that weighs its own parts, one of them run twice."""

    def __init__(self):
        super().__init__()
        self.inner, self.twice = Inner(), nn.Linear(4, 4)

    def weighted_modules(self):
        yield self.inner, (Factor(0, (1.0, 0.0)),)

    def forward(self, x, mixture=None):
        return self.twice(self.twice(self.inner(x)))


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.line, self.scale = nn.Conv1d(2, 3, 5, padding=2), nn.Parameter(torch.ones(7))
        self.elastic = Wide(3, 2)

    def weighted_modules(self):
        yield self.line, (Factor(1, (0.0, 1.0)),)

    def forward(self, x):
        return self.elastic(self.line(x))


class Wide(nn.Linear):
    """Costs ten of everything where the first option of choice 2 weighs one."""

    def __init__(self, channels_in, channels_out):
        super().__init__(4, 4)

    def cost_terms(self, output):
        yield Term((10, 10 * output.numel()), (Factor(2, (1.0, 0.0)),))


def test_nested_containers_multiply_elastic_operations_tell_and_params_count_once():
    with torch.device("meta"):
        network = Outer()
    mixture = Mixture(torch.tensor([[0.5, 0.5], [0.2, 0.8], [0.25, 0.75]]), ((0, 1),) * 3)
    cost = trace_cost(network, (2, 4), mixture).of(mixture)
    line, scale, elastic, twice = 0.5 * 0.8 * 33, 0.5 * 7, 0.5 * 0.25 * 10, 20
    assert cost["parameters"].item() == pytest.approx(line + scale + elastic + twice)
    adds = 0.5 * 0.8 * 12 * 2 * 5 + 0.5 * 0.25 * 10 * 12 + 2 * 12 * 4
    assert cost["multiply_adds"].item() == pytest.approx(adds)
