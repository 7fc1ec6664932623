"""Children against the papers' plain arrangement: outputs, gradients and running statistics."""

import pytest
import torch
import torch.nn.functional as F
from native_kernels import computing_with, needs_kernels
from plain_child import DARTS_V2, PlainChild
from plain_darts import copy_params

from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import batch_norms
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.zoo.reader import read_genotype

# A float64 pass rounds at 1e-16 and some fifty layers amplify it; a float32 one rounds at 6e-8.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3}


def networks(dtype):
    """The papers' child and ours, of the same params."""
    space = DartsSpace()
    sizes = {"flavour": "child", "auxiliary": True, "input_shape": (3, 32, 32), "num_outputs": 10}
    torch.manual_seed(0)
    ours = space.child(read_genotype("darts_v2", space), Scale(4, 6, **sizes)).to(dtype)
    with torch.no_grad():
        for norm in batch_norms(ours):
            norm.weight.uniform_(-1.5, 1.5)
            norm.bias.normal_()
    plain = PlainChild(DARTS_V2, 4, 6, 3, 10).to(dtype)
    copy_params(plain, ours)
    return plain, ours


def batch(dtype, num=3):
    rng = torch.Generator().manual_seed(1)
    return torch.randn(num, 3, 32, 32, generator=rng, dtype=dtype), torch.arange(num)


def loss_of(outputs, labels):
    logits, auxiliary = outputs
    return F.cross_entropy(logits, labels) + 0.4 * F.cross_entropy(auxiliary, labels)


def furthest(ours, theirs):
    """The largest distance of two lists of tensors, each to the largest entry of the second."""
    pairs = zip(ours, theirs, strict=True)
    return max((a - b).abs().max().item() / b.abs().max().item() for a, b in pairs)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(
    "kernels", ["plain", "torch", pytest.param("native", marks=needs_kernels())]
)
def test_a_training_pass_is_that_of_the_papers_arrangement(kernels, dtype):
    plain, ours = networks(dtype)
    x, labels = batch(dtype)
    expected = plain(x)
    loss_of(expected, labels).backward()
    with computing_with(kernels):
        outputs = ours.forward_auxiliary(x)
        loss_of(outputs, labels).backward()
    grads = [[p.grad for p in network.parameters()] for network in (ours, plain)]
    assert furthest(outputs, expected) < TOLERANCE[dtype]
    assert furthest(*grads) < TOLERANCE[dtype]


@pytest.mark.parametrize("kernels", ["torch", pytest.param("native", marks=needs_kernels())])
def test_running_statistics_move_as_in_the_papers_arrangement(kernels):
    plain, ours = networks(torch.float64)
    x, _ = batch(torch.float64)
    plain(x)
    with computing_with(kernels):
        ours.forward_auxiliary(x)
    norms = batch_norms(ours), batch_norms(plain)
    for name in ("running_mean", "running_var"):
        assert furthest(*([getattr(n, name) for n in each] for each in norms)) < 1e-9


@pytest.mark.parametrize("kernels", ["torch", pytest.param("native", marks=needs_kernels())])
def test_a_trained_child_answers_as_in_the_papers_arrangement(kernels):
    plain, ours = networks(torch.float64)
    x, _ = batch(torch.float64)
    with computing_with(kernels):
        logits = ours.eval()(x)
    assert furthest([logits], [plain.eval()(x)[0]]) < 1e-9
