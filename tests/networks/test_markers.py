from itertools import pairwise, product
from random import Random

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nas_lightning.core.choices import Mixture
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import child_cost, inherit
from nas_lightning.networks.markers import OneOf, Optional, Repeat
from nas_lightning.search_spaces.custom import CustomSpace


def space_of(*parts, shape=(6, 8)):
    """The space of parts between which rows (6, 8) pass."""

    def net(num_outputs):
        return nn.Sequential(*(part() for part in parts), nn.Flatten(), nn.Linear(48, num_outputs))

    return CustomSpace(net, scale=Scale(input_shape=shape, num_outputs=2))


def row(width=8):
    return nn.Linear(8, width)


class SharesALayer(nn.Module):
    """One layer in two options of a choice, in another choice, and outside of both."""

    def __init__(self, num_outputs):
        super().__init__()
        shared = row()
        self.first = OneOf("first", {"bare": shared, "deep": nn.Sequential(shared, row())})
        self.more, self.free = Optional("more", nn.Sequential(nn.ReLU(), shared)), row()
        self.again = Optional("again", self.free)
        self.head = nn.Linear(48, num_outputs)

    def forward(self, x):
        return self.head(self.again(self.free(self.more(self.first(x)))).flatten(1))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        out, _ = self.heads(x, x, x, need_weights=False)
        return out


