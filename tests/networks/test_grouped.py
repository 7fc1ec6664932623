"""Branches that run as one, against the same branches one by one."""

from dataclasses import replace
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from operators import launched
from planted_problem.spaces import PlantedCells
from representatives import some_slow
from search_step import updates_of

from nas_lightning.core.choices import Branch, Mixture
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import one_hot
from nas_lightning.networks import kernels, saved_tensors
from nas_lightning.networks.batch_norm import batch_norms, still_statistics
from nas_lightning.networks.cell import Cell
from nas_lightning.networks.grouped import BranchWeights, mixes, total
from nas_lightning.search_spaces.darts import DARTS_OPS, DartsSpace
from nas_lightning.search_spaces.enas_micro import EnasMicroSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.search_spaces.nasnet import NasnetSpace
from nas_lightning.training.updates import SearchUpdates

DARTS = DartsSpace(nodes=2)
MORE_OPS = ("skip_connect", "conv_3x1_1x3", "conv_1x1", "max_pool_5x5", "noise", "sep_conv_7x7")
SPACES = {
    "darts": DARTS,
    "other operations": DartsSpace(nodes=2, ops=MORE_OPS),
    "nasbench201": NasBench201Space(),
    "nasnet": NasnetSpace(blocks=2),
    "enas_micro": EnasMicroSpace(blocks=2),
    "planted": PlantedCells(),
}
SCALE = Scale(4, 3, input_shape=(3, 9, 8), num_outputs=3)
ADAMS = {"_local_scalar_dense": 1}  # Adam reads its counter of steps, on the CPU on any device
SHARES = {torch.float64: 1e-9, torch.float32: 1e-4}  # of each tensor's largest entry


def mixture_of(space, kind="random", dtype=torch.float64):
    rng = torch.Generator().manual_seed(0)
    sizes = [len(choice.options) for choice in space.choices]
    shape = len(sizes), max(sizes)
    weights = torch.rand(shape, generator=rng, dtype=dtype)
    support = tuple(tuple(range(size)) for size in sizes)
    if kind == "one-hot":  # all run, and all weights but the first options' are 0
        weights = F.one_hot(torch.zeros(shape[0], dtype=torch.long), shape[1]).to(dtype)
    elif kind == "zero":
        weights = torch.zeros(shape, dtype=dtype)
    elif kind == "partly supported":  # every choice loses another option, the third one all
        support = tuple(
            tuple(i for i in row if i != k % len(row) and k != 2) for k, row in enumerate(support)
        )
    return Mixture(weights.requires_grad_(), support)


def bundle(network, whether):
    for cell in (module for module in network.modules() if isinstance(module, Cell)):
        cell.bundled = whether


def results(space, scale, mixture, samples=3, training=True, dtype=torch.float64):
    """Returns what the network gives one by one and bundled: output, gradients, buffers."""
    found = []
    for whether in (False, True):
        torch.manual_seed(0)
        network = space.supernet(scale).to(dtype).train(training)
        bundle(network, whether)
        rng = torch.Generator().manual_seed(1)
        x = torch.randn(samples, *scale.input_shape, generator=rng, dtype=dtype)
        out = network(x.contiguous(memory_format=torch.channels_last), mixture)
        wrt = [mixture.weights, *network.parameters()]
        grads = torch.autograd.grad((out**2).sum(), wrt, allow_unused=True)
        found.append([out.detach(), *grads, *(b.clone() for b in network.buffers())])
    return found


def assert_same(found, dtype=torch.float64):
    """Compares with the largest entry; biases before BatchNorm have rounding alone as gradient."""
    assert [a is None for a in found[0]] == [a is None for a in found[1]]
    pairs = [(a, b) for a, b in zip(*found, strict=True) if a is not None and a.numel()]
    least = 1e-3 * max(float(one.abs().max()) for one, _ in pairs)
    for one, other in pairs:
        close = SHARES[dtype] * max(float(one.abs().max()), least)
        torch.testing.assert_close(other, one, rtol=0, atol=close)


KINDS = ("random", "one-hot", "zero", "partly supported")
SMALL = ("nasbench201", "planted")


def is_quick(name, kind, mode):
    """All mixtures of small spaces and of darts, and one kind of the others."""
    return name in SMALL or (mode == "training" and (name == "darts" or kind == "random"))


CASES = {"-".join(case): case for case in product(SPACES, KINDS, ("training", "evaluation"))}
OTHERS = [text for text, case in CASES.items() if case[0] == "nasnet" or not is_quick(*case)]


@pytest.mark.parametrize("case", some_slow(CASES, *OTHERS))
def test_outputs_gradients_and_statistics_are_those_of_single_branches(case):
    name, kind, mode = CASES[case]
    space, training = SPACES[name], mode == "training"
    assert_same(results(space, SCALE, mixture_of(space, kind), training=training))


