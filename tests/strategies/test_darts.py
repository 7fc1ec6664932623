from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from plain_darts import PlainSupernet, copy_params, plain_step
from search_step import CELLS, CHANNELS, CLASSES, NODES, batches, updates_of
from torch import Tensor

from nas_lightning.core.choices import Choice, Mixture
from nas_lightning.networks import saved_tensors, state
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.darts import Darts

LARGEST_SHARE = 1e-7  # of the largest entry: what rounding in another order may change


def plain_of(module):
    network = PlainSupernet(CHANNELS, CELLS, 3, CLASSES, NODES).double()
    copy_params(network, module.supernet)
    alpha = module.strategy.alpha.detach().clone().requires_grad_()
    return network, alpha


def assert_close(found: Tensor, wanted: Tensor) -> None:
    assert (found - wanted).abs().max() <= LARGEST_SHARE * wanted.abs().max()


def test_first_order_steps_equal_the_plain_arrangement():
    module = updates_of()
    network, alpha = plain_of(module)
    optimizers = (
        torch.optim.SGD(network.parameters(), 0.025, 0.9, weight_decay=3e-4),
        torch.optim.Adam([alpha], 0.05, (0.5, 0.999), weight_decay=1e-3),
    )
    train, val = batches()
    for _ in range(3):
        found = module.strategy.search_step(train, val, module)
        assert_close(found, plain_step(network, alpha, optimizers, train, val))
    assert_close(module.strategy.alpha, alpha)
    for mine, theirs in zip(module.supernet.parameters(), network.parameters(), strict=True):
        assert_close(mine, theirs)


def papers_hypergradient(network, alpha, buffers, train, val, lr, radius):
    """Equations 7 and 8, evaluated with backward passes on the plain network."""
    params = list(network.parameters())

    def grads(wrt: list[Tensor], batch) -> list[Tensor]:
        return torch.autograd.grad(F.cross_entropy(network(batch[0], alpha), batch[1]), wrt)

    kept = [p.detach().clone() for p in params]
    inner = grads(params, train)
    with torch.no_grad():
        for p, g, b in zip(params, inner, buffers, strict=True):
            p -= lr * (0.9 * b + g + 3e-4 * p)
    outer, *direction = grads([alpha, *params], val)
    step = radius / torch.sqrt(sum((d**2).sum() for d in direction))
    sides = []
    for sign in (1, -1):
        with torch.no_grad():
            for p, old, d in zip(params, kept, direction, strict=True):
                p.copy_(old + sign * step * d)
        sides.append(grads([alpha], train)[0])
    return outer - lr * (sides[0] - sides[1]) / (2 * step)


