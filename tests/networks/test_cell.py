import pytest
import torch
from torch import nn

from nas_lightning.core.choices import Branch, Choice, Factor, Mixture
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import one_hot, uniform_mixture
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import Cell, DropPath, branch_weights
from nas_lightning.networks.kernels import concatenated
from nas_lightning.networks.operations import Operation, Skip, build_operation
from nas_lightning.networks.state import State

CHANNELS = 2


class Times(Operation):
    """Multiplies by a param, and counts how often it ran."""

    def __init__(self, branch: Branch) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(float(len(branch.op)), dtype=torch.float64))
        self.stride, self.runs = branch.stride, 0

    def forward(self, state: State) -> torch.Tensor:
        self.runs += 1
        return self.factor * state.x[:, :, :: self.stride, :: self.stride]


def operation_of(branch):
    return Skip() if branch.op == "identity" else Times(branch)


def cell_of(branches, stride=1):
    return Cell(branches, operation_of, [Skip(), Skip()], 4, (2, 3), CHANNELS, stride)


def inputs(height=3, width=3, samples=2):
    rng = torch.Generator().manual_seed(0)
    return [
        State(torch.randn(samples, CHANNELS, height, width, generator=rng, dtype=torch.float64))
        for _ in range(2)
    ]


# state 2 = a(0) + bb(0) + identity(1); state 3 = ccc(1) + a(2)
TABLE = (
    Branch(0, 2, "a"),
    Branch(0, 2, "bb"),
    Branch(1, 2, "identity"),
    Branch(1, 3, "ccc"),
    Branch(2, 3, "a"),
)
WEIGHTS = {b.key: torch.tensor(0.5 + i, dtype=torch.float64) for i, b in enumerate(TABLE)}


def test_states_are_the_weighted_sums_of_what_enters_them():
    first, second = inputs()
    w = list(WEIGHTS.values())
    found = cell_of(TABLE)((first, second), WEIGHTS).x
    node_2 = w[0] * 1 * first.x + w[1] * 2 * first.x + w[2] * second.x
    node_3 = w[3] * 3 * second.x + w[4] * 1 * node_2
    torch.testing.assert_close(found, torch.cat([node_2, node_3], 1), rtol=1e-14, atol=1e-14)


def test_without_weights_every_branch_weighs_one():
    cell, states = cell_of(TABLE), inputs()
    ones = {branch.key: torch.ones((), dtype=torch.float64) for branch in TABLE}
    assert torch.equal(cell(states).x, cell(states, ones).x)


def test_gradients_of_both_orders_are_those_of_finite_differences():
    cell = cell_of(TABLE)
    names = list(dict(cell.named_parameters()))
    values = [p.detach().clone().requires_grad_() for p in cell.parameters()]
    weights = [w.clone().requires_grad_() for w in WEIGHTS.values()]
    first, second = (state.x[:1, :, :2, :1].clone().requires_grad_() for state in inputs())

    def function(first, second, *rest):
        mixed = dict(zip(WEIGHTS, rest[: len(TABLE)], strict=True))
        params = dict(zip(names, rest[len(TABLE) :], strict=True))
        return torch.func.functional_call(cell, params, ((State(first), State(second)), mixed)).x

    everything = (first, second, *weights, *values)
    assert torch.autograd.gradcheck(function, everything)
    assert torch.autograd.gradgradcheck(function, everything)


def test_a_branch_without_weight_never_runs():
    cell = cell_of(TABLE)
    cell(inputs(), {key: w for key, w in WEIGHTS.items() if key != "0_2_bb"})
    runs = {key: op.runs for key, op in cell.ops.items() if isinstance(op, Times)}
    assert runs == {"0_2_a": 1, "0_2_bb": 0, "1_3_ccc": 1, "2_3_a": 1}


def test_a_branch_of_zero_weight_runs():
    cell = cell_of(TABLE)
    cell(inputs(), WEIGHTS | {"0_2_bb": torch.zeros((), dtype=torch.float64)})
    assert cell.ops["0_2_bb"].runs == 1


