"""The dominant eigenvalue against known ones, and against the full Hessian of real supernets."""

from types import SimpleNamespace

import pytest
import torch
from native_kernels import computing_with, needs_kernels
from representatives import some_slow
from search_step import in_double

from nas_lightning.core.scale import Scale
from nas_lightning.core.search_context import averaged
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.curvature import (
    alpha_eigenvalue,
    dominant_eigenvalue,
    largest_eigenvalue,
)
from nas_lightning.strategies.darts import Darts
from nas_lightning.strategies.drnas import DrNas
from nas_lightning.strategies.random_sharing import RandomSharing
from nas_lightning.training.supernet import SupernetModule
from nas_lightning.training.updates import SearchUpdates

SPACES = {
    "nasbench201": NasBench201Space(scale=Scale(2, 3)),
    "darts": DartsSpace(nodes=1, scale=Scale(2, 3)),
}
SHAPE, CLASSES = (3, 8, 8), 4
TIGHT = 1e-10


class Alone:
    """A context of one process."""

    def gradient(self, loss, wrt):
        return torch.autograd.grad(loss, wrt)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def symmetric(eigenvalues, seed=0):
    """Returns a matrix of known eigenvalues in a random basis."""
    size = len(eigenvalues)
    noise = torch.randn(size, size, generator=rng(seed), dtype=torch.float64)
    basis, _ = torch.linalg.qr(noise)
    return basis @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ basis.T


@pytest.mark.parametrize(
    "eigenvalues",
    [
        [4.0, 1.0, 0.5, -3.0],
        [2.0, -50.0, 1.9, 0.0, 0.0],  # the largest is not that of the largest magnitude
        [3.0, 3.0, 3.0, 1.0],
        [-1.0, -2.0, -3.0],
        [7.0],
    ],
)
def test_the_largest_eigenvalue_of_a_quadratic_is_found(eigenvalues):
    matrix = symmetric(eigenvalues)
    x = torch.randn(len(eigenvalues), generator=rng(1), dtype=torch.float64, requires_grad=True)
    found = dominant_eigenvalue(x @ matrix @ x / 2, [x], Alone(), rng(2), TIGHT)
    assert found == pytest.approx(max(eigenvalues), rel=1e-8)


def test_few_products_find_what_stands_apart():
    matrix, calls = symmetric([10.0, *torch.linspace(-1, 1, 199).tolist()]), []
    found = largest_eigenvalue(
        lambda v: calls.append(0) or matrix @ v, torch.ones(200, dtype=torch.float64)
    )
    assert found == pytest.approx(10.0, rel=1e-3)
    assert len(calls) < 15


def test_the_eigenvalues_of_a_linear_and_of_a_missing_loss_are_zero():
    x, other = torch.ones(3, requires_grad=True), torch.ones(2, requires_grad=True)
    assert dominant_eigenvalue(x.sum(), [x, other], Alone(), rng()) == 0.0


def updates_of(space, strategy=Darts):
    return in_double(SearchUpdates(space, strategy(space, 0), SHAPE, CLASSES, seed=1))


def batch(dtype=torch.float64):
    return torch.randn(6, *SHAPE, generator=rng(3)).to(dtype), torch.arange(6) % CLASSES


def gradient_at(updates, alpha, mixed):
    mixture = updates.strategy.scores()
    weights = alpha.masked_fill(~updates.strategy.allowed, float("-inf")).softmax(-1)
    loss = updates.loss(mixed, type(mixture)(weights, mixture.support))
    return torch.autograd.grad(loss, alpha, create_graph=True)[0]


def differences(updates, mixed, radius=1e-6):
    """The Hessian by central differences of plain gradients, without a second backward pass."""
    start, rows = updates.strategy.alpha.detach(), []
    for place in range(start.numel()):
        step = torch.zeros_like(start)
        step.view(-1)[place] = radius
        plus, minus = (
            gradient_at(updates, (start + side).requires_grad_(), mixed).detach()
            for side in (step, -step)
        )
        rows.append(((plus - minus) / (2 * radius)).view(-1))
    return torch.stack(rows)


@pytest.mark.parametrize("name", some_slow(SPACES, "darts"))
def test_it_is_the_largest_eigenvalue_of_the_full_hessian_of_a_supernet(name):
    updates, mixed = updates_of(SPACES[name]), batch()
    with torch.no_grad():  # away from the flat start
        noise = torch.randn(updates.strategy.alpha.shape, generator=rng(4), dtype=torch.float64)
        updates.strategy.alpha.add_(noise)
    found = alpha_eigenvalue(updates.strategy, mixed, updates, rng(5))
    alpha = updates.strategy.alpha.detach().clone()
    full = torch.autograd.functional.jacobian(
        lambda each: gradient_at(updates, each, mixed), alpha
    ).reshape(alpha.numel(), -1)
    assert found == pytest.approx(float(torch.linalg.eigvalsh(full)[-1]), rel=2e-3)
    # kinks of ReLU and max pooling may lie within the radius: a second backward sees none
    torch.testing.assert_close(full, differences(updates, mixed), rtol=1e-4, atol=1e-6)


def test_it_is_found_as_exactly_as_is_asked():
    updates, mixed = updates_of(SPACES["nasbench201"]), batch()
    scores, alpha = updates.strategy.scores(), updates.strategy.alpha
    found = dominant_eigenvalue(updates.loss(mixed, scores), [alpha], updates, rng(), TIGHT)
    full = torch.autograd.functional.jacobian(
        lambda each: gradient_at(updates, each, mixed), alpha.detach().clone()
    ).reshape(alpha.numel(), -1)
    assert found == pytest.approx(float(torch.linalg.eigvalsh(full)[-1]), rel=1e-8)


@needs_kernels()
@pytest.mark.parametrize("name", SPACES)
def test_native_kernels_have_the_same_exact_curvature(name):
    updates, mixed, found = updates_of(SPACES[name]), batch(), []
    for kernels in ("native", "plain"):
        with computing_with(kernels):
            found.append(alpha_eigenvalue(updates.strategy, mixed, updates, rng(5)))
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_processes_average_what_the_context_averages():
    values = torch.tensor([[1.0, -2.0], [3.0, 4.0]])
    context = SimpleNamespace(
        gradient=lambda loss, wrt: [g / 2 for g in Alone().gradient(loss, wrt)]
    )
    assert torch.equal(averaged(values, context), values / 2)


def test_watching_changes_nothing():
    space = SPACES["nasbench201"]
    module = SupernetModule(space, DrNas(space, 0), SHAPE, CLASSES)
    module.supernet.eval()
    before = {name: value.clone() for name, value in module.supernet.state_dict().items()}
    own, draws = module.strategy.rng.get_state(), torch.get_rng_state()
    with torch.no_grad():
        first = module.dominant_eigenvalue(batch(torch.float32))
    assert first == module.dominant_eigenvalue(batch(torch.float32))
    after = module.supernet.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert torch.equal(module.strategy.rng.get_state(), own)
    assert torch.equal(torch.get_rng_state(), draws)
    assert module.meter.training_samples == 0
    assert not module.supernet.training
    assert all(p.grad is None for p in module.parameters())


def test_a_strategy_without_alphas_is_refused():
    space = SPACES["nasbench201"]
    module = SupernetModule(space, RandomSharing(space, 0), SHAPE, CLASSES)
    message = "the scores of RandomSharing must depend on parameters of its own .*; use a strategy"
    with pytest.raises(ValueError, match=message):
        module.dominant_eigenvalue(batch(torch.float32))
