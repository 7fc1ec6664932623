from dataclasses import replace
from random import Random

import pytest
import torch

from nas_lightning.core.choices import Mixture
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import child_cost, uniform_mixture
from nas_lightning.search_spaces.darts import DARTS_OPS, DartsSpace
from nas_lightning.zoo.reader import published_names, read_genotype

SPACE = DartsSpace()
CIFAR = SPACE.published_scale()
IMAGENET = Scale(
    48, 14, stem="imagenet", flavour="child", input_shape=(3, 224, 224), num_outputs=1000
)


WIDE = DartsSpace(ops=[*DARTS_OPS, "conv_3x1_1x3"])


def params_of(build):
    with torch.device("meta"):
        network = build()
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(("channels", "cells", "params"), [(16, 8, 1_930_618), (8, 5, 394_210)])
def test_search_network_has_the_papers_size(channels, cells, params):
    scale = Scale(channels, cells, input_shape=(3, 32, 32), num_outputs=10)
    assert params_of(lambda: SPACE.supernet(scale)) == params


@pytest.mark.parametrize(
    ("name", "cifar", "auxiliary", "imagenet"),
    [
        ("darts_v1", 3_169_414, 3_645_840, 4_510_432),
        ("darts_v2", 3_349_342, 3_825_768, 4_718_752),
    ],
)
def test_published_children_have_the_published_sizes(name, cifar, auxiliary, imagenet):
    genotype = read_genotype(name, SPACE)
    assert child_cost(SPACE, genotype, CIFAR)["parameters"] == cifar
    with_head = replace(CIFAR, auxiliary=True)
    assert params_of(lambda: SPACE.child(genotype, with_head)) == auxiliary
    assert child_cost(SPACE, genotype, with_head)["parameters"] == cifar
    assert child_cost(SPACE, genotype, IMAGENET)["parameters"] == imagenet


def test_the_zoo_holds_the_published_genotypes_of_the_space():
    assert {"darts_v1", "darts_v2", "pc_darts_cifar", "pc_darts_imagenet", "gdas_v1"} <= set(
        published_names()
    )


def test_the_number_of_genotypes_is_the_papers():
    one_cell = 1
    for inputs in (2, 3, 4, 5):
        one_cell *= inputs * (inputs - 1) // 2 * 7**2
    assert SPACE.count() == one_cell**2


def slow_rule(table, kind_offset):
    """The official rule, read off the paper: top two edges a node by their best real op."""
    kept, row = {}, kind_offset
    for node in range(2, 6):
        edges = []
        for source in range(node):
            weights = table[row + source].tolist()
            best = max(range(1, 8), key=lambda op, w=weights: (w[op], -op))
            edges.append((-weights[best], source, DARTS_OPS[best]))
        kept[node] = {(source, op) for _, source, op in sorted(edges)[:2]}
        row += node
    return kept


@pytest.mark.parametrize("seed", range(5))
def test_discretize_keeps_the_top_two_edges_by_their_best_operation(seed):
    rng = torch.Generator().manual_seed(seed)
    table = (2 * torch.randn(28, 8, generator=rng)).softmax(-1)
    if seed == 4:
        table = torch.full((28, 8), 0.125)  # ties: lower input, earlier operation
    support = tuple(tuple(range(8)) for _ in range(28))
    found = SPACE.discretize(Mixture(table, support)).mapping
    for kind, offset in (("normal", 0), ("reduction", 14)):
        for node, edges in slow_rule(table, offset).items():
            mine = {
                (source, found[f"{kind}/edge_{source}_{node}"])
                for source in range(node)
                if f"{kind}/edge_{source}_{node}" in found
            }
            assert mine == edges


def test_none_is_neither_chosen_nor_ranked():
    table = torch.full((28, 8), 0.01)
    table[:, 0] = 0.9  # none
    table[2, 0], table[2, 5], table[4, 6] = 0.99, 0.03, 0.02  # two of the edges into node 3
    found = SPACE.discretize(Mixture(table, (tuple(range(8)),) * 28)).mapping
    kept = {name: op for name, op in found.items() if name.startswith("normal/edge_") and
            name.endswith("_3")}  # fmt: skip
    assert kept == {"normal/edge_0_3": "sep_conv_5x5", "normal/edge_2_3": "dil_conv_3x3"}


