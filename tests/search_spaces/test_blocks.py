from collections import Counter
from itertools import product
from math import prod
from random import Random

import pytest
import torch

from nas_lightning.core.choices import Mixture
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import child_cost, inherit, one_hot, uniform_mixture
from nas_lightning.search_spaces.blocks import BlockSpace

SCALE = Scale(channels=4, cells=3, input_shape=(2, 9, 8), num_outputs=3)


class Tiny(BlockSpace):
    def __init__(self, blocks=1, ops=("skip_connect", "conv_1x1"), combines=("add", "concat")):
        super().__init__("tiny", blocks, ops, combines, SCALE)


TINY = Tiny()
ONLY_FIRST = {"inputs": "0+0", "ops": "skip_connect+conv_1x1", "combine": "add"}


def assignments(space):
    """Every way to choose an option a choice."""
    return [
        dict(zip([c.name for c in space.choices], options, strict=True))
        for options in product(*(c.options for c in space.choices))
    ]


def genotype_of(space, normal, reduction):
    kinds = {"normal": normal, "reduction": reduction}
    return space.genotype(
        {f"{kind}/block_2/{d}": o for kind, chosen in kinds.items() for d, o in chosen.items()}
    )


def test_a_space_counts_the_networks_that_differ():
    found = {TINY.discretize(one_hot(TINY.choices, a)).id for a in assignments(TINY)}
    assert len(found) == TINY.count() == 20**2  # 4 halves: 10 pairs without order, 2 combinations