@pytest.mark.parametrize("scale", [
    replace(SCALE, partial=4),
    pytest.param(replace(SCALE, partial=2, input_shape=(3, 8, 11)), marks=pytest.mark.slow),
    replace(SCALE, flavour="child"),
    replace(SCALE, batch_norm="fixed"),
    pytest.param(
        replace(SCALE, channels=6, cells=4, input_shape=(1, 16, 8)), marks=pytest.mark.slow),
    replace(SCALE, stem="imagenet", input_shape=(3, 32, 35)),
], ids=str)  # fmt: skip
def test_they_are_at_every_scale(scale):
    for kind in ("random", "partly supported"):
        assert_same(results(DARTS, scale, mixture_of(DARTS, kind)))


def test_they_are_for_a_batch_of_one():
    assert_same(results(DARTS, SCALE, mixture_of(DARTS), samples=1))


@pytest.mark.parametrize("name", ["darts", "nasbench201"])
def test_they_are_in_single_precision(name):
    mixture = mixture_of(SPACES[name], dtype=torch.float32)
    assert_same(results(SPACES[name], SCALE, mixture, dtype=torch.float32), torch.float32)


def test_weights_may_be_more_precise_than_the_network():
    found = results(DARTS, SCALE, mixture_of(DARTS, dtype=torch.float64), dtype=torch.float32)
    assert_same(found, torch.float32)


def test_statistics_that_stand_still_stand_still():
    network = DARTS.supernet(SCALE).double()
    before = [buffer.clone() for buffer in network.buffers()]
    with still_statistics(batch_norms(network)):
        network(torch.randn(2, *SCALE.input_shape, dtype=torch.float64), mixture_of(DARTS))
    assert all(torch.equal(a, b) for a, b in zip(before, network.buffers(), strict=True))


def test_single_paths_run_one_by_one_to_the_bit():
    mixture = one_hot(DARTS.choices, {choice.name: "sep_conv_3x3" for choice in DARTS.choices})
    one, other = results(DARTS, SCALE, Mixture(
        mixture.weights.double().requires_grad_(), mixture.support))  # fmt: skip
    same = (a is b or torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert all(same)


@pytest.mark.parametrize("what", ["mixture", "params"])
def test_second_derivatives_are_those_of_single_branches(what):
    found = []
    for whether in (False, True):
        torch.manual_seed(0)
        network = DARTS.supernet(SCALE).double()
        bundle(network, whether)
        rng, mixture = torch.Generator().manual_seed(1), mixture_of(DARTS)
        wrt = [mixture.weights] if what == "mixture" else list(network.parameters())
        x = torch.randn(2, *SCALE.input_shape, generator=rng, dtype=torch.float64)
        out = network(x, mixture)
        first = torch.autograd.grad((out**2).sum(), wrt, create_graph=True)
        found.append(torch.autograd.grad(sum((g**2).sum() for g in first), wrt))
    assert_same(found)


def test_edges_mix_where_several_branches_join_the_same_states():
    one, other = Branch(0, 2, "a"), Branch(1, 2, "a")
    assert not mixes([one, other])
    assert mixes([one, other, Branch(1, 2, "b")])


def test_weights_are_repeated_in_memory_since_batch_norm_misreads_expanded_ones():
    (weights,) = BranchWeights({"a": torch.tensor(2.0)}).split([("a",)], 3)
    assert weights.tolist() == [2.0, 2.0, 2.0]
    assert weights.stride() == (1,)


def test_a_sum_hands_its_gradient_on_uncopied():
    terms = [torch.ones(2, requires_grad=True) for _ in range(3)]
    grads = torch.autograd.grad(total(terms), terms, torch.ones(2))
    assert len({grad.data_ptr() for grad in grads}) == 1


@pytest.fixture
def step(monkeypatch):
    """A first-order step of DARTS's network at its size, by the operators of a GPU."""
    monkeypatch.setattr(kernels, "has_own_gradients", lambda x: False)
    monkeypatch.setattr(saved_tensors, "spares_memory", lambda x: False)
    space = DartsSpace(ops=DARTS_OPS, scale=Scale(16, 8))
    strategy = type(updates_of().strategy)(space, 0, 50)
    updates = SearchUpdates(space, strategy, (3, 8, 8), 10, steps=9)
    batch = torch.randn(2, 3, 8, 8), torch.tensor([1, 2])
    return lambda: strategy.search_step(batch, batch, updates)


def test_a_step_launches_at_most_8500_operators_and_never_waits_for_one(step):
    step()  # builds the optimisers
    counts = launched(step)
    assert counts.total() <= 8500
    waiting = ("_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select", "unique")
    assert {name: counts[name] for name in waiting if counts[name]} == ADAMS
