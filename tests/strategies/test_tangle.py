"""Weight entanglement, against networks that mix padded slices of one weight by hand."""

import pytest
import torch
import torch.nn.functional as F
from plain_context import PlainContext, one_shot, search
from torch.utils.flop_counter import FlopCounterMode

from nas_lightning.core.choices import Mixture
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import inherit
from nas_lightning.search_spaces.chain import ChainSpace
from nas_lightning.search_spaces.custom import CustomSpace, example
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.mobile import MobileSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.tangle import Tangle

SCALE = Scale(4, input_shape=(6, 8, 8), num_outputs=4)
CHAIN = ChainSpace(depths=(2,), heights=(1, 3), widths=(1, 3, 5), filters=(24, 48))
MOBILE = MobileSpace(depths=(1, 1, 1, 1, 1, 2))
BLOCK = "stage_6/block_2"


def numbers(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=rng)


IMAGES, LABELS = numbers(8, 6, 8, 8), torch.arange(8) % 4


def built(space, sampler="darts"):
    """Returns a supernet in double precision, and a strategy with alphas that differ."""
    torch.manual_seed(0)
    network = space.supernet(SCALE).double()
    strategy = Tangle(space, seed=0, sampler=sampler).double()
    with torch.no_grad():
        strategy.alpha.copy_(numbers(*strategy.alpha.shape, seed=1))
    return network, strategy


