from dataclasses import replace
from itertools import product
from random import Random

import pytest
import torch
import torch.nn.functional as F

from nas_lightning.core.choices import Mixture
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import child_cost, uniform_mixture
from nas_lightning.search_spaces.chain import ChainSpace

SPACE = ChainSpace()
STRIDED = ChainSpace(depths=(3,), strides=(1, 2, 3))
FIXED = ChainSpace(depths=(3,), heights=(3,), widths=(5,), filters=(24,))
TINY = Scale(4, flavour="child", input_shape=(1, 9, 8), num_outputs=3)
IMAGES = torch.randn(2, 1, 9, 8, generator=torch.Generator().manual_seed(0))


def wired(space, **skips):
    """The first genotype of a space with some skips, e.g. s2_1="yes"."""
    chosen = {decision.name: decision.options[0] for decision in space.decisions}
    named = {f"layer_{k[1:].replace('_', '/skip_')}": option for k, option in skips.items()}
    return space.genotype(chosen | named)


def test_the_number_of_genotypes_is_the_sum_over_depths():
    assert SPACE.count() == sum(4 ** (3 * n) * 2 ** (n * (n - 1) // 2) for n in (4, 6, 8))


def test_a_search_of_the_papers_depth_is_counted_and_sampled():
    deep = ChainSpace(depths=tuple(range(6, 41, 2)))
    assert deep.count() > 10**280
    assert deep.validate(deep.sample(Random(0))).mapping["depth"] in {"36", "38", "40"}


def test_the_depth_comes_first_and_grows():
    assert SPACE.decisions[0].name == "depth"
    assert SPACE.decisions[0].options == ("4", "6", "8")
    shallow = [d for d in SPACE.decisions if not d.given]
    assert {d.name.split("/")[0] for d in shallow} == {
        "depth",
        *(f"layer_{i}" for i in range(1, 5)),
    }


def test_a_support_of_small_depths_runs_small_networks_alone():
    supernet, ran = SPACE.supernet(TINY), []
    for name, layer in supernet.layers.items():
        layer.register_forward_hook(lambda _, __, ___, name=name: ran.append(int(name)))
    mixture = uniform_mixture(SPACE.choices)
    supernet(IMAGES, replace(mixture, support=((0, 1), *mixture.support[1:])))
    assert ran == [1, 2, 3, 4, 5, 6]


def test_the_convolution_of_a_concatenation_is_what_a_layer_does():
    child, kept = FIXED.child(wired(FIXED, s3_1="yes", s3_2="yes"), TINY), {}
    for name, layer in child.layers.items():
        layer.norm.register_forward_hook(
            lambda _, inputs, out, name=name: kept.update({name: (inputs[0], out.relu())})
        )
    child(IMAGES)
    both = torch.cat([kept["1"][1], kept["2"][1]], dim=1)
    weight = torch.cat([conv.weight for conv in child.layers["3"].convs.values()], dim=1)
    expected = F.conv2d(both, weight, padding=(1, 2))
    torch.testing.assert_close(kept["3"][0], expected, rtol=1e-4, atol=1e-5)


def test_a_layer_without_input_reads_the_image_and_unread_ones_reach_the_classifier():
    child = FIXED.child(wired(FIXED, s3_1="yes"), TINY)
    read = {name: set(layer.convs) for name, layer in child.layers.items()}
    assert read == {"1": {"0"}, "2": {"0"}, "3": {"1"}}
    assert set(child.heads) == {"2", "3"}


def test_smaller_maps_are_padded_with_zeros_to_the_largest():
    genotype = wired(STRIDED, s3_1="yes", s3_2="yes").mapping
    strides = {"layer_1/stride_height": "3", "layer_2/stride_width": "2"}
    child, kept = STRIDED.child(STRIDED.genotype({**genotype, **strides}), TINY), {}
    for name, layer in child.layers.items():
        layer.norm.register_forward_hook(
            lambda _, inputs, out, name=name: kept.update({name: (inputs[0], out.relu())})
        )
    child(IMAGES)
    first, second = (kept[name][1] for name in "12")
    assert (first.shape[2:], second.shape[2:]) == ((3, 8), (9, 4))
    both = torch.cat([F.pad(first, (0, 0, 0, 6)), F.pad(second, (0, 4, 0, 0))], dim=1)
    weight = torch.cat([conv.weight for conv in child.layers["3"].convs.values()], dim=1)
    torch.testing.assert_close(kept["3"][0], F.conv2d(both, weight), rtol=1e-4, atol=1e-5)


def test_strides_work_on_the_smallest_maps():
    for seed in range(5):
        genotype = STRIDED.sample(Random(seed))
        assert STRIDED.decode(STRIDED.encode(genotype)) == genotype
        assert STRIDED.child(genotype, replace(TINY, input_shape=(2, 2, 1)))(
            torch.randn(3, 2, 2, 1)
        ).shape == (3, 3)


@pytest.mark.parametrize("strides", [(1, 2, 3), (2,)])
def test_with_other_strides_than_one_there_is_no_supernet(strides):
    given = ", ".join(map(str, strides))
    with pytest.raises(ValueError, match=rf"strides \[{given}\] has no supernet.*=random"):
        ChainSpace(depths=(3,), strides=strides).supernet(TINY)


def test_the_cost_is_the_one_of_its_layers():
    scale = replace(FIXED.published_scale(), num_outputs=10)
    found = child_cost(FIXED, wired(FIXED, s2_1="yes", s3_1="yes", s3_2="yes"), scale)
    convs = 15 * 24 * (3 + 24 + 48)
    assert found["parameters"] == convs + 3 * 48 + 24 * 10 + 10
    assert found["multiply_adds"] == convs * 32 * 32 + 24 * 10


def test_the_expected_cost_is_the_mean_over_all_options():
    space = ChainSpace(depths=(1, 2), heights=(1, 3), widths=(1,), filters=(24, 36))
    rng = torch.Generator().manual_seed(0)
    table = torch.rand(len(space.choices), 2, generator=rng, dtype=torch.float64)
    table[[len(c.options) == 1 for c in space.choices], 1] = 0.0
    table /= table.sum(dim=1, keepdim=True)
    cost, full = space.cost(TINY), uniform_mixture(space.choices).support
    names, expected = [c.name for c in space.choices], 0.0
    for options in product(*full):
        chance = float(table[range(len(names)), options].prod())
        one_hot = torch.zeros_like(table)
        one_hot[range(len(names)), options] = 1.0
        corner = Mixture(one_hot, tuple((option,) for option in options))
        child = child_cost(space, space.discretize(corner), TINY)
        assert cost.of_child(space.mixture(space.discretize(corner))) == child
        expected += chance * child["parameters"]
    assert cost.of(Mixture(table, full))["parameters"].item() == pytest.approx(expected)


def test_a_drawing_names_layers_and_what_they_read():
    (graph,) = FIXED.graphs(wired(FIXED, s3_1="yes"))
    image, first, second, third, classifier = graph.nodes
    assert third == "3: 3x5x24"
    assert {(e.source, e.target) for e in graph.edges} == {
        (image, first),
        (image, second),
        (first, third),
        (second, classifier),
        (third, classifier),
    }
    assert STRIDED.graphs(wired(STRIDED))[0].nodes[1] == "1: 1x1x24 /1x1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"heights": (2, 3)},
            r"^search_space\.heights \(\[2, 3\]\) must be different odd numbers >= 1; use",
        ),
        ({"widths": ()}, r"widths \(\[\]\) must be different odd numbers >= 1"),
        ({"filters": (24, 24)}, r"filters \(\[24, 24\]\) must be different numbers"),
        ({"strides": (0,)}, r"strides \(\[0\]\) must be different numbers >= 1"),
        ({"depths": (6, 4)}, r"^search_space\.depths \(\[6, 4\]\) must grow; use e\.g\. \[4, 6\]$"),
    ],
)
def test_impossible_spaces_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ChainSpace(**arguments)
