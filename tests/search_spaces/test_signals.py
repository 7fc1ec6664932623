"""The contract of every space on signals (C, L): it runs on them with one axis, or refuses them."""

from dataclasses import replace
from random import Random

import pytest
import torch
from omegaconf import OmegaConf
from representatives import SPACES_LIKE_OTHERS, some_slow
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nas_lightning.config.making import make
from nas_lightning.config.paths import config_dir
from nas_lightning.core.choices import Mixture
from nas_lightning.core.search_space import child_cost, inherit, uniform_mixture
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import DropPath
from nas_lightning.networks.kernels import as_maps
from nas_lightning.networks.operations import OPERATIONS, FactorizedReduction, build_operation
from nas_lightning.networks.state import State
from nas_lightning.search_spaces.chain import ChainSpace
from nas_lightning.search_spaces.darts import DartsSpace

ONLY_IMAGES = {"mobile", "custom"}  # the example of a module of one's own is of images
FILES = sorted((config_dir() / "search_space").glob("*.yaml"))
OF_SIGNALS = [path for path in FILES if path.stem not in ONLY_IMAGES]
SHAPES = [(1, 8), (2, 13)]
SEARCH = Norm(affine=False, after_pools=True, fixed=False, axes=1)


def made(path, shape):
    """The space of a file as a search on signals of this shape has it."""
    config = OmegaConf.load(path)
    if "blocks" in config:
        config.blocks = 2
    space = make(config, "search_space")
    return space.fitted(replace(space.scale, input_shape=shape, num_outputs=3))


def small(space, shape, **more):
    return replace(space.scale, channels=4, cells=3, input_shape=shape, num_outputs=3, **more)


@pytest.fixture(params=some_slow(OF_SIGNALS, *SPACES_LIKE_OTHERS))
def space(request):
    return made(request.param, (2, 13))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_one_hot_supernet_is_the_inherited_child_to_the_bit(space, shape):
    scale, x = small(space, shape), torch.randn(4, *shape)
    supernet = space.supernet(scale)
    supernet(x, uniform_mixture(space.choices))  # moves the running statistics
    for seed, training in enumerate((True, False)):
        genotype = space.sample(Random(seed))
        child = space.child(genotype, scale)
        inherit(child, supernet)
        supernet.train(training), child.train(training)
        assert torch.equal(supernet(x, space.mixture(genotype)), child(x))


def test_kernels_have_one_axis(space):
    networks = [space.supernet(small(space, (2, 13)))]
    networks += [space.child(space.sample(0), small(space, (2, 13), flavour="child"))]
    convs = [m for net in networks for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert {conv.weight.shape[2] for conv in convs} == {1}
    assert max(conv.weight.shape[3] for conv in convs) >= 3


def test_the_cost_is_what_torchs_own_counter_finds(space):
    """Long enough that no tap lies wholly in the padding, which we would not run."""
    scale = small(space, (2, 64), flavour="child")
    for seed in range(3):
        genotype = space.sample(Random(seed))
        child, cost = space.child(genotype, scale).eval(), child_cost(space, genotype, scale)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            child(torch.randn(1, 2, 64))
        assert cost["multiply_adds"] == counter.get_total_flops() // 2
        assert cost["parameters"] == sum(p.numel() for p in child.parameters())


def test_every_alpha_is_moved(space):
    supernet, mixture = space.supernet(small(space, (2, 13))), uniform_mixture(space.choices)
    weights = mixture.weights.requires_grad_()
    logits = supernet(torch.randn(2, 2, 13), Mixture(weights, mixture.support))
    (gradient,) = torch.autograd.grad((logits**2).sum(), weights)
    assert [row for row in gradient.tolist() if not any(row)] == []


@pytest.mark.slow
def test_a_child_can_be_exported_and_drops_paths(space):
    child = space.child(space.sample(Random(0)), small(space, (2, 13)))
    x = torch.randn(3, 2, 13)
    assert child(x, drop_path=DropPath(0.5)).shape == (3, 3)
    exported = torch.export.export(child.eval(), (x,)).module()
    torch.testing.assert_close(exported(x), child(x))


@pytest.mark.parametrize("name", ["darts", "nasnet", "enas_micro"])
@pytest.mark.parametrize(("stem", "length"), [("cifar", 30), ("imagenet", 224)])
def test_both_stems_and_the_auxiliary_head_have_one_axis(name, stem, length):
    space = made(config_dir() / "search_space" / f"{name}.yaml", (1, length))
    scale = small(space, (1, length), flavour="child", stem=stem, auxiliary=True)
    child = space.child(space.sample(0), scale)
    logits = child.forward_auxiliary(torch.randn(2, 1, length))
    assert [x.shape for x in logits] == [(2, 3), (2, 3)]
    convs = [m for m in child.modules() if isinstance(m, nn.Conv2d)]
    assert {conv.weight.shape[2] for conv in convs} == {1}


def test_a_space_of_images_alone_refuses_signals_with_the_cure():
    mobile = made(config_dir() / "search_space" / "mobile.yaml", (1, 40))
    with pytest.raises(
        ValueError, match=r"scale.input_shape \(\(1, 40\)\) must be \(channels, hei"
    ):
        mobile.supernet(small(mobile, (1, 40)))
    with pytest.raises(ValueError, match=r"for signals choose e.g. search_space=darts"):
        mobile.child(mobile.sample(0), small(mobile, (1, 40)))


def test_cells_refuse_tables_and_short_signals_with_the_cure():
    space = DartsSpace()
    with pytest.raises(
        ValueError, match=r"scale.input_shape \(\(5,\)\) must be .*, length\) of sig"
    ):
        space.supernet(small(space, (5,)))
    with pytest.raises(ValueError, match=r"signals of length 7 are too short .* at least 8 values"):
        space.supernet(small(space, (3, 7)))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("length", [8, 9])
@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"noise"}))
def test_an_operation_is_torchs_own_on_one_axis(name, stride, length):
    """Each layer of it, one by one, against the functions of torch for (N, C, L)."""
    op = build_operation(name, 4, stride, SEARCH).double().eval()
    x = torch.randn(2, 4, length, dtype=torch.float64)
    torch.testing.assert_close(
        op(State(as_maps(x))).squeeze(2), along_one_axis(op, x, name, stride)
    )