@pytest.mark.parametrize(("stride", "shape"), [(1, (2, 4, 5, 4)), (2, (2, 4, 3, 2))])
def test_a_state_that_nothing_enters_is_zero_of_the_nodes_size(stride, shape):
    cell = cell_of([Branch(0, 3, "a", stride=stride)], stride)
    out = cell(inputs(5, 4)).x
    assert out.shape == shape
    assert (out[:, :CHANNELS] == 0).all()
    assert (out[:, CHANNELS:] != 0).any()


def test_a_cell_without_any_branch_in_its_support_is_zero():
    out = cell_of(TABLE)(inputs(), {}).x
    assert torch.equal(out, torch.zeros(2, 4, 3, 3, dtype=torch.float64))


def test_states_are_preprocessed_once_each_by_their_own_operation():
    pre = [Times(Branch(0, 1, "xx")), Times(Branch(0, 1, "yyy"))]
    cell = Cell(TABLE, operation_of, pre, 4, (0, 1), CHANNELS, 1)
    first, second = inputs()
    assert torch.equal(cell((first, second)).x, torch.cat([2 * first.x, 3 * second.x], 1))
    assert [op.runs for op in pre] == [1, 1]


def test_drop_path_drops_whole_samples_and_keeps_the_mean():
    x = torch.ones(4000, 2, 2, 2)
    out = DropPath(0.3, torch.Generator().manual_seed(0))(x, True)
    per_sample = out.flatten(1)
    assert (per_sample == per_sample[:, :1]).all()
    assert out.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert out.mean() == pytest.approx(1, abs=5 * (0.3 / 0.7 / 4000) ** 0.5)  # five sigma


def test_drop_path_draws_from_its_generator_alone():
    x, before = torch.ones(50, 1, 1, 1), torch.get_rng_state()
    draws = [DropPath(0.5, torch.Generator().manual_seed(seed))(x, True) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_drop_path_meets_every_operation_but_the_identity():
    met = []
    cell_of(TABLE)(inputs(), drop_path=lambda x, training: met.append(x) or x)
    assert len(met) == 4


def test_drop_path_drops_each_operations_samples_apart():
    table = (Branch(0, 2, "a"), Branch(0, 3, "a"))
    out = cell_of(table)(inputs(samples=64), None, DropPath(0.5, torch.Generator().manual_seed(0)))
    dropped = (out.x.flatten(2) == 0).all(2)
    assert not torch.equal(dropped[:, 0], dropped[:, 2])


def test_drop_path_drops_nothing_outside_training():
    cell, drop_path = cell_of(TABLE).eval(), DropPath(0.9)
    assert torch.equal(cell(inputs(), drop_path=drop_path).x, cell(inputs()).x)


CHOICES = (
    Choice("op", ("none", "a", "bb"), "op", "node"),
    Choice("skip", ("off", "on"), "skip", "node"),
)
ON_A = Factor(0, (0.0, 1.0, 0.0))
ON_BB = Factor(0, (0.0, 0.0, 1.0))
OFF = Factor(1, (1.0, 0.0))
DOUBLE = Factor(1, (0.5, 2.0))
PRODUCTS = (
    Branch(0, 2, "a", (ON_A, OFF)),
    Branch(0, 2, "bb", (ON_BB,)),
    Branch(1, 2, "a", (DOUBLE,)),
    Branch(1, 3, "a"),
)


def test_a_branch_weighs_the_product_of_its_factors():
    weights = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.4, 0.0]], dtype=torch.float64)
    found = branch_weights(PRODUCTS, Mixture(weights, ((0, 1, 2), (0, 1))))
    wanted = {"0_2_a": 0.3 * 0.6, "0_2_bb": 0.5, "1_2_a": 0.5 * 0.6 + 2.0 * 0.4, "1_3_a": 1.0}
    assert {key: float(weight) for key, weight in found.items()} == pytest.approx(wanted, 1e-15)