class Stateful(nn.Module):
    """Counts its calls in a buffer that its output shows."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += self.training
        return x + self.calls


def layer():
    """A layer of a transformer with two choices, one of them optional with what is inside it."""
    wide, thin = (nn.Sequential(nn.Linear(8, n), nn.GELU(), nn.Linear(n, 8)) for n in (16, 8))
    ratio = OneOf("ratio", {"2": wide, "1": thin})
    return nn.Sequential(
        OneOf("mix", {"heads": Attention(), "rows": row()}), Optional("mlp", ratio)
    )


def deep():
    """Layers that hold choices, in blocks that are repeated too."""
    return Repeat("blocks", nn.Sequential(row(), Repeat("layers", layer, [0, 2])), [1, 2])


SPACES = {
    "shared": CustomSpace(SharesALayer, scale=Scale(input_shape=(6, 8), num_outputs=2)),
    "nested": space_of(
        lambda: OneOf("a", {"b": Optional("b", OneOf("c", {"one": row(), "two": Stateful()})),
                            "d": Repeat("d", row, [2, 0, 1])}),
        lambda: OneOf("e", {"yes": row(), "no": nn.Identity()}),
        lambda: OneOf("e", {"yes": nn.Tanh(), "no": nn.Dropout(0.5)}),
    ),
    "repeated": space_of(lambda: Repeat("layers", layer, [1, 3, 2])),
    "repeated twice": space_of(deep, lambda: Optional("last", layer())),
    "attention": space_of(
        lambda: OneOf("mix", {"attention": Attention(), "rows": row()}),
        lambda: Repeat("depth", nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), [0, 1, 2]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPACES)
def test_a_users_supernet_is_its_child_and_costs_what_the_child_does(name):
    space = SPACES[name]
    supernet, x = space.supernet(space.scale), torch.randn(3, 6, 8)
    for seed in range(6):
        genotype = space.sample(Random(seed))
        child = space.child(genotype, space.scale)
        inherit(child, supernet)
        torch.manual_seed(seed)
        whole = supernet(x, space.mixture(genotype))
        torch.manual_seed(seed)
        assert torch.equal(child(x), whole)
        cost = child_cost(space, genotype, space.scale)
        assert cost["parameters"] == sum(p.numel() for p in child.parameters())
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            space.child(genotype, space.scale).eval()(torch.empty(1, 6, 8))
        assert cost["multiply_adds"] * 2 == counter.get_total_flops()
        assert space.cost(space.scale).of_child(space.mixture(genotype)) == cost


def test_a_drawing_shows_the_choices_in_the_order_of_the_module():
    space = space_of(lambda: OneOf("z", {"a": row(), "b": row()}), lambda: Optional("m", row()))
    (graph,) = space.graphs(space.genotype({"m": "no", "z": "a"}))
    assert graph.nodes == ("input", "z", "m", "output")


def test_a_layer_that_choices_share_is_expected_to_cost_its_params_once():
    space, layer, rest = SPACES["shared"], 8 * 8 + 8, 48 * 2 + 2
    rows = torch.tensor([[0.25, 0.75], [0.5, 0.5], [0.5, 0.5]])
    cost = space.cost(space.scale).of(Mixture(rows, ((0, 1),) * 3))
    assert float(cost["parameters"]) == pytest.approx(layer * (1 + 0.75 + 1) + rest)
    adds = 6 * 64 * (1 + 0.75 + 0.5 + 1 + 0.5) + 96
    assert float(cost["multiply_adds"]) == pytest.approx(adds)


def test_attention_and_transposed_convolutions_are_counted():
    space = SPACES["attention"]
    genotype = space.genotype({"mix": "attention", "depth": "0"})
    adds = child_cost(space, genotype, space.scale)["multiply_adds"]
    assert adds == 6 * 4 * 8 * 8 + 2 * 6 * 6 * 8 + 96
    space = space_of(lambda: OneOf("up", {"yes": nn.ConvTranspose1d(6, 4, 3, 2, groups=2)}),
                     lambda: nn.Flatten(1), lambda: nn.LazyLinear(48))  # fmt: skip
    adds = child_cost(space, space.genotype({"up": "yes"}), space.scale)["multiply_adds"]
    assert adds == (6 * 8) * (4 // 2) * 3 + 4 * 17 * 48 + 96


def test_choices_inside_a_repetition_get_their_names_from_its_position():
    names = [decision.name for decision in SPACES["repeated"].decisions]
    inner = [f"layers.{number}.{name}" for number in range(3) for name in ("mix", "mlp", "ratio")]
    assert names == ["layers", *inner]
    assert "blocks.1.layers.0.ratio" in SPACES["repeated twice"].rows


def test_a_repetition_with_choices_has_as_many_genotypes_as_networks():
    layer, twice = 2 * (1 + 2), (2 * (1 + 2)) ** 2  # a layer; none or two of them in a block
    assert SPACES["repeated"].count() == layer + layer**2 + layer**3
    blocks = 1 + twice
    assert SPACES["repeated twice"].count() == (blocks + blocks**2) * (1 + layer)


@pytest.mark.parametrize("name", ["repeated", "repeated twice"])
def test_changes_leave_out_the_choices_of_layers_that_are_left_out(name):
    space, rng = SPACES[name], Random(0)
    parents = [space.sample(rng) for _ in range(20)]
    changed = [space.mutate(parent, rng) for parent in parents]
    changed += [space.crossover(a, b, rng) for a, b in pairwise(parents)]
    changed += space.neighbours(parents[0], rng)
    for genotype in changed:
        assert space.decode(space.encode(space.validate(genotype))) == genotype
        assert space.discretize(space.mixture(genotype)) == genotype


def test_the_expected_cost_of_a_repetition_is_the_mean_over_all_its_networks():
    def kind():
        deep = nn.Sequential(row(3), nn.Linear(3, 8))
        return OneOf("kind", {"rows": row(), "deep": deep, "none": nn.Identity()})

    space = space_of(lambda: Repeat("depth", kind, [2, 0, 1]))
    weights = torch.tensor([[0.5, 0.2, 0.3], [0.1, 0.6, 0.3], [0.25, 0.35, 0.4]])
    cost = space.cost(space.scale).of(Mixture(weights, ((0, 1, 2),) * 3))
    mean = dict.fromkeys(cost, 0.0)
    for depth in space.decisions[0].options:
        kinds = product(("rows", "deep", "none"), repeat=int(depth))
        for chosen in [{f"depth.{i}.kind": k for i, k in enumerate(line)} for line in kinds]:
            child = space.genotype({"depth": depth} | chosen)
            chances = (
                weights[space.rows[d.name], d.options.index(o)]
                for d in space.decisions
                if (o := child.mapping.get(d.name))
            )
            chance = float(torch.stack(list(chances)).double().prod())
            for quantity, value in child_cost(space, child, space.scale).items():
                mean[quantity] += chance * value
    assert {name: float(value) for name, value in cost.items()} == pytest.approx(mean)


@pytest.mark.parametrize("depth", [1, 2])
def test_repetitions_that_share_a_choice_are_refused_by_the_name_that_the_user_gave(depth):
    shared = OneOf("act", {"relu": nn.ReLU(), "tanh": nn.Tanh()})
    inner = shared if depth == 1 else Repeat("inner", lambda: shared, [1])
    with pytest.raises(ValueError, match=r"of 'r' must .* own, but 'act' is in two of them; build"):
        Repeat("r", lambda: nn.Sequential(row(), inner), [1, 2])


def test_repetitions_of_one_name_share_their_decisions():
    def layers():
        return Repeat("layers", layer, [1, 2])

    assert space_of(layers, layers).decisions == space_of(layers).decisions


def test_each_repetition_draws_params_of_its_own_those_of_attention_too():
    first, second = Repeat("r", Attention(), [2]).parts.values()
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert not one.any() or not torch.equal(one, other)


@pytest.mark.parametrize("option", [3, "0.5", "pop"])
def test_a_name_that_no_option_can_have_is_refused(option):
    with pytest.raises(ValueError, match=rf"option {option!r} of 'a' must be a text without a dot"):
        OneOf("a", {option: row()})


def test_one_module_for_two_options_is_refused():
    shared = row()
    with pytest.raises(ValueError, match="option 'y' of 'a' must be a module of its own"):
        OneOf("a", {"x": shared, "y": shared})


def test_options_of_different_shapes_are_refused_before_a_search():
    space = space_of(lambda: OneOf("a", {"wide": row(), "thin": row(1)}))
    with pytest.raises(ValueError, match=r"'a' must give one shape, got wide: \[1, 6, 8\], thin: "):
        space.cost(space.scale)


def test_marks_of_one_name_in_different_options_are_refused():
    inner = {"x": OneOf("n", {"1": row(), "2": row()}), "y": OneOf("n", {"1": row(), "2": row()})}
    with pytest.raises(ValueError, match=r"got \['1', '2'\] in x of 'a' and .* in y of 'a'; name"):
        space_of(lambda: OneOf("a", inner))


def test_a_network_that_reads_tensors_while_it_is_built_is_refused():
    with pytest.raises(ValueError, match=r"must not read values of tensors .*Tensor.item\(\)"):
        space_of(lambda: nn.Dropout(torch.linspace(0, 0.5, 3)[1].item()))


def test_a_module_has_cells_where_its_builder_takes_their_number():
    def deep(cells, num_outputs):
        layers = [Optional(f"layer_{index}", row()) for index in range(cells)]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(48, num_outputs))

    scale = Scale(input_shape=(6, 8), num_outputs=2)
    assert CustomSpace(deep, scale=scale).has_cells
    assert not CustomSpace(SharesALayer, scale=scale).has_cells


def test_an_undecided_choice_does_not_run():
    message = (
        r"choice 'act' must be decided before it runs, got the options \['relu', 'tanh'\]; build"
    )
    with pytest.raises(ValueError, match=message):
        OneOf("act", {"relu": nn.ReLU(), "tanh": nn.Tanh()})(torch.ones(1))