def test_options_outside_the_support_are_not_chosen_while_another_is_left():
    table = torch.arange(28.0 * 8).view(28, 8)
    support = [tuple(range(8))] * 28
    support[0], support[1], support[3], support[4] = (0, 2, 3), (), (1,), (0,)
    found = SPACE.discretize(Mixture(table, tuple(support))).mapping
    assert found["normal/edge_0_2"] == "skip_connect"
    assert found["normal/edge_1_2"] == "max_pool_3x3"  # two edges a node, though this one is empty
    assert found["normal/node_3/inputs"] == "0+1"


@pytest.mark.parametrize("min_edges", [0, 1])
def test_a_node_may_keep_fewer_edges_where_the_space_allows_it(min_edges):
    space = DartsSpace(min_edges=min_edges)
    for seed in range(20):
        genotype = space.sample(Random(seed))
        assert space.discretize(space.mixture(genotype)) == genotype


def test_a_genotype_of_fewer_edges_than_the_space_asks_for_is_refused_with_the_cure():
    free = DartsSpace(nodes=1, min_edges=0)
    inputs = {"normal/node_2/inputs": "1", "normal/edge_1_2": "skip_connect"}
    genotype = free.genotype(inputs | {"reduction/node_2/inputs": "nothing"})
    message = (
        r"^node 2 of the normal cell reads 1, which is less than search_space\.min_edges \(2\); "
        r"set search_space\.min_edges=0$"
    )
    with pytest.raises(ValueError, match=message):
        DartsSpace(nodes=1).validate(genotype)


def test_a_node_that_nothing_enters_is_drawn_as_zero():
    space = DartsSpace(nodes=1, min_edges=0)
    inputs = {"normal/node_2/inputs": "1", "normal/edge_1_2": "skip_connect"}
    normal, reduction = space.graphs(
        space.genotype(inputs | {"reduction/node_2/inputs": "nothing"})
    )
    assert (normal.nodes[2], reduction.nodes[2]) == ("2", "2 = 0")
    assert [edge.source for edge in reduction.edges] == ["2 = 0"]


def test_every_subset_of_at_most_two_edges_is_a_choice_of_inputs():
    (inputs, *edges) = DartsSpace(nodes=1, min_edges=0).decisions[:3]
    assert inputs.options == ("nothing", "0", "1", "0+1")
    assert [edge.given for edge in edges] == [
        (("normal/node_2/inputs", ("0", "0+1")),),
        (("normal/node_2/inputs", ("1", "0+1")),),
    ]


@pytest.mark.parametrize("name", published_names("darts"))
def test_a_published_genotype_survives_its_text(name):
    genotype = read_genotype(name, WIDE)
    assert WIDE.read_text(WIDE.write_text(genotype)) == genotype


def official_order(weights):
    """The official code's rule: operations and inputs of a node's two edges, the stronger first."""
    best = [max(range(1, 8), key=row.__getitem__) for row in weights]
    edges = sorted(range(len(weights)), key=lambda source: -weights[source][best[source]])[:2]
    return [(DARTS_OPS[best[source]], source) for source in edges]


def test_with_scores_a_text_has_the_stronger_edge_of_a_node_first_as_in_the_official_code():
    table = torch.randn(28, 8, generator=torch.Generator().manual_seed(0)).softmax(-1)
    scores = Mixture(table, (tuple(range(8)),) * 28)
    genotype = SPACE.discretize(scores)
    text = SPACE.write_text(genotype, scores)
    rows = [table[start : start + 2 + n].tolist() for n, start in enumerate((0, 2, 5, 9))]
    assert f"normal={[pair for node in rows for pair in official_order(node)]}, " in text
    assert text != SPACE.write_text(genotype)
    assert SPACE.read_text(text).id == genotype.id


FAIR_DARTS_A = (  # of the official code
    "FairDARTS_a = Genotype(normal=[('sep_conv_3x3', 2, 0), ('sep_conv_5x5', 2, 1), "
    "('max_pool_3x3', 4, 0), ('sep_conv_3x3', 5, 0)], normal_concat=range(2, 6), "
    "reduce=[('max_pool_3x3', 2, 0), ('avg_pool_3x3', 2, 1), ('avg_pool_3x3', 3, 0), "
    "('dil_conv_5x5', 3, 1), ('avg_pool_3x3', 4, 0), ('sep_conv_5x5', 4, 1), "
    "('skip_connect', 5, 0), ('skip_connect', 5, 1)], reduce_concat=range(2, 6))"
)


