"""Mixtures whose weights differ from cell to cell."""

import pytest
import torch
from planted_problem.spaces import PlantedCells

from nas_lightning.core.choices import Mixture
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import uniform_mixture
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.enas_micro import EnasMicroSpace
from nas_lightning.search_spaces.mobile import MobileSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.search_spaces.nasnet import NasnetSpace

SPACES = [
    DartsSpace(nodes=2),
    NasBench201Space(),
    NasnetSpace(blocks=1),
    EnasMicroSpace(blocks=2),
    PlantedCells(),
]
SCALE = Scale(4, 4, input_shape=(6, 8, 8), num_outputs=5)


@pytest.fixture(params=SPACES, ids=lambda space: space.name)
def space(request):
    return request.param


def built(space):
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(1)
    uniform = uniform_mixture(space.choices)
    weights = uniform.weights.double() * (1 + torch.rand(uniform.weights.shape, generator=rng))
    x = torch.randn(4, 6, 8, 8, dtype=torch.float64, generator=rng)
    return space.supernet(SCALE).double(), x, Mixture(weights, uniform.support)


def per_cell(space, mixture):
    cells = len(space.cell_rows(SCALE))
    return mixture.weights.expand(cells, *mixture.weights.shape).clone()


def test_equal_weights_in_all_cells_have_the_bits_of_shared_ones(space):
    supernet, x, mixture = built(space)
    apart = Mixture(per_cell(space, mixture), mixture.support)
    assert torch.equal(supernet(x, apart), supernet(x, mixture))


def test_the_gradients_of_cells_sum_to_that_of_shared_weights(space):
    supernet, x, mixture = built(space)
    shared = mixture.weights.clone().requires_grad_()
    apart = per_cell(space, mixture).requires_grad_()
    of = lambda w: supernet(x, Mixture(w, mixture.support)).square().mean()  # noqa: E731
    (whole,) = torch.autograd.grad(of(shared), shared)
    (parts,) = torch.autograd.grad(of(apart), apart)
    torch.testing.assert_close(parts.sum(dim=0), whole, rtol=1e-9, atol=1e-12)
    for rows, part in zip(space.cell_rows(SCALE), parts, strict=True):
        others = [row for row in range(len(part)) if row not in rows]
        assert part[list(rows)].any()
        assert not part[others].any()


def test_a_mixture_of_another_number_of_cells_is_refused(space):
    supernet, x, mixture = built(space)
    weights = per_cell(space, mixture)[:1]
    with pytest.raises(ValueError, match=r"must have weights \(\d, \d+, \d+\) and .*, got \(1, \d"):
        supernet(x, Mixture(weights, mixture.support))


def test_a_space_without_cells_takes_shared_weights_alone():
    space = MobileSpace()
    assert space.cell_rows(space.scale) == ()
    mixture = uniform_mixture(space.choices)
    supernet = space.supernet(space.scale.of_data((3, 16, 16), 4))
    with pytest.raises(ValueError, match=r"must have weights \(\d+, \d+\) and a support"):
        supernet(torch.zeros(2, 3, 16, 16), Mixture(mixture.weights[None], mixture.support))
