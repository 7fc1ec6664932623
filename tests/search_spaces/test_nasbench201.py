from dataclasses import replace
from importlib import resources
from random import Random

import numpy as np
import pytest
import torch

from nas_lightning.core.choices import Mixture
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import child_cost, inherit, uniform_mixture
from nas_lightning.search_spaces.nasbench201 import NASBENCH201_OPS, NasBench201Space
from nas_lightning.zoo.reader import read_genotype

SPACE = NasBench201Space()
PUBLISHED = SPACE.published_scale()
BEST = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
    "+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
)
HEADS = {
    "cifar10": replace(PUBLISHED, num_outputs=10),
    "cifar100": replace(PUBLISHED, num_outputs=100),
    "imagenet16_120": replace(PUBLISHED, num_outputs=120, input_shape=(3, 16, 16)),
}


@pytest.fixture(scope="module")
def table():
    """The published table."""
    with np.load(resources.files("nas_lightning.tables") / "nasbench201.npz") as arrays:
        return {name: arrays[name] for name in arrays}


@pytest.fixture(scope="module")
def genotypes(table):
    return [SPACE.read_text(text.decode()) for text in table["arch"]]


def formula(ops, scale):
    """Parameters and multiply-adds by hand, of all rows of `ops` (n, 6) at once."""
    channels, side, cells = scale.channels, scale.input_shape[1], (scale.cells - 2) // 3
    params, flops = 27 * channels + 2 * channels, 27 * channels * side**2
    small, large = (ops == 2).sum(1), (ops == 3).sum(1)
    for stage in range(3):
        if stage:
            wide, side = 2 * channels, side // 2
            weights = 9 * channels * wide + 9 * wide**2 + channels * wide
            params, flops = params + weights + 4 * wide, flops + weights * side**2
            channels = wide
        weights = (small + 9 * large) * channels**2
        params = params + cells * (weights + 2 * channels * (small + large))
        flops = flops + cells * weights * side**2
    params += 2 * channels + channels * scale.num_outputs + scale.num_outputs
    return params, flops + channels * scale.num_outputs


@pytest.mark.parametrize("name", HEADS)
def test_sizes_of_all_children_are_the_published_ones(table, genotypes, name):
    scale = HEADS[name]
    params, flops = formula(table["ops"], scale)
    assert (params == table[f"{name}_params"]).all()
    assert (flops + scale.num_outputs == table[f"{name}_flops"]).all()  # they count biases
    cost = SPACE.cost(scale)
    traced = [cost.of_child(SPACE.mixture(genotype)) for genotype in genotypes[::15]]
    assert [size["parameters"] for size in traced] == params[::15].tolist()
    assert [size["multiply_adds"] for size in traced] == flops[::15].tolist()


@pytest.mark.parametrize("name", HEADS)
def test_a_built_child_has_the_published_size(table, genotypes, name):
    for index in (0, 6111, 11472):
        scale = HEADS[name]
        size = child_cost(SPACE, genotypes[index], scale)
        assert size["parameters"] == table[f"{name}_params"][index]
        assert size["multiply_adds"] + scale.num_outputs == table[f"{name}_flops"][index]


def test_every_text_of_the_table_is_written_as_it_was_read(table, genotypes):
    assert [SPACE.write_text(g) for g in genotypes] == [text.decode() for text in table["arch"]]
    assert len(set(genotypes)) == SPACE.count() == 15_625


def test_classes_of_isomorphic_graphs_are_the_tables(table, genotypes):
    ids = [SPACE.isomorphism_id(genotype) for genotype in genotypes]
    classes = set(zip(ids, table["iso_id"].tolist(), strict=True))
    assert len(set(ids)) == len(set(table["iso_id"].tolist())) == len(classes) == 6466


def test_graphs_that_differ_in_dead_edges_alone_are_isomorphic():
    first, second = (
        SPACE.read_text(f"|none~0|+|nor_conv_3x3~0|{op}~1|+|skip_connect~0|none~1|none~2|")
        for op in ("avg_pool_3x3", "nor_conv_1x1")
    )
    assert SPACE.isomorphism_id(first) == SPACE.isomorphism_id(second)
    assert SPACE.isomorphism_id(first) != SPACE.isomorphism_id(SPACE.read_text(BEST))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("|skip_connect~0|", r"notation is \|op~0\|\+.*, got '\|skip_connect~0\|'"),
        (BEST.replace("~1", "~0"), "notation is"),
        (BEST + "|", "notation is"),
        (BEST.replace("skip_connect", "conv_9x9"), "unknown option 'conv_9x9' of .* 'edge_0_3'"),
    ],
)
def test_other_texts_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        SPACE.read_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "6111",  # the index of the best child of CIFAR-10, in the benchmark and in the table
        "3 3 3 1 3 2",
        "[3, 3, 3, 1, 3, 2]",
        f"[2020-01-01] the best is {BEST} with 94.37",
        f"genotype | {BEST} | 0.91\ngenotype | {BEST} | 0.92",
        "[(('nor_conv_3x3', 0),), (('nor_conv_3x3', 0), ('nor_conv_3x3', 1)), "
        "(('skip_connect', 0), ('nor_conv_3x3', 1), ('nor_conv_1x1', 2))]",
        "((('nor_conv_3x3', 0, 0.31),), (('nor_conv_3x3', 0, 0.3), ('nor_conv_3x3', 1, 0.2)), "
        "(('skip_connect', 0, 1e-3), ('nor_conv_3x3', 1, np.float32), ('nor_conv_1x1', 2, 0.9)))",
    ],
)
def test_a_genotype_is_read_as_people_paste_it(text):
    assert read_genotype(text, SPACE) == SPACE.read_text(BEST)


