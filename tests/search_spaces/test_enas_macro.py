from dataclasses import replace
from random import Random

import pytest
import torch
import torch.nn.functional as F

from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import child_cost, uniform_mixture
from nas_lightning.search_spaces.enas_macro import MACRO_OPS, EnasMacroSpace
from nas_lightning.zoo.reader import read_genotype

SPACE, SMALL, DEEP = EnasMacroSpace(), EnasMacroSpace(layers=4), EnasMacroSpace(layers=24)
TINY = Scale(4, flavour="child", input_shape=(1, 8, 8), num_outputs=3)
PUBLISHED = read_genotype("enas_macro", DEEP)
TEXT = "0 / 3 0 / 0 1 0 / 2 0 0 1"


def params_by_hand(genotype, channels):
    """Counts the paper's network by formula, layer by layer, with separable convolutions."""
    chosen, total = genotype.mapping, 27 * channels + 2 * channels
    for layer in range(1, 25):
        op, kernel = chosen[f"layer_{layer}/op"], int(chosen[f"layer_{layer}/op"][-1])
        full = kernel**2 * channels**2
        wide = full if op.startswith("conv") else kernel**2 * channels + channels**2
        total += channels**2 + wide + 4 * channels
        skips = sum(chosen[f"layer_{layer}/skip_{s}"] == "yes" for s in range(layer - 1))
        total += ((skips + 1) * channels**2 + 2 * channels) * (layer > 1)
        if layer in (8, 16):
            total += (layer + 1) * (2 * channels**2 + 4 * channels)  # all of them are read later
            channels = 2 * channels
    return total + 10 * channels + 10


def test_the_papers_network_has_the_size_that_its_layers_add_up_to():
    found = child_cost(DEEP, PUBLISHED, DEEP.published_scale())["parameters"]
    assert found == params_by_hand(PUBLISHED, 96) == 30_947_434


def test_the_number_of_genotypes_is_the_papers():
    assert SPACE.count() == 6**12 * 2 ** (12 * 11 // 2)


def test_enas_text_is_read_layer_by_layer():
    found = SMALL.read_text(TEXT).mapping
    assert [found[f"layer_{i}/op"] for i in range(1, 5)] == [
        "conv_3x3",
        "sep_conv_5x5",
        "conv_3x3",
        "conv_5x5",
    ]
    assert [name for name, option in found.items() if option == "yes"] == [
        "layer_3/skip_0",
        "layer_4/skip_2",
    ]
    assert read_genotype(TEXT, SMALL) == SMALL.read_text(TEXT.replace("/", "\n"))
    assert SMALL.write_text(SMALL.read_text(TEXT)) == TEXT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1 0", r"of 4 layers is 10 digits, .* got '0 1 0'"),
        (TEXT.replace("3", "x"), "is 10 digits"),
        (TEXT.replace("3", "01"), "is 10 digits, .* got '.*01"),
        (TEXT.replace("3", "6"), "'layer_2/op' must be below 6, the text has 6"),
        (TEXT.replace("1 0", "2 0"), "'layer_3/skip_0' must be below 2, the text has 2"),
    ],
)
def test_another_text_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        SMALL.read_text(text)


def test_a_genotype_of_another_depth_is_refused_with_the_cure():
    with pytest.raises(ValueError, match=r"has 24 layers, .* 12; set search_space\.layers=24"):
        SPACE.validate(PUBLISHED)


@pytest.mark.parametrize(("flavour", "widths"), [("child", [4, 8, 16]), ("search", [4, 4, 4])])
def test_channels_grow_in_children_and_maps_are_halved_after_each_third(flavour, widths):
    child, seen = SPACE.child(SPACE.sample(Random(0)), replace(TINY, flavour=flavour)), []
    for layer in ("4", "8", "12"):
        child.layers[layer].register_forward_hook(lambda _, __, out: seen.append(out.shape[1:]))
    assert child(torch.randn(2, 1, 8, 8)).shape == (2, 3)
    assert [tuple(shape) for shape in seen] == [
        (widths[0], 8, 8),
        (widths[1], 4, 4),
        (widths[2], 2, 2),
    ]


def test_skips_are_the_convolution_of_their_concatenation():
    child = SMALL.child(SMALL.read_text("0 / 0 1 / 0 0 0 / 0 0 0 0"), TINY)
    layer, kept = child.layers["2"].eval(), {}
    layer.norm.register_forward_hook(lambda _, inputs, __: kept.update(joined=inputs[0]))
    layer.ops["conv_3x3"].register_forward_hook(lambda _, __, out: kept.update(own=out))
    child.reductions["1_of_0"].register_forward_hook(lambda _, __, out: kept.update(skip=out))
    child(torch.randn(2, 1, 8, 8))
    both = torch.cat([kept["own"], kept["skip"]], dim=1).relu()
    weight = torch.cat([layer.own.weight, layer.skips["0"].weight], dim=1)
    torch.testing.assert_close(kept["joined"], F.conv2d(both, weight), rtol=1e-4, atol=1e-5)


def test_a_reduction_that_nobody_reads_is_not_there():
    none = SMALL.child(SMALL.read_text("0 / 0 0 / 0 0 0 / 0 0 0 0"), TINY)
    assert set(none.reductions) == {"1_of_1", "2_of_2"}
    late = SMALL.child(SMALL.read_text("0 / 0 0 / 0 0 0 / 0 1 0 0"), TINY)
    assert set(late.reductions) == {"1_of_0", "1_of_1", "2_of_0", "2_of_2"}


def test_the_expected_cost_is_the_mean_over_all_genotypes():
    space = EnasMacroSpace(layers=3, ops=("conv_3x3", "max_pool_3x3"))
    cost, mixture = space.cost(TINY), uniform_mixture(space.choices)
    codes = [[int(bit) for bit in f"{code:0{len(space.decisions)}b}"] for code in range(2**6)]
    costs = [cost.of_child(space.mixture(space.decode(code)))["parameters"] for code in codes]
    assert len(costs) == space.count()
    assert cost.of(mixture)["parameters"].item() == pytest.approx(sum(costs) / len(costs))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": 2}, r"^search_space\.layers \(2\) must be at least 3; use e\.g\. 12$"),
        ({"ops": ("conv9",)}, f"unknown search_space.ops 'conv9'; choose from: {MACRO_OPS[0]}"),
        ({"ops": ()}, r"ops \(\[\]\) must be different, and at least one; use e\.g\. \[conv_3x3"),
    ],
)
def test_impossible_spaces_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        EnasMacroSpace(**arguments)


def test_a_stem_for_large_images_is_refused():
    with pytest.raises(ValueError, match=r"'enas_macro' has no scale\.stem 'imagenet'; .* cifar"):
        SPACE.child(SPACE.sample(Random(0)), replace(TINY, stem="imagenet"))