def test_a_text_names_the_node_of_each_edge_where_nodes_have_fewer_than_two():
    space = DartsSpace(min_edges=0)
    genotype = space.read_text(FAIR_DARTS_A)
    inputs = [genotype.mapping[f"normal/node_{node}/inputs"] for node in range(2, 6)]
    assert inputs == ["0+1", "nothing", "0", "0"]
    assert genotype.mapping["reduction/edge_1_4"] == "sep_conv_5x5"
    text = space.write_text(genotype)
    assert "normal=[('sep_conv_3x3', 2, 0), ('sep_conv_5x5', 2, 1), ('max_pool_3x3', 4, 0)" in text
    assert space.read_text(text).id == genotype.id
    with pytest.raises(ValueError, match=r"less than search_space\.min_edges \(2\); set "):
        SPACE.read_text(FAIR_DARTS_A)


@pytest.mark.parametrize("seed", range(10))
def test_every_genotype_survives_its_text_however_few_its_edges(seed):
    space = DartsSpace(nodes=2, min_edges=0)
    genotype = space.sample(seed)
    assert space.read_text(space.write_text(genotype)) == genotype
    empty = {
        f"{kind}/node_{n}/inputs": "nothing" for kind in ("normal", "reduction") for n in (2, 3)
    }
    assert space.read_text(space.write_text(space.genotype(empty))) == space.genotype(empty)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("4, 0)", "0)", "'normal' must name the node of every edge or of none; got both"),
        ("4, 0)", "7, 0)", r"has nodes \[2, 3, 4, 5\], an edge of the text's normal cell enters 7"),
        ("4, 0)", "4, 4)", r"read at most 2 different states below 4, got \[4\]"),
        ("4, 0)", "5, 0)", r"read at most 2 different states below 5, got \[0, 0\]"),
    ],
)
def test_edges_that_name_their_node_wrongly_are_refused(old, new, message):
    text = FAIR_DARTS_A.replace(f"'max_pool_3x3', {old}", f"'max_pool_3x3', {new}")
    with pytest.raises(ValueError, match=message):
        DartsSpace(min_edges=0).read_text(text)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (
            "('skip_connect', 0), ('skip_connect', 0)",
            r"read 2 different states below 2, got \[0, 0\]",
        ),
        ("('skip_connect', 0), ('skip_connect', 2)", r"states below 2, got \[0, 2\]"),
        ("('skip_connect', -1), ('skip_connect', 0)", r"states below 2, got \[-1, 0\]"),
        ("('none', 0), ('skip_connect', 1)", "unknown option 'none' of decision 'normal/edge_0_2'"),
    ],
)
def test_a_text_of_an_impossible_cell_is_refused(pairs, message):
    space = DartsSpace(nodes=1)
    text = f"Genotype(normal=[{pairs}], normal_concat=[2], reduce=[{pairs}], reduce_concat=[2])"
    with pytest.raises(ValueError, match=message):
        space.read_text(text)


def test_a_text_of_another_number_of_nodes_is_refused():
    with pytest.raises(ValueError, match=r"states \[2\], the text's normal cell \[2, 3"):
        DartsSpace(nodes=1).read_text(
            "Genotype(normal=[], normal_concat=[2, 3], reduce=[], reduce_concat=[2])"
        )


def test_darts_text_reads_to_the_zoos_genotype():
    text = (
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
        "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), "
        "('dil_conv_3x3', 2)], normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), "
        "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
        "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
        "reduce_concat=[2, 3, 4, 5])"
    )
    assert SPACE.read_text(text) == read_genotype("darts_v2", SPACE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "Genotype(normal=__import__('os').system('true'))",
            r"Genotype\(\.\.\.\) takes normal, .*; got normal",
        ),
        ("print('hello')", "DARTS's notation is Genotype"),
        (
            "Genotype(normal=[__import__('os')], normal_concat=[2], reduce=[], reduce_concat=[2])",
            "must be literals; nothing is run",
        ),
        ("Genotype(normal=[", "not a genotype in DARTS's notation"),
        (
            "Genotype(normal=[('skip_connect', 0)], normal_concat=[2, 3, 4, 5], reduce=[], "
            "reduce_concat=[2, 3, 4, 5])",
            "4 nodes have 8 edges, the text's normal cell has 1",
        ),
    ],
)
def test_other_texts_are_refused_and_not_run(text, message):
    with pytest.raises(ValueError, match=message):
        SPACE.read_text(text)


def test_small_images_and_small_auxiliary_maps_are_refused():
    genotype = SPACE.sample(Random(0))
    with pytest.raises(ValueError, match="images of 7 pixels are too small for the reductions"):
        SPACE.child(genotype, replace(CIFAR, input_shape=(3, 7, 9)))
    with pytest.raises(ValueError, match="map at two thirds of the cells has 4 pixels per side"):
        SPACE.child(genotype, replace(CIFAR, input_shape=(3, 16, 16), auxiliary=True))