@pytest.mark.parametrize("index", [0, 857, 9930, 15624])
def test_an_index_is_the_tables_row(table, index):
    assert SPACE.write_text(SPACE.read_text(str(index))) == table["arch"][index].decode()


def test_indices_are_the_benchmarks_own():
    first = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|"  # as its API shows it
    assert SPACE.write_text(SPACE.read_text("0")).startswith(first)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "15625",
            "an index of NAS-Bench-201 is 0 to 15624, got 15625; numbers of operations stand",
        ),
        ("333132", "is 0 to 15624, got 333132; .* e.g. 3 1 0 2 4 3"),
        ("3 3 3", r"has six numbers of operations, 0 none, 1 skip.*; got \[3, 3, 3\]"),
        ("3 3 3 1 3 5", r"4 avg_pool_3x3; got \[3, 3, 3, 1, 3, 5\]"),
        (f"{BEST}\n{BEST.replace('skip_connect', 'none')}", "the text holds 2 genotypes"),
        ("(('nor_conv_3x3', 0),), (('nor_conv_3x3', 1),)", "notation is .* or six numbers"),
    ],
)
def test_a_near_miss_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        SPACE.read_text(text)


def test_an_edge_without_support_is_discretized_to_none():
    mixture = uniform_mixture(SPACE.choices)
    support = ((), (3, 4), *mixture.support[2:])
    found = SPACE.discretize(Mixture(mixture.weights, support)).mapping
    assert (found["edge_0_1"], found["edge_0_2"]) == ("none", "nor_conv_3x3")


@pytest.mark.parametrize(("flavour", "has_bias"), [("search", True), ("child", False)])
def test_convolutions_of_cells_have_a_bias_exactly_where_batch_norm_is_not_affine(
    flavour, has_bias
):
    scale = Scale(4, 3, flavour=flavour, input_shape=(3, 8, 8), num_outputs=2)
    for network in (SPACE.supernet(scale), SPACE.child(SPACE.read_text(BEST), scale)):
        conv, norm = network.cells[0].ops["0_1_nor_conv_3x3"].layers
        assert ((conv.bias is None), (norm.weight is None)) == (not has_bias, has_bias)


@pytest.mark.parametrize("flavour", ["search", "child"])
def test_average_pools_have_no_batch_norm(flavour):
    genotype = SPACE.genotype({choice.name: "avg_pool_3x3" for choice in SPACE.choices})
    scale = Scale(4, 3, flavour=flavour, input_shape=(3, 8, 8), num_outputs=2)
    assert not list(SPACE.child(genotype, scale).cells[0].parameters())
    assert not list(SPACE.child(genotype, scale).cells[0].buffers())


@pytest.mark.parametrize("partial", [1, 2])
@pytest.mark.parametrize("flavour", ["search", "child"])
def test_the_one_hot_supernet_is_the_child_in_both_flavours_and_on_part_of_the_channels(
    flavour, partial
):
    scale = Scale(4, 5, flavour=flavour, partial=partial, input_shape=(2, 9, 7), num_outputs=3)
    supernet, x = SPACE.supernet(scale), torch.randn(3, 2, 9, 7)
    for seed in range(3):
        genotype = SPACE.sample(Random(seed))
        child = SPACE.child(genotype, scale)
        inherit(child, supernet)
        assert torch.equal(supernet(x, SPACE.mixture(genotype)), child(x))


def test_a_node_that_nothing_enters_is_drawn_as_zero():
    text = "|none~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|skip_connect~2|"
    (graph,) = SPACE.graphs(SPACE.read_text(text))
    assert graph.nodes == ("input", "1 = 0", "2", "output")
    assert [(e.source, e.target) for e in graph.edges] == [
        ("1 = 0", "2"), ("input", "output"), ("1 = 0", "output"), ("2", "output")]  # fmt: skip


def test_a_cell_of_nothing_still_is_a_network():
    genotype = SPACE.genotype({choice.name: "none" for choice in SPACE.choices})
    scale = Scale(4, 5, input_shape=(1, 8, 8), num_outputs=3)
    assert SPACE.child(genotype, scale)(torch.randn(2, 1, 8, 8)).shape == (2, 3)
    assert SPACE.graphs(genotype)[0].edges == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stem": "imagenet"}, r"'nasbench201' has no scale\.stem 'imagenet'; choose from: cifar"),
        ({"auxiliary": True}, r"'nasbench201' has no auxiliary head .* set scale\.auxiliary=false"),
    ],
)
def test_what_the_networks_do_not_have_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        SPACE.child(SPACE.read_text(BEST), replace(PUBLISHED, **changes))


def test_the_zoo_has_the_best_genotype_of_the_table(table):
    assert SPACE.write_text(read_genotype("nasbench201_best", SPACE)) == BEST
    assert table["arch"][table["cifar10_test_200"].argmax()].decode() == BEST


def test_options_are_in_the_tables_order(table):
    assert tuple(op.decode() for op in table["op_names"]) == NASBENCH201_OPS
