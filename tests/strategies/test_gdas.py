import math

import pytest
import torch
from plain_context import SPACE, PlainContext, batch, one_shot

from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.alphas import gumbel_noise
from nas_lightning.strategies.relaxations import hard_weights


def noise_of(state, shape):
    rng = torch.Generator()
    rng.set_state(state)
    return -(-torch.rand(shape, generator=rng).log()).log()


def test_the_sampled_option_is_the_largest_noisy_logit_and_weighs_exactly_one():
    strategy = one_shot("gdas")
    noise = noise_of(strategy.rng.get_state(), strategy.alpha.shape)
    expected = (strategy.alpha.log_softmax(-1) + noise).argmax(dim=1)
    mixture = strategy.mixture("alpha")
    assert [support for (support,) in mixture.support] == expected.tolist()
    assert mixture.weights.unique().tolist() == [0.0, 1.0]


def test_the_gradient_reaches_all_logits_of_an_edge_through_the_tempered_softmax():
    strategy = one_shot("gdas", tau_start=3.0)
    strategy.start_epoch(0)
    noise = noise_of(strategy.rng.get_state(), strategy.alpha.shape)
    alpha = strategy.alpha.detach().clone().requires_grad_()
    soft = ((alpha.log_softmax(-1) + noise) / 3.0).softmax(-1)
    slope = torch.randn(soft.shape, generator=torch.Generator().manual_seed(0))
    (expected,) = torch.autograd.grad((soft * slope).sum(), alpha)
    (strategy.mixture("alpha").weights * slope).sum().backward()
    torch.testing.assert_close(strategy.alpha.grad, expected)
    assert (strategy.alpha.grad != 0).all()


def test_only_the_sampled_operations_run_in_both_steps():
    strategy = one_shot("gdas")
    context, calls = PlainContext(strategy), []
    for cell in context.supernet.cells:
        for op in cell.ops.values():
            op.register_forward_hook(lambda op, *_: calls.append(op))
    strategy.search_step(batch(), batch(seed=2), context)
    edges = sum(3 for _ in context.supernet.cells)
    assert len(calls) == 2 * edges


def test_the_temperature_falls_on_a_line():
    strategy = one_shot("gdas", epochs=5)
    taus = []
    for epoch in range(5):
        strategy.start_epoch(epoch)
        taus.append(strategy.tau)
    assert taus == pytest.approx([10.0, 7.525, 5.05, 2.575, 0.1])


def test_a_draw_that_is_not_finite_is_repeated(monkeypatch):
    draws = iter([torch.zeros(2, 3), torch.full((2, 3), 0.5)])
    monkeypatch.setattr(torch, "rand", lambda *_, **__: next(draws))
    noise = gumbel_noise(torch.zeros(2, 3), torch.Generator())
    torch.testing.assert_close(noise, torch.full((2, 3), -math.log(math.log(2))))


@pytest.mark.parametrize("name", ["gdas", "snas"])
def test_noise_that_is_handed_over_decides_the_sample_and_nothing_is_drawn(name):
    strategy = one_shot(name, tau_start=2.0)
    state = strategy.rng.get_state()
    noise = torch.arange(24.0).view(6, 4).sin()
    soft = ((strategy.alpha.log_softmax(-1) + noise) / 2.0).softmax(-1)
    weights = strategy.mixture("alpha", noise).weights
    if name == "gdas":
        soft = torch.nn.functional.one_hot(soft.argmax(1), 4).float()
    torch.testing.assert_close(weights, soft)
    assert torch.equal(strategy.rng.get_state(), state)
    assert not strategy.mixture("params", noise).weights.requires_grad


def test_hard_weights_pass_a_gradient_on_as_it_comes():
    soft = torch.tensor([[0.2, 0.8]], requires_grad=True)
    hard = hard_weights(soft, torch.tensor([0]))
    (hard * torch.tensor([[3.0, 5.0]])).sum().backward()
    assert (hard.tolist(), soft.grad.tolist()) == ([[1.0, 0.0]], [[3.0, 5.0]])


def test_a_fixed_reduction_cell_keeps_its_operation_everywhere():
    strategy = one_shot("gdas", DartsSpace(nodes=2), fixed_reduction="max_pool_3x3")
    genotype = strategy.derive(None, [])
    ops = {op for name, op in genotype.choices if name.startswith("reduction/edge")}
    assert ops == {"max_pool_3x3"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tau_end": 0.0}, r"strategy.tau_end \(0.0\) must be above 0; use e.g. 0.1"),
        (
            {"fixed_reduction": "skip"},
            "'planted_cells' has no choices to hold at 'skip'; set strategy.fixed_reduction=null",
        ),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        one_shot("gdas", SPACE, **settings)


def test_an_unknown_fixed_operation_is_refused_with_those_there_are():
    with pytest.raises(
        ValueError, match=r"unknown strategy.fixed_reduction 'pool'; choose from: none, max_pool"
    ):
        one_shot("gdas", DartsSpace(nodes=1), fixed_reduction="pool")


def test_alphas_stand_still_in_a_warm_up():
    strategy = one_shot("gdas", epochs=4, warmup=0.5)
    context = PlainContext(strategy)
    for epoch, steps in ((1, ["params"]), (2, ["alpha", "params"])):
        context.taken.clear()
        strategy.start_epoch(epoch)
        strategy.search_step(batch(), batch(seed=2), context)
        assert [which for which, _, _ in context.taken] == steps
