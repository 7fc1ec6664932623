"""The fused sum of branches in C++, against the plain arrangement."""

from copy import deepcopy
from weakref import ref

import pytest
import torch
import torch.nn.functional as F
from native_kernels import computing_with, needs_kernels

from nas_lightning.core.choices import Mixture
from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm, batch_norms, still_statistics
from nas_lightning.networks.fused_node import fused_sum
from nas_lightning.networks.operations import build_operation
from nas_lightning.networks.state import State
from nas_lightning.networks.terms import Term
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space

pytestmark = needs_kernels()
# A float64 pass rounds at 1e-16 and twenty layers amplify it; a float32 one rounds at 6e-8.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
SPACES = {"darts": DartsSpace, "nasbench201": NasBench201Space}


def supernet(space="darts", channels=4, side=9, dtype=torch.float64, **more):
    scale = Scale(channels, 3, input_shape=(3, side, side + 1), num_outputs=5, **more)
    torch.manual_seed(0)
    built = SPACES[space](scale=scale)
    return built, built.supernet(scale).to(dtype)


def mixture_of(space, kind="random", dtype=torch.float64):
    """Weights of a kind for all options, of which a "partly" supported one lets half run."""
    rng = torch.Generator().manual_seed(1)
    size = len(space.choices), max(len(choice.options) for choice in space.choices)
    table = torch.randn(size, generator=rng, dtype=dtype)
    if kind == "one-hot":
        table = F.one_hot(table.argmax(1), size[1]).to(dtype)
    step = 2 if kind == "partly" else 1
    support = [tuple(range(0, len(choice.options), step)) for choice in space.choices]
    return Mixture(torch.zeros_like(table) if kind == "zero" else table, tuple(support))


def passed(kernels, network, mixture, batch=3, wrt="all", side=9):
    """What a pass of a copy of a network gives: outputs, gradients and buffers."""
    network, weights = deepcopy(network), mixture.weights.clone().requires_grad_()
    rng = torch.Generator().manual_seed(2)
    x = torch.randn(batch, 3, side, side + 1, generator=rng, dtype=weights.dtype)
    params = list(network.parameters())
    for param in params:
        param.requires_grad_(wrt != "weights")
    with computing_with(kernels):
        network = network.to(memory_format=torch.channels_last)
        out = network(
            x.contiguous(memory_format=torch.channels_last), Mixture(weights, mixture.support)
        )
    inputs = ([] if wrt == "params" else [weights]) + ([] if wrt == "weights" else params)
    grads = torch.autograd.grad((out**2).sum(), inputs, allow_unused=True)
    return [out, *(g for g in grads if g is not None), *network.buffers()]


def assert_equal(mine, theirs, tolerance):
    assert len(mine) == len(theirs)
    # What is truly zero is rounding, on some CPUs 2e-13 of the largest of all for one image.
    rounding = 1e-3 * max(float(b.detach().abs().max()) for b in theirs)
    for a, b in zip(mine, theirs, strict=True):
        largest = max(float(b.detach().abs().max()), rounding)
        assert float((a - b).detach().abs().max()) <= tolerance * largest


def assert_passes_are_equal(space, network, kind="random", **more):
    mixture = mixture_of(space, kind, next(network.parameters()).dtype)
    mine, theirs = (passed(each, network, mixture, **more) for each in ("native", "plain"))
    assert_equal(mine, theirs, TOLERANCE[mixture.weights.dtype])


def test_a_pass_is_that_of_the_plain_arrangement():
    assert_passes_are_equal(*supernet())


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("side", [8, 9, 16])
@pytest.mark.parametrize("kind", ["random", "one-hot", "zero", "partly"])
@pytest.mark.parametrize("space", SPACES)
def test_every_mixture_and_size_is_that_of_the_plain_arrangement(space, kind, side, batch):
    assert_passes_are_equal(*supernet(space, side=side), kind, side=side, batch=batch)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [2, 8, 13, 16, 24])
def test_every_number_of_channels_is_that_of_the_plain_arrangement(channels):
    assert_passes_are_equal(*supernet(channels=channels))


@pytest.mark.slow
def test_part_of_the_channels_is_that_of_the_plain_arrangement():
    assert_passes_are_equal(*supernet(channels=8, partial=4))


@pytest.mark.parametrize("wrt", ["weights", "params"])
def test_gradients_of_one_kind_alone_are_those_of_the_plain_arrangement(wrt):
    assert_passes_are_equal(*supernet(channels=2), wrt=wrt)


