from dataclasses import replace
from random import Random

import pytest
import torch

from nas_lightning.core.choices import Mixture
from nas_lightning.core.notation import read_darts_text
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import child_cost
from nas_lightning.search_spaces.darts import DARTS_OPS, DartsSpace
from nas_lightning.zoo.reader import published_names, read_genotype

SPACE = DartsSpace()
CIFAR = SPACE.published_scale()
IMAGENET = Scale(
    48, 14, stem="imagenet", flavour="child", input_shape=(3, 224, 224), num_outputs=1000
)


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


def test_text_notation_has_cells():
    cells = read_darts_text(
        "Genotype(normal=[('a', 0)], normal_concat=range(2, 4), reduce=[], reduce_concat=(2,))"
    )
    assert cells["normal"].edges == (("a", 0),)
    assert cells["normal"].concat == (2, 3)


def test_small_images_and_small_auxiliary_maps_are_refused():
    genotype = SPACE.sample(Random(0))
    with pytest.raises(ValueError, match="images of 7 pixels are too small for the reductions"):
        SPACE.child(genotype, replace(CIFAR, input_shape=(3, 7, 9)))
    with pytest.raises(ValueError, match="map at two thirds of the cells has 4 pixels a side"):
        SPACE.child(genotype, replace(CIFAR, input_shape=(3, 16, 16), auxiliary=True))


def test_auxiliary_head_gives_logits_of_its_own():
    scale = replace(CIFAR, channels=4, cells=3, auxiliary=True)
    child = SPACE.child(SPACE.sample(Random(0)), scale)
    logits, auxiliary = child.forward_auxiliary(torch.randn(2, 3, 32, 32))
    assert logits.shape == auxiliary.shape == (2, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nodes": 0}, r"nodes \(0\) must be at least 1"),
        ({"ops": ("none", "conv9")}, "unknown op 'conv9'; choose from: none, max_pool_3x3"),
        ({"ops": ("none",)}, r"ops \(none\) must be different"),
        ({"min_edges": 3}, r"min_edges \(3\) must be 0, 1 or 2"),
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