def along_one_axis(op, x, name, stride):
    """An operation whose BatchNorm is fresh, so that it only divides by sqrt(1 + eps)."""
    if name == "skip_connect" and stride == 1:
        return x
    fresh = (1 + 1e-5) ** -0.5
    kind, kernel = OPERATIONS[name]
    if kind == "max":
        return fresh * nn.functional.max_pool1d(x, kernel, stride, kernel // 2)
    if kind == "average":
        return fresh * nn.AvgPool1d(3, stride, 1, count_include_pad=False)(x)
    if isinstance(op, FactorizedReduction):
        x = nn.functional.pad(x.relu(), (0, x.shape[2] % 2))
        halves = ((op.even, x[..., ::2]), (op.odd, x[..., 1::2]))
        return fresh * torch.cat([conv1d(conv, part, 1) for conv, part in halves], 1)
    for layer in (nn.ReLU(), *op.layers):
        if isinstance(layer, nn.Conv2d):
            x = conv1d(layer, x, layer.stride[1])
        else:
            x = layer(x) if isinstance(layer, nn.ReLU) else fresh * x
    return x


def conv1d(conv, x, stride):
    weight = conv.weight.squeeze(2)
    padding, dilation = conv.padding[1], conv.dilation[1]
    return nn.functional.conv1d(x, weight, conv.bias, stride, padding, dilation, conv.groups)


def test_gradients_of_depthwise_kernels_on_signals_are_torchs_own():
    for stride, dilation in ((1, 1), (2, 1), (1, 2), (2, 2)):
        op = build_operation("sep_conv_5x5" if dilation == 1 else "dil_conv_5x5", 4, stride, SEARCH)
        conv = op.double().layers[0]
        x = torch.randn(2, 4, 12, dtype=torch.float64, requires_grad=True)
        inputs = (x, conv.weight)
        mine = torch.autograd.grad((conv(as_maps(x)) ** 2).sum(), inputs)
        theirs = torch.autograd.grad((conv1d(conv, x, stride) ** 2).sum(), inputs)
        torch.testing.assert_close(mine, theirs)


def test_a_chain_on_signals_decides_no_heights():
    space = ChainSpace(depths=(2,), strides=(1, 2)).fitted(small(ChainSpace(), (1, 40)))
    heights = [d.options for d in space.decisions if "height" in d.name]
    assert heights == [("1",)] * 4
    assert space.count() == (4 * 4 * 2) ** 2 * 2  # widths, filters and strides; one skip


def test_a_chain_that_decides_heights_gives_them_one_row_on_signals():
    space = ChainSpace(depths=(2,))
    scale, genotype = small(space, (1, 12)), space.sample(3)
    supernet, child = space.supernet(scale), space.child(genotype, scale)
    inherit(child, supernet)
    x = torch.randn(2, 1, 12)
    assert torch.equal(supernet(x, space.mixture(genotype)), child(x))
    cost = space.cost(scale).of_child(space.mixture(genotype))
    assert cost == child_cost(space, genotype, scale)
