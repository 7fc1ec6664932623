"""The ResNet beside a found network: the paper's, at the width that comes nearest."""

import pytest
import torch

from nas_lightning.core.scale import Scale
from nas_lightning.evaluation.residual_baseline import (
    ResidualNetwork,
    nearest_width,
    takes_residual,
)
from nas_lightning.networks.cell import DropPath


def parameters(network):
    return sum(param.numel() for param in network.parameters())


def test_it_has_the_papers_parameters():
    scale = Scale(input_shape=(3, 32, 32), num_outputs=10)
    conv = 9 * (3 * 16 + 2 * 16 * 16 + 16 * 32 + 32 * 32 + 32 * 64 + 64 * 64)
    shortcuts, norms = 16 * 32 + 32 * 64, 2 * (3 * 16 + 3 * 32 + 3 * 64)
    assert parameters(ResidualNetwork(16, scale)) == conv + shortcuts + norms + 64 * 10 + 10


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 224, 224), (2, 96), (1, 1, 1)])
@pytest.mark.parametrize("wanted", [1, 5_000, 144_826, 2_000_000])
def test_no_other_width_comes_nearer(shape, wanted):
    scale = Scale(input_shape=shape, num_outputs=10)
    width = nearest_width(wanted, scale)
    around = [w for w in (width - 1, width, width + 1) if w]
    sizes = {w: abs(parameters(ResidualNetwork(w, scale)) - wanted) for w in around}
    assert min(sizes, key=sizes.get) == width


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 33, 20), (2, 96), (4, 7)])
def test_it_takes_images_and_signals(shape, stem):
    network = ResidualNetwork(4, Scale(input_shape=shape, num_outputs=5, stem=stem))
    assert network(torch.rand(2, *shape)).shape == (2, 5)


def test_its_branches_are_dropped_as_a_childs_are():
    network = ResidualNetwork(2, Scale(input_shape=(1, 8, 8), num_outputs=3))
    x, drop = torch.rand(64, 1, 8, 8), DropPath(0.5, torch.Generator().manual_seed(0))
    assert not torch.equal(network(x, drop), network(x))
    network.eval()
    assert torch.equal(network(x, drop), network(x))


def test_tables_have_none():
    assert [takes_residual(Scale(input_shape=s)) for s in ((6,), (2, 9), (1, 8, 8))] == [
        False,
        True,
        True,
    ]