@pytest.mark.parametrize(("blocks", "ops", "count"), [(5, 5, 4.387e22), (5, 13, 6.213e30)])
def test_the_papers_spaces_have_so_many_genotypes(blocks, ops, count):
    names = [f"sep_conv_{k}x{k}" for k in (3, 5, 7)] + ["max_pool_3x3", "max_pool_5x5"]
    names += ["max_pool_7x7", "conv_1x1", "conv_3x3", "conv_3x1_1x3", "conv_7x1_1x7"]
    names += ["dil_conv_3x3", "avg_pool_3x3", "skip_connect"]
    space = Tiny(blocks, names[:ops], ("add",))
    halves = [states * ops for states in range(2, 2 + blocks)]
    assert space.count() == prod(n * (n + 1) // 2 for n in halves) ** 2
    assert space.count() == pytest.approx(count, rel=1e-3)


def test_sampling_is_uniform_over_genotypes():
    rng, draws = Random(0), 4000
    drawn = [TINY.sample(rng).mapping for _ in range(draws)]
    seen = Counter(tuple(o for d, o in g.items() if d.startswith("normal")) for g in drawn)
    chi_square = sum((n - draws / 20) ** 2 / (draws / 20) for n in seen.values())
    assert len(seen) == 20
    assert chi_square < 43.8  # 99.9 % quantile at 19 degrees of freedom


def test_choices_and_decisions_come_in_the_order_of_the_papers_controllers():
    names = [name.rpartition("/")[2] for name in (c.name for c in TINY.choices[:5])]
    assert names == ["input_1", "input_2", "op_1", "op_2", "combine"]
    names = [d.name.rpartition("/")[2] for d in TINY.decisions[:5]]
    assert names == ["inputs", "op_1", "op_2", "ops", "combine"]


def test_the_halves_of_a_block_have_no_order():
    halves = [(1, "skip_connect"), (0, "conv_1x1")]
    assert TINY.block("normal", 2, halves) == TINY.block("normal", 2, reversed(halves))
    halves = [(1, "conv_1x1"), (1, "skip_connect")]
    assert TINY.block("normal", 2, halves, "add") == {
        "normal/block_2/inputs": "1+1",
        "normal/block_2/ops": "skip_connect+conv_1x1",
        "normal/block_2/combine": "add",
    }


def test_the_expected_cost_is_the_mean_over_all_assignments():
    space, rng = Tiny(ops=("conv_1x1",)), torch.Generator().manual_seed(0)
    mixture = uniform_mixture(space.choices)
    weights = mixture.weights.double() * torch.rand(mixture.weights.shape, generator=rng)
    weights /= weights.sum(dim=1, keepdim=True)
    mean = dict.fromkeys(("parameters", "multiply_adds"), 0.0)
    for assignment in assignments(space):
        picks = [c.options.index(assignment[c.name]) for c in space.choices]
        chance = prod(float(weights[row, pick]) for row, pick in enumerate(picks))
        genotype = space.discretize(one_hot(space.choices, assignment))
        own = space.cost(SCALE).of_child(space.mixture(genotype))
        mean = {name: mean[name] + chance * own[name] for name in mean}
    found = space.cost(SCALE).of(Mixture(weights, mixture.support))
    assert {n: float(v) for n, v in found.items()} == pytest.approx(mean, rel=1e-9)


def test_the_cost_of_every_network_of_one_block_is_its_childs():
    cost = TINY.cost(SCALE)
    for genotype in {TINY.sample(Random(seed)) for seed in range(12)}:
        assert cost.of_child(TINY.mixture(genotype)) == child_cost(TINY, genotype, SCALE)


@pytest.mark.parametrize("kind", ["normal", "reduction"])
def test_an_input_that_nothing_reads_is_part_of_the_output(kind):
    genotype = genotype_of(TINY, ONLY_FIRST, ONLY_FIRST)
    assert TINY.ends(genotype.mapping, kind) == [1, 2]
    graph = next(g for g in TINY.graphs(genotype) if g.title == f"{kind} cell")
    assert {e.source for e in graph.edges if e.target == "c_{k}"} == {"c_{k-1}", "2"}


def test_with_unread_inputs_the_supernet_is_the_child_and_trains_all_of_it():
    genotype = genotype_of(TINY, ONLY_FIRST, ONLY_FIRST)
    torch.manual_seed(0)
    supernet, child = TINY.supernet(SCALE), TINY.child(genotype, SCALE)
    inherit(child, supernet)
    x = torch.randn(3, 2, 9, 8)
    out = supernet(x, TINY.mixture(genotype))
    assert torch.equal(out, child(x))
    out.sum().backward()
    reached = {n for n, p in supernet.named_parameters() if p.grad is not None}
    assert reached == {n for n, _ in child.named_parameters()}
    assert any("_skip_connect" in name for name in reached)  # halves the unread input


def test_every_combination_has_its_branches():
    added = genotype_of(TINY, ONLY_FIRST, ONLY_FIRST)
    joined = genotype_of(TINY, ONLY_FIRST | {"combine": "concat"}, ONLY_FIRST)
    sizes = [child_cost(TINY, g, SCALE)["parameters"] for g in (added, joined)]
    assert sizes[1] - sizes[0] == 2 * 4 * 4  # at 4 channels a 1x1 convolution each half


def test_a_block_that_concatenates_is_drawn_with_its_halves():
    joined = genotype_of(TINY, ONLY_FIRST | {"combine": "concat"}, ONLY_FIRST)
    normal, reduction = TINY.graphs(joined)
    assert normal.nodes == ("c_{k-2}", "c_{k-1}", "2a", "2b", "2", "c_{k}")
    assert reduction.nodes == ("c_{k-2}", "c_{k-1}", "2", "c_{k}")


def test_the_auxiliary_head_reads_loose_ends_too_and_costs_nothing():
    scale = Scale(channels=4, cells=3, input_shape=(3, 32, 32), num_outputs=5)
    large = Scale(channels=4, cells=3, auxiliary=True, input_shape=(3, 32, 32), num_outputs=5)
    genotype = TINY.sample(Random(0))
    child = TINY.child(genotype, large)
    logits, auxiliary = child.forward_auxiliary(torch.randn(2, 3, 32, 32))
    assert (logits.shape, auxiliary.shape) == ((2, 5), (2, 5))
    assert not torch.equal(logits, auxiliary)
    assert child_cost(TINY, genotype, large) == child_cost(TINY, genotype, scale)


def test_a_child_can_have_the_stem_of_imagenet():
    scale = Scale(4, 3, stem="imagenet", flavour="child", input_shape=(3, 64, 40), num_outputs=5)
    child = TINY.child(TINY.sample(Random(0)), scale)
    assert child(torch.randn(2, 3, 64, 40)).shape == (2, 5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"blocks": 0}, r"^search_space\.blocks \(0\) must be at least 1; use e\.g\. 5$"),
        ({"ops": ["none"]}, r"^unknown search_space\.ops 'none'; choose from: max_pool_3x3, "),
        (
            {"ops": []},
            r"^search_space\.ops \(\[\]\) must be different, and at least one; use e\.g\. \[max_",
        ),
        (
            {"ops": ["conv_1x1"] * 2},
            r"ops \(\[conv_1x1, conv_1x1\]\) must be different.*; use e\.g\. \[conv_1x1\]$",
        ),
        (
            {"combines": ["mean"]},
            r"^unknown search_space\.combines 'mean'; choose from: add, concat$",
        ),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        Tiny(**changed)