@pytest.mark.parametrize("steps_before", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_second_order_is_the_papers_formula(steps_before):
    module = updates_of("second")
    train, val = batches()
    for _ in range(steps_before):
        module.strategy.search_step(train, val, module)
    network, alpha = plain_of(module)
    state = module.optimizers["params"].state
    buffers = [
        state[p]["momentum_buffer"] if steps_before else torch.zeros_like(p)
        for p in module.supernet.parameters()
    ]
    wanted = papers_hypergradient(network, alpha, buffers, train, val, module.lr, 0.01)
    found, _ = module.strategy.hypergradient(train, val, module)
    assert_close(found, wanted)


def test_first_order_gradient_is_that_of_the_plain_network():
    module = updates_of()
    _, val = batches()
    network, alpha = plain_of(module)
    loss = F.cross_entropy(network(val[0], alpha), val[1])
    (wanted,) = torch.autograd.grad(loss, [alpha])
    mine = module.loss(val, module.strategy.mixture("alpha"))
    (found,) = module.gradient(mine, [module.strategy.alpha])
    assert_close(found, wanted)


class SmoothContext:
    """A bilevel problem without kinks: losses are functions of params and mixing weights."""

    def __init__(
        self,
        params: dict[str, Tensor],
        loss: Callable[[object, Tensor, Mapping[str, Tensor]], Tensor],
        lr: float,
        weight_decay: float = 0.0,
    ) -> None:
        self.params, self.function = params, loss
        self.lr, self.weight_decay = lr, weight_decay

    def loss(self, batch, mixture: Mixture, params=None, statistics=False) -> Tensor:
        return self.function(batch, mixture.weights, params or self.params)

    def gradient(self, loss: Tensor, wrt: Sequence[Tensor]):
        return torch.autograd.grad(loss, list(wrt), allow_unused=True)

    def draws_again(self):
        return nullcontext()

    def lookahead(self, grads):
        pairs = zip(self.params.items(), grads, strict=True)
        return {n: (w - self.lr * (g + self.weight_decay * w)).detach() for (n, w), g in pairs}


def strategy_for(options: int, radius: float) -> Darts:
    choice = Choice("choice", tuple("abcdefgh"[:options]), "op", "group")
    darts = Darts(SimpleNamespace(choices=(choice,)), 0, order="second", radius=radius).double()
    with torch.no_grad():
        darts.alpha.copy_(torch.linspace(-0.5, 0.7, options, dtype=torch.float64)[None])
    return darts


def smooth_loss(batch, weights: Tensor, params: Mapping[str, Tensor]) -> Tensor:
    x, y = batch
    hidden = x @ params["first"]
    pooled = (hidden + hidden.roll(1, 1)) / 2
    mixed = weights[0, 0] * F.softplus(hidden) + weights[0, 1] * pooled + weights[0, 2] * hidden**2
    return ((mixed @ params["second"] - y) ** 2).mean()


def test_finite_differences_point_along_the_exact_hypergradient_on_a_smooth_model():
    rng = torch.Generator().manual_seed(3)
    draw = lambda *shape: torch.randn(*shape, generator=rng, dtype=torch.float64)  # noqa: E731
    params = {"first": 0.3 * draw(4, 6), "second": 0.3 * draw(6, 2)}
    params = {name: p.requires_grad_() for name, p in params.items()}
    train, val = (draw(20, 4), draw(20, 2)), (draw(20, 4), draw(20, 2))
    context = SmoothContext(params, smooth_loss, lr=0.1, weight_decay=0.01)
    darts = strategy_for(3, 0.01)
    found, _ = darts.hypergradient(train, val, context)

    inner = torch.autograd.grad(
        smooth_loss(train, darts.scores().weights, params), list(params.values()), create_graph=True
    )
    ahead = {n: w - 0.1 * (g + 0.01 * w) for (n, w), g in zip(params.items(), inner, strict=True)}
    (exact,) = torch.autograd.grad(smooth_loss(val, darts.scores().weights, ahead), [darts.alpha])
    cosine = F.cosine_similarity(found.flatten(), exact.flatten(), dim=0)
    assert cosine > 0.999
    assert (found - exact).abs().max() < 1e-3 * exact.abs().max()


def smooth(patch) -> None:
    """Replaces ReLU by softplus and max pooling by average pooling, everywhere."""

    def pool(x, kernel, stride, padding, *_, **__):
        return F.avg_pool2d(x, kernel, stride, padding, count_include_pad=False)

    softplus = F.softplus
    patch.setattr(F, "relu", lambda x, inplace=False: softplus(x))
    patch.setattr(torch, "relu_", softplus)
    patch.setattr(state, "relu_beside", lambda x, times: torch.cat([softplus(x)] * times, dim=1))
    patch.setattr(saved_tensors, "spares_memory", lambda x: False)  # it knows ReLU alone
    patch.setattr(F, "max_pool2d", pool)


@pytest.mark.parametrize(
    ("radius", "error"),
    [
        pytest.param(  # the paper's: what is left is the difference quotient's own error
            0.01, 1e-2, marks=pytest.mark.slow
        ),
        (1e-4, 1e-5),
    ],
)
def test_finite_differences_are_the_exact_hypergradient_on_the_smooth_network(
    radius, error, monkeypatch
):
    smooth(monkeypatch)
    module = updates_of("second", radius)
    network, alpha = plain_of(module)
    (x, y), (x_val, y_val) = batches()
    params = dict(network.named_parameters())
    inner = torch.autograd.grad(
        F.cross_entropy(network(x, alpha), y), list(params.values()), create_graph=True
    )
    ahead = {
        name: w - module.lr * (g + 3e-4 * w)
        for (name, w), g in zip(params.items(), inner, strict=True)
    }
    logits = torch.func.functional_call(network, ahead, (x_val, alpha))
    (exact,) = torch.autograd.grad(F.cross_entropy(logits, y_val), [alpha])

    found, _ = module.strategy.hypergradient((x, y), (x_val, y_val), module)
    assert F.cosine_similarity(found.flatten(), exact.flatten(), dim=0) > 0.999
    assert (found - exact).abs().max() < error * exact.abs().max()


def test_second_order_is_the_closed_form_of_a_quadratic_problem():
    targets = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    w = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)

    def loss(batch, weights, params):
        wanted = (weights[0] * targets).sum() if batch == "train" else batch_target
        return 0.5 * (params["w"] - wanted) ** 2

    batch_target, lr = 3.0, 0.2
    darts = strategy_for(3, 0.01)
    found, _ = darts.hypergradient("train", "val", SmoothContext({"w": w}, loss, lr))

    p = darts.scores().weights[0].detach()
    mean = (p * targets).sum()
    ahead = w.detach() - lr * (w.detach() - mean)
    wanted = (ahead - batch_target) * lr * p * (targets - mean)
    torch.testing.assert_close(found[0], wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("order", ["first", "second"])
def test_an_alpha_step_moves_neither_params_nor_statistics(order):
    module = updates_of(order)
    train, val = batches()
    before = {k: v.clone() for k, v in module.supernet.state_dict().items()}
    alpha = module.strategy.alpha.detach().clone()
    module.strategy.alpha_step(train, val, module)
    after = module.supernet.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.equal(alpha, module.strategy.alpha)


def test_alphas_are_not_in_the_optimiser_of_the_params_and_order_is_the_networks():
    module = updates_of()
    params, alphas = module.optimizers.values()
    assert [id(p) for p in params.param_groups[0]["params"]] == [
        id(p) for p in module.supernet.parameters()
    ]
    assert [id(p) for p in alphas.param_groups[0]["params"]] == [id(module.strategy.alpha)]


def test_scores_are_the_softmax_and_draw_nothing():
    darts = Darts(DartsSpace(), 0)
    state = darts.rng.get_state()
    first, second = darts.scores(), darts.scores()
    assert torch.equal(first.weights, second.weights)
    assert torch.equal(first.weights, darts.alpha.softmax(-1))
    assert torch.equal(state, darts.rng.get_state())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order": "third"}, "unknown strategy.order 'third'; choose from: first, second"),
        ({"radius": 0.0}, r"strategy.radius \(0.0\) must be above 0; use e.g. 0.01"),
        ({"radius": float("nan")}, r"strategy.radius \(nan\) must be above 0"),
        ({"epochs": 0}, r"strategy.epochs \(0\) must be at least 1"),
    ],
)
def test_impossible_values_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Darts(DartsSpace(), 0, **arguments)


def test_a_first_order_alpha_step_computes_no_gradient_of_params(monkeypatch):
    def refuse(*_):
        raise AssertionError("a gradient of a depthwise kernel was computed")

    module = updates_of()
    train, val = batches()
    monkeypatch.setattr("nas_lightning.networks.kernels.conv2d_weight", refuse)
    module.strategy.alpha_step(train, val, module)
    with pytest.raises(AssertionError, match="depthwise kernel"):
        module.strategy.search_step(train, val, module)