def cell_terms(dtype):
    """Terms of every kind on 8x8 images of ten channels, and what they are differentiated in."""
    torch.manual_seed(0)
    norm = Norm(affine=False, after_pools=True, fixed=False)
    names = "sep_conv_3x3", "dil_conv_5x5", "skip_connect", "max_pool_3x3", "avg_pool_3x3"
    ops = [build_operation(name, 10, 1, norm).to(dtype) for name in names]
    x = torch.randn(4, 10, 8, 8, dtype=dtype).contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    weights = torch.randn(len(ops), dtype=dtype).requires_grad_()
    return ops, x, weights, [x, weights, *(p for op in ops for p in op.parameters())]


def node(ops, x, weights):
    state = State(x)
    return fused_sum([op.term(state, w) for op, w in zip(ops, weights, strict=True)])


def plain_node(ops, x, weights):
    return sum(w * op(State(x)) for op, w in zip(ops, weights, strict=True))


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_node_is_the_weighted_sum_of_its_operations(dtype):
    ops, x, weights, wrt = cell_terms(dtype)
    found = []
    for function, kernels in ((node, "native"), (plain_node, "plain")):
        copies = deepcopy(ops)
        inputs = [x, weights, *(p for op in copies for p in op.parameters())]
        with computing_with(kernels):
            out = function(copies, x, weights)
            grads = torch.autograd.grad((out**3).sum(), inputs)
        found.append([out, *grads, *(b for op in copies for b in op.buffers())])
    assert len(wrt) == len(inputs)
    assert_equal(*found, TOLERANCE[dtype])


def test_second_derivatives_are_those_of_the_plain_arrangement():
    ops, x, weights, wrt = cell_terms(torch.float64)
    found = []
    for function, kernels in ((node, "native"), (plain_node, "plain")):
        with computing_with(kernels):
            first = torch.autograd.grad(
                (function(ops, x, weights) ** 3).sum(), wrt, create_graph=True
            )
            length = sum((g**2).sum() for g in first)
            found.append([*first, *torch.autograd.grad(length, wrt)])
    assert_equal(*found, 1e-9)  # both in float64


def test_bits_do_not_depend_on_the_number_of_threads_and_are_the_same_again():
    ops, x, weights, wrt = cell_terms(torch.float32)
    found, before = [], torch.get_num_threads()
    with computing_with("native"):
        for threads in (1, 1, 3):
            torch.set_num_threads(threads)
            try:
                out = node(ops, x, weights)
                found.append([out, *torch.autograd.grad(out.square().mean(), wrt)])
            finally:
                torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_statistics_that_are_still_or_fixed_or_evaluated_stay():
    ops, x, weights, _ = cell_terms(torch.float64)
    norms = batch_norms(torch.nn.ModuleList(ops))
    before = [norm.running_var.clone() for norm in norms]
    with computing_with("native"):
        with still_statistics(norms):
            node(ops, x, weights)
        for op in ops:
            op.eval()
        out = node(ops, x, weights)
    assert all(torch.equal(a, norm.running_var) for a, norm in zip(before, norms, strict=True))
    assert_equal([out], [plain_node(ops, x, weights)], 1e-9)


def summed(*terms):
    with computing_with("native"):
        return fused_sum(terms)


def test_branches_of_unlike_size_or_type_are_refused():
    """Kernels of pointers would read beyond the smaller one."""
    x, weight = torch.ones(2, 4, 8, 8), torch.ones(())
    for other in (x[:, :, ::2, ::2], x[:1], x[:, :1], x.double()):
        with pytest.raises(ValueError, match="must return images of one size and type, got"):
            summed(Term(x, weight), Term(other, weight))


def test_images_that_do_not_fit_the_kernels_are_refused():
    conv = build_operation("sep_conv_3x3", 6, 1, Norm(False, True, False))
    with computing_with("native"):
        term = conv.term(State(torch.ones(2, 4, 8, 8)), torch.ones(()))
        with pytest.raises(ValueError, match="do not fit kernels"):
            fused_sum([term])


def test_one_value_per_channel_is_refused_as_by_torch():
    pool = build_operation("max_pool_3x3", 4, 1, Norm(False, True, False))
    with computing_with("native"):
        term = pool.term(State(torch.ones(1, 4, 1, 1)), torch.ones(()))
        with pytest.raises(ValueError, match="must have more than one value per channel"):
            fused_sum([term])


def test_what_a_pass_keeps_is_freed_with_its_gradients_while_the_sum_lives():
    ops, x, weights, _ = cell_terms(torch.float32)
    with computing_with("native"):
        state = State(x * 1.0)
        out = node(ops, state.x, weights)
        freed = ref(state.x)
        del state
        assert freed() is not None
        torch.autograd.grad(out.sum(), [x, weights])
    assert out.requires_grad
    assert freed() is None