@pytest.mark.parametrize(
    ("support", "running"),
    [
        (((0, 1, 2), (0, 1)), {"0_2_a", "0_2_bb", "1_2_a", "1_3_a"}),
        (((1,), (1,)), {"1_2_a", "1_3_a"}),
        (((1,), (0,)), {"0_2_a", "1_2_a", "1_3_a"}),
        (((0,), (0, 1)), {"1_2_a", "1_3_a"}),
        (((), ()), {"1_3_a"}),
    ],
)
def test_the_support_alone_says_what_runs(support, running):
    weights = torch.zeros(2, 3)
    assert set(branch_weights(PRODUCTS, Mixture(weights, support))) == running


def test_one_hot_weights_are_exactly_one():
    mixture = one_hot(CHOICES, {"op": "bb", "skip": "off"})
    found = branch_weights(PRODUCTS[:2], mixture)
    assert {key: float(weight) for key, weight in found.items()} == {"0_2_bb": 1.0}


@pytest.mark.parametrize(
    ("chosen", "more", "are_ones"),
    [
        ({"op": "a", "skip": "off"}, {}, False),  # of which one branch weighs a half
        ({"op": "bb", "skip": "off"}, {}, True),
        ({"op": "bb", "skip": "off"}, {"requires_grad": True}, False),
        ({"op": "bb", "skip": "off"}, {"device": "meta"}, False),
    ],
)
def test_a_single_path_without_gradient_is_known_to_weigh_one(chosen, more, are_ones):
    mixture = one_hot(CHOICES, chosen)
    weights = torch.empty_like(mixture.weights, **more)
    weights.data.copy_(mixture.weights)
    table = PRODUCTS[:2] if chosen["op"] == "bb" else PRODUCTS
    assert branch_weights(table, Mixture(weights, mixture.support)).are_ones == are_ones


def test_a_path_of_ones_has_the_bits_of_its_multiplied_sums():
    choices, factors = (Choice("op", ("a", "b"), "op", "node"),), (Factor(0, (1.0, 0.0)),)
    table = [Branch(b.source, b.target, b.op, factors) for b in TABLE]
    weights = branch_weights(table, one_hot(choices, {"op": "a"}))
    assert weights.are_ones
    cell, read = cell_of(table), inputs()
    assert torch.equal(cell(read, weights).x, cell(read, dict(weights)).x)


def test_the_gradient_of_branch_weights_is_the_product_rule():
    mixture = uniform_mixture(CHOICES)
    weights = mixture.weights.double().requires_grad_()
    found = branch_weights(PRODUCTS, Mixture(weights, mixture.support))
    (gradient,) = torch.autograd.grad(found["0_2_a"], weights)
    third, half = 1 / 3, 1 / 2
    wanted = torch.tensor([[0.0, half, 0.0], [third, 0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(gradient, wanted, rtol=1e-7, atol=0)  # weights began in float32


def test_equal_operations_of_a_cell_have_params_of_their_own():
    norm = Norm.of(Scale(flavour="search"))
    table = [Branch(0, 2, "sep_conv_3x3"), Branch(1, 2, "sep_conv_3x3")]
    cell = Cell(table, lambda b: build_operation(b.op, 2, b.stride, norm), [Skip(), Skip()], 3,
                (2,), 2, 1)  # fmt: skip
    first, second = (op.layers[0].weight for op in cell.ops.values())
    assert first is not second
    assert not torch.equal(first, second)


def test_parts_of_a_cells_output_have_dense_gradients():
    parts = [torch.randn(2, 3, 4, 5).requires_grad_() for _ in range(3)]
    strides = []
    for part in parts:
        part.register_hook(lambda grad: strides.append(grad.is_contiguous()))
    concatenated(parts).square().sum().backward()
    assert strides == [True, True, True]
    assert all(torch.equal(part.grad, 2 * part) for part in parts)