def padded(weight, shape):
    """Returns a slice with zeros around its kernel, and behind its channels, up to a shape."""
    height, width = ((shape[axis] - weight.shape[axis]) // 2 for axis in (2, 3))
    more = shape[1] - weight.shape[1]
    return F.pad(weight, (width, width, height, height, 0, more))


def part(weight, channels, height, width):
    """Returns the slice of some kernel and leading channels in."""
    top, left = (weight.shape[2] - height) // 2, (weight.shape[3] - width) // 2
    return weight[:, :channels, top : top + height, left : left + width]


def entangled(weight, channels, heights, widths):
    """Returns sum_o w_o * pad(slice_o(W)); each argument is a list of pairs: size, its weight."""
    return sum(
        u * v * w * padded(part(weight, c, h, k), weight.shape)
        for c, u in channels
        for h, v in heights
        for k, w in widths
    )


def weighted(space, mixture, name, unit=1):
    row = space.rows[name]
    sizes = [round(int(option) * unit) for option in space.choices[row].options]
    return list(zip(sizes, mixture.weights[row], strict=False))


def batch_norm(x):
    return F.batch_norm(x, None, None, training=True)


def chain_by_hand(network, mixture):
    """Returns the logits of two layers, each of which convolves once per layer that it reads."""
    unit = SCALE.channels / 24
    first, second = network.layers["1"].convs, network.layers["2"].convs
    sides = [
        [weighted(CHAIN, mixture, f"layer_{i}/filter_{side}") for side in ("height", "width")]
        for i in (1, 2)
    ]
    filters = [weighted(CHAIN, mixture, f"layer_{i}/filters", unit) for i in (1, 2)]
    no, yes = mixture.weights[CHAIN.rows["layer_2/skip_1"]][:2]
    kernel = entangled(first["0"].weight, [(6, 1.0)], *sides[0])
    one = F.relu(batch_norm(F.conv2d(IMAGES, kernel, padding=(1, 2))))
    kernel = no * entangled(second["0"].weight, [(6, 1.0)], *sides[1])
    read = F.conv2d(IMAGES, kernel, padding=(1, 2))
    kernel = yes * entangled(second["1"].weight, filters[0], *sides[1])
    two = F.relu(batch_norm(read + F.conv2d(one, kernel, padding=(1, 2))))
    heads = [
        entangled(network.heads[i].weight, sizes, [(1, 1.0)], [(1, 1.0)]).flatten(1)
        for i, sizes in zip("12", filters, strict=True)
    ]
    pooled = [x.mean(dim=(2, 3)) for x in (one, two)]
    return network.bias + no * pooled[0] @ heads[0].T + pooled[1] @ heads[1].T


def mobile_block_by_hand(block, mixture, x):
    """Returns the output of an inverted residual that may be left out."""
    kernels = weighted(MOBILE, mixture, f"{BLOCK}/kernel")
    hidden = weighted(MOBILE, mixture, f"{BLOCK}/expansion", x.shape[1])
    out = F.relu6(batch_norm(F.conv2d(x, block.expand.weight)))
    whole = block.depthwise.weight
    kernel = sum(w * padded(part(whole, 1, k, k), whole.shape) for k, w in kernels)
    out = F.relu6(batch_norm(F.conv2d(out, kernel, padding=3, groups=len(whole))))
    kernel = entangled(block.project.weight, hidden, [(1, 1.0)], [(1, 1.0)])
    out = batch_norm(F.conv2d(out, kernel))
    return x + mixture.weights[MOBILE.rows[f"{BLOCK}/skip"], 0] * out


@pytest.mark.parametrize("sampler", ["drnas", "darts"])
def test_a_chain_convolves_with_the_sum_of_padded_slices(sampler):
    network, strategy = built(CHAIN, sampler)
    mixture = strategy.mixture("alpha")
    torch.testing.assert_close(network(IMAGES, mixture), chain_by_hand(network, mixture))


@pytest.mark.parametrize("sampler", ["drnas", "darts"])
def test_a_mobile_block_convolves_with_the_sum_of_padded_slices(sampler):
    network, strategy = built(MOBILE, sampler)
    block, mixture = network.blocks[BLOCK], strategy.mixture("alpha")
    x = numbers(3, block.block.channels_in, 5, 5)
    torch.testing.assert_close(block(x, mixture), mobile_block_by_hand(block, mixture, x))


def slopes(value, alpha, entries):
    """Returns the central differences of a value, in some entries of alpha."""
    found = []
    for row, column in entries:
        ends = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                alpha[row, column] += step
                ends.append(float(value()))
                alpha[row, column] -= step
        found.append((ends[0] - ends[1]) / 2e-5)
    return torch.tensor(found, dtype=torch.float64)


def test_the_gradient_of_alpha_in_a_chain_is_that_of_the_equation():
    network, strategy = built(CHAIN)
    names = ["layer_1/filter_height", "layer_2/filter_width", "layer_1/filters", "layer_2/filters"]
    entries = [(CHAIN.rows[name], option) for name in names for option in range(2)]

    def loss(logits):
        return F.cross_entropy(logits, LABELS)

    value = loss(network(IMAGES, strategy.mixture("alpha")))
    (gradient,) = torch.autograd.grad(value, strategy.alpha)
    by_hand = loss(chain_by_hand(network, strategy.mixture("alpha")))
    torch.testing.assert_close(gradient, torch.autograd.grad(by_hand, strategy.alpha)[0])
    moved = slopes(
        lambda: loss(network(IMAGES, strategy.mixture("params"))), strategy.alpha, entries
    )
    found = torch.stack([gradient[entry] for entry in entries])
    assert found.abs().min() > 1e-6
    torch.testing.assert_close(found, moved, rtol=1e-4, atol=1e-8)  # of steps of 1e-5


@pytest.mark.parametrize("choice", ["kernel", "expansion", "skip"])
def test_the_gradient_of_alpha_in_a_mobile_block_is_that_of_the_equation(choice):
    network, strategy = built(MOBILE)
    block, row = network.blocks[BLOCK], MOBILE.rows[f"{BLOCK}/{choice}"]
    x, slope = numbers(3, block.block.channels_in, 5, 5), numbers(3, 40, 5, 5, seed=2)
    value = (block(x, strategy.mixture("alpha")) * slope).sum()
    (gradient,) = torch.autograd.grad(value, strategy.alpha)
    by_hand = (mobile_block_by_hand(block, strategy.mixture("alpha"), x) * slope).sum()
    torch.testing.assert_close(gradient, torch.autograd.grad(by_hand, strategy.alpha)[0])
    entries = [(row, option) for option in range(len(MOBILE.choices[row].options))]
    moved = slopes(
        lambda: (block(x, strategy.mixture("params")) * slope).sum(), strategy.alpha, entries
    )
    assert gradient[row].abs().max() > 1e-3
    found = torch.stack([gradient[entry] for entry in entries])
    torch.testing.assert_close(found, moved, rtol=1e-4, atol=1e-6)  # of steps of 1e-5


@pytest.mark.parametrize("space", [CHAIN, MOBILE], ids=["chain", "mobile"])
def test_alphas_that_have_decided_give_the_child_to_the_bit(space):
    network, strategy = built(space)
    genotype = space.sample(3)
    one_hot = space.mixture(genotype)
    with torch.no_grad():
        strategy.alpha.copy_(2000.0 * one_hot.weights)
    mixture = Mixture(strategy.mixture("params").weights, one_hot.support)
    child = space.child(genotype, SCALE).double()
    inherit(child, network)
    assert torch.equal(network(IMAGES, mixture), child(IMAGES))
    assert strategy.derive() == genotype


def flops(call):
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def test_a_mixture_of_all_sizes_costs_no_more_than_its_largest_child():
    network, strategy = built(MOBILE)
    largest = {c.name: max(c.options, key=int) for c in MOBILE.choices if c.kind == "size"}
    child = MOBILE.child(MOBILE.genotype({f"{BLOCK}/skip": "no"} | largest), SCALE).double()
    mixed = flops(lambda: network(IMAGES, strategy.mixture("params")))
    assert mixed == flops(lambda: child(IMAGES))


@pytest.mark.parametrize(
    ("sampler", "name", "settings"),
    [
        ("drnas", "drnas", {"partial": [1], "kept": [1.0], "warmup": 0.0}),
        ("darts", "darts", {}),
        ("gdas", "gdas", {}),
    ],
)
def test_a_search_has_the_bits_of_its_sampler_in_a_single_stage(sampler, name, settings):
    ends = []
    for which, more in (("tangle", {"sampler": sampler}), (name, settings)):
        strategy = one_shot(which, CHAIN, epochs=2, **more)
        context = PlainContext(strategy, CHAIN, SCALE)
        search(strategy, context, range(2))
        ends.append([strategy.alpha, *context.params.values(), strategy.scores().weights])
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(*ends, strict=True))


@pytest.mark.parametrize(
    "space",
    [
        DartsSpace(),
        NasBench201Space(),
        CustomSpace(example, scale=Scale(input_shape=(3, 8, 8), num_outputs=4)),
    ],
    ids=lambda space: space.name,
)
def test_a_space_whose_options_share_no_weight_is_refused_with_those_that_do(space):
    message = (
        f"needs sizes whose options share one weight, of which search space '{space.name}' has "
        "none; choose search_space=mobile or search_space=chain, or another strategy such as "
        "strategy=drnas"
    )
    with pytest.raises(ValueError, match=message):
        Tangle(space, seed=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": "snas"}, "unknown strategy.sampler 'snas'; choose from: drnas, darts, gdas"),
        ({"tau_start": 0.0}, r"strategy.tau_start \(0.0\) must be above 0; use e.g. 10.0"),
        ({"tau_end": -1.0}, r"strategy.tau_end \(-1.0\) must be above 0; use e.g. 0.1"),
        ({"tau_start": 5.0}, r"tau_end \(5.0, 0.1\) have no effect with strategy.sampler=drnas"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        one_shot("tangle", CHAIN, **settings)
