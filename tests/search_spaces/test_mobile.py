from dataclasses import replace
from random import Random

import pytest
import torch

from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import child_cost, inherit, uniform_mixture
from nas_lightning.search_spaces.mobile import MobileSpace
from nas_lightning.zoo.reader import read_genotype

SPACE = MobileSpace()
TINY = Scale(4, input_shape=(1, 8, 8), num_outputs=3)


def test_proxyless_mobile_has_the_published_size():
    genotype = read_genotype("proxyless_mobile", SPACE)
    cost = child_cost(SPACE, genotype, SPACE.published_scale())
    assert cost == {"parameters": 4_080_512, "multiply_adds": 320_427_584}


def test_the_number_of_genotypes_is_six_for_a_first_block_and_seven_for_the_others():
    assert SPACE.count() == 6**6 * 7**15


def test_a_block_that_is_left_out_has_no_sizes():
    names = [decision.name for decision in SPACE.decisions if decision.kind == "skip"]
    smallest = SPACE.genotype(
        dict.fromkeys(names, "yes")
        | {f"stage_{n}/block_1/{key}": "3" for n in range(1, 7) for key in ("kernel", "expansion")}
    )
    child = SPACE.child(smallest, TINY)
    assert len(child.blocks) == 6
    with pytest.raises(ValueError, match=r"'stage_1/block_2/kernel' \('5'\) has no effect"):
        SPACE.genotype(smallest.mapping | {"stage_1/block_2/kernel": "5"})


def test_a_block_left_out_of_the_support_is_the_identity():
    supernet, x = SPACE.supernet(TINY).eval(), torch.randn(2, 1, 8, 8)
    ran = []
    supernet.blocks["stage_1/block_2"].project.register_forward_hook(lambda *_: ran.append(1))
    mixture = uniform_mixture(SPACE.choices)
    index = [choice.name for choice in SPACE.choices].index("stage_1/block_2/skip")
    support = list(mixture.support)
    support[index] = (1,)
    supernet(x, replace(mixture, support=tuple(support)))
    assert ran == []


@pytest.mark.parametrize(
    ("stem", "sides"), [("cifar", [32, 16, 8, 8, 4, 4]), ("imagenet", [8, 4, 2, 2, 1, 1])]
)
def test_a_stem_for_large_images_reduces_to_a_thirty_second(stem, sides):
    scale = replace(TINY, stem=stem, input_shape=(3, 32, 32))
    child, seen = SPACE.child(SPACE.sample(Random(0)), scale), []
    for stage in range(1, 7):
        block = child.blocks[f"stage_{stage}/block_1"]
        block.register_forward_hook(lambda _, __, out: seen.append(out.shape[-1]))
    assert child(torch.randn(2, 3, 32, 32)).shape == (2, 3)
    assert seen == sides


def test_drawings_show_what_is_left_of_a_stage():
    genotype = read_genotype("proxyless_mobile", SPACE)
    first = SPACE.graphs(genotype)[0]
    assert first.nodes == ("in", "1", "2")
    assert [(e.source, e.target, e.label) for e in first.edges] == [
        ("in", "1", "5x5, expansion 3"),
        ("1", "2", "3x3, expansion 3"),
        ("1", "2", ""),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"kernels": (3, 4)},
            r"^search_space\.kernels \(\[3, 4\]\) must be different odd numbers >= 1; use",
        ),
        ({"kernels": ()}, r"kernels \(\[\]\) must be different odd numbers"),
        (
            {"expansions": (0, 6)},
            r"expansions \(\[0, 6\]\) must be different numbers >= 1; use e\.g\. \[3, 6\]",
        ),
        ({"expansions": (6, 6)}, r"expansions \(\[6, 6\]\) must be different"),
        (
            {"depths": (4, 4)},
            r"depths \(\[4, 4\]\) must be 6 numbers >= 1, one per stage; use e\.g\. \[4",
        ),
    ],
)
def test_impossible_spaces_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MobileSpace(**arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"auxiliary": True}, r"'mobile' has no auxiliary head .*auxiliary=false"),
        ({"partial": 2}, r"'mobile' has no partial channels \(scale\.partial is 2\)"),
    ],
)
def test_what_has_no_meaning_without_cells_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        SPACE.child(SPACE.sample(Random(0)), replace(TINY, **change))


@pytest.mark.parametrize("expansions", [(1, 3), (1,)])
def test_a_block_that_is_no_wider_than_its_input_is_its_supernets(expansions):
    space = MobileSpace(expansions=expansions)
    supernet, x = space.supernet(TINY), torch.randn(3, 1, 8, 8)
    for seed in range(2):
        genotype = space.sample(Random(seed))
        child = space.child(genotype, TINY)
        inherit(child, supernet)
        assert torch.equal(supernet(x, space.mixture(genotype)), child(x))