def test_the_smallest_images_that_are_allowed_work():
    genotype = SPACE.sample(Random(0))
    scale = replace(CIFAR, channels=4, cells=3)
    small = SPACE.child(genotype, replace(scale, input_shape=(3, 8, 8)))
    assert small(torch.randn(2, 3, 8, 8)).shape == (2, 10)
    with pytest.raises(ValueError, match="has 7 pixels per side, and the auxiliary head needs 8"):
        SPACE.child(genotype, replace(scale, input_shape=(3, 28, 40), auxiliary=True))
    child = SPACE.child(genotype, replace(scale, input_shape=(3, 29, 40), auxiliary=True))
    assert child.forward_auxiliary(torch.randn(2, 3, 29, 40))[1].shape == (2, 10)


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 9, 13), (3, 11, 8), (4, 15, 15)], ids=str)
@pytest.mark.parametrize("flavour", ["search", "child"])
def test_images_of_any_channels_and_sizes_work(shape, flavour):
    scale = Scale(4, 3, flavour=flavour, input_shape=shape, num_outputs=6)
    x = torch.randn(2, *shape)
    assert SPACE.child(SPACE.sample(Random(0)), scale)(x).shape == (2, 6)
    assert SPACE.supernet(scale)(x, uniform_mixture(SPACE.choices)).shape == (2, 6)


@pytest.mark.parametrize("size", [32, 35])
def test_the_stem_for_large_images_reduces_to_an_eighth(size):
    scale = Scale(4, 3, stem="imagenet", input_shape=(3, size, size), num_outputs=6)
    child, seen = SPACE.child(SPACE.sample(Random(0)), scale), []
    for module in (*child.stem, *child.cells[0].preprocess):
        module.register_forward_hook(lambda _, __, out: seen.append(out.shape[-1]))
    assert child(torch.randn(2, 3, size, size)).shape == (2, 6)
    quarter, eighth = -(-size // 4), -(-size // 8)
    assert seen == [quarter, eighth, eighth, eighth]
    with pytest.raises(ValueError, match=r"scale\.stem=imagenet they need at least 32 pixels"):
        SPACE.child(SPACE.sample(Random(0)), replace(scale, input_shape=(3, 31, 40)))


def test_params_are_listed_in_one_order_whatever_the_seed():
    scale, names = Scale(4, 3, input_shape=(3, 8, 8), num_outputs=6), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        names.append([name for name, _ in SPACE.supernet(scale).named_parameters()])
    assert names[0] == names[1]
    child = {name for name, _ in SPACE.child(SPACE.sample(Random(0)), scale).named_parameters()}
    ordered = [name for name, _ in SPACE.child(SPACE.sample(Random(0)), scale).named_parameters()]
    assert ordered == [name for name in names[0] if name in child]


def test_auxiliary_head_gives_logits_of_its_own():
    scale = replace(CIFAR, channels=4, cells=3, auxiliary=True)
    child = SPACE.child(SPACE.sample(Random(0)), scale)
    logits, auxiliary = child.forward_auxiliary(torch.randn(2, 3, 32, 32))
    assert logits.shape == auxiliary.shape == (2, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nodes": 0}, r"^search_space\.nodes \(0\) must be at least 1; use e\.g\. 4$"),
        (
            {"ops": ("none", "conv9")},
            r"unknown search_space\.ops 'conv9'; choose from: none, max_pool",
        ),
        ({"ops": ("none",)}, r"ops \(\[none\]\) must hold an operation; add e\.g\. skip_connect"),
        ({"ops": ()}, r"ops \(\[\]\) must be different, and at least one; use e\.g\. \[none"),
        ({"min_edges": 3}, r"^search_space\.min_edges \(3\) must be in \[0, 2\]; use e\.g\. 2$"),
    ],
)
def test_impossible_spaces_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DartsSpace(**arguments)


def test_a_node_without_edges_is_zero_and_still_a_network():
    space = DartsSpace(min_edges=0)
    chosen = {decision.name: "nothing" for decision in space.decisions if decision.kind == "input"}
    genotype = space.genotype(chosen)
    scale = Scale(4, 3, input_shape=(3, 8, 8), num_outputs=3)
    child = space.child(genotype, scale)
    torch.testing.assert_close(child(torch.randn(2, 3, 8, 8)), child.classifier.bias.expand(2, 3))
