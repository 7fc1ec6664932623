from dataclasses import replace
from random import Random

import pytest
import torch

from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import child_cost, inherit, uniform_mixture
from nas_lightning.search_spaces.nasnet import NASNET_OPS, NasnetSpace
from nas_lightning.zoo.reader import read_genotype

SPACE = NasnetSpace()
NASNET_A = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 0), "
    "('sep_conv_3x3', 0), ('avg_pool_3x3', 1), ('skip_connect', 0), ('avg_pool_3x3', 0), "
    "('avg_pool_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 1)], normal_concat=range(2, 7), "
    "reduce=[('sep_conv_5x5', 1), ('sep_conv_7x7', 0), ('max_pool_3x3', 1), ('sep_conv_7x7', 0), "
    "('avg_pool_3x3', 1), ('sep_conv_5x5', 0), ('skip_connect', 3), ('avg_pool_3x3', 2), "
    "('sep_conv_3x3', 2), ('max_pool_3x3', 1)], reduce_concat=[4, 5, 6])"
)


def params_of(name, channels):
    scale = replace(SPACE.published_scale(), channels=channels)
    return child_cost(SPACE, read_genotype(name, SPACE), scale)["parameters"]


def test_amoebanet_a_has_the_published_params():
    assert params_of("amoebanet_a", 36) == 3_145_078 == pytest.approx(3.2e6, rel=0.03)


def test_nasnet_a_has_the_published_params_with_what_the_published_code_reads_beside():
    widths = [32] * 6 + [64] * 7 + [128] * 7
    follow = {i: widths[i + 1 : i + 3] for i in range(20)}
    reductions = (6, 13)
    sixth = 128 * 10 + sum(widths[i] * sum(follow[i]) for i in follow if i not in reductions)
    fourth = sum(widths[i] * sum(follow[i]) for i in reductions)
    separable = sum((96 - 32) * (side**2 + 32) for side in (3, 5, 3))
    projected = (
        96 * 32 + 2 * 32
    )  # the stem: not for all at once, but for two pools, a skip, the end
    assert (sixth, fourth, separable + 3 * projected) == (225_536, 40_960, 18_304)
    published = params_of("nasnet_a", 32) + sixth + fourth + separable + 3 * projected
    assert params_of("nasnet_a", 32) == 3_061_738
    assert published == 3_346_538 == pytest.approx(3.3e6, rel=0.03)


def test_nasnet_a_has_the_params_of_darts_own_code():
    assert params_of("nasnet_a", 36) == 3_830_950


def test_with_all_blocks_concatenated_the_space_holds_pnasnets_cell():
    space = NasnetSpace(output="blocks")
    genotype = read_genotype("pnasnet", space)
    assert space.read_text(space.write_text(genotype)) == genotype
    for graph in space.graphs(genotype):
        assert [e.source for e in graph.edges if e.target == "c_{k}"] == ["2", "3", "4", "5", "6"]
    with pytest.raises(ValueError, match=r"that nothing reads, here \[2, 3, 5, 6\], the text's"):
        SPACE.read_text(space.write_text(genotype))


def test_with_all_blocks_concatenated_the_one_hot_supernet_is_the_child():
    space = NasnetSpace(blocks=2, ops=["skip_connect", "conv_1x1"], output="blocks")
    scale = Scale(channels=2, cells=3, input_shape=(1, 8, 8), num_outputs=2)
    supernet, x = space.supernet(scale), torch.randn(3, 1, 8, 8)
    for genotype in (space.sample(Random(seed)) for seed in range(3)):
        child = space.child(genotype, scale)
        inherit(child, supernet)
        assert torch.equal(supernet(x, space.mixture(genotype)), child(x))
        assert space.cost(scale).of_child(space.mixture(genotype)) == child_cost(
            space, genotype, scale
        )


def test_darts_text_reads_to_the_zoos_genotype_whatever_the_order_of_halves():
    assert SPACE.read_text(NASNET_A) == read_genotype("nasnet_a", SPACE)


def test_what_is_written_in_darts_notation_is_read_again_unless_a_block_concatenates():
    for genotype in (SPACE.sample(Random(seed)) for seed in range(20)):
        added = {n: "add" if n.endswith("/combine") else o for n, o in genotype.choices}
        adding = SPACE.genotype(added)
        assert SPACE.read_text(SPACE.write_text(adding)) == adding
        assert (SPACE.write_text(genotype) is None) == (genotype != adding)


def test_the_operations_are_the_papers_thirteen():
    assert len(set(NASNET_OPS)) == 13
    assert {c.options for c in SPACE.choices if c.kind == "op"} == {NASNET_OPS}


@pytest.mark.slow  # contract tests have two blocks
def test_at_its_full_size_the_one_hot_supernet_is_the_child():
    scale = Scale(channels=2, cells=3, input_shape=(1, 8, 8), num_outputs=2)
    torch.manual_seed(0)
    supernet, x = SPACE.supernet(scale), torch.randn(3, 1, 8, 8)
    supernet(x, uniform_mixture(SPACE.choices))
    for seed in range(4):
        genotype = SPACE.sample(Random(seed))
        child = SPACE.child(genotype, scale)
        inherit(child, supernet)
        assert torch.equal(supernet(x, SPACE.mixture(genotype)), child(x))
        assert torch.equal(supernet.eval()(x, SPACE.mixture(genotype)), child.eval()(x))
        supernet.train()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("range(2, 7)", "[2, 3]", r"here \[2, 3, 4, 5, 6\], the text's normal cell \[2, 3\]; see"),
        ("('sep_conv_3x3', 0), ", "", r"^5 blocks have 10 edges, the text's normal cell has 8$"),
        ("'avg_pool_3x3'", "'conv9'", r"^unknown normal/block_4 op 'conv9'; choose from: skip_"),
        (
            "('skip_connect', 3)",
            "('skip_connect', 5)",
            r"^reduction/block_5 must read states from 0 to 4, got 5$",
        ),
        (
            "('skip_connect', 3)",
            "('skip_connect', -1)",
            r"^reduction/block_5 .* from 0 to 4, got -1$",
        ),
    ],
)
def test_a_text_of_another_space_is_refused(old, new, message):
    with pytest.raises(ValueError, match=message):
        SPACE.read_text(NASNET_A.replace(old, new))


def test_darts_text_needs_a_space_whose_blocks_add():
    with pytest.raises(ValueError, match=r"notation add.*; set search_space\.combines=\[add\]"):
        NasnetSpace(combines=["concat"]).read_text(NASNET_A)
