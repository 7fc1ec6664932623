import pytest
import torch
from plain_context import PlainContext, batch, one_shot

from nas_lightning.core.search_space import uniform_mixture


def test_weights_are_a_concrete_draw_at_the_epochs_temperature():
    strategy = one_shot("snas", epochs=3, tau_start=4.0, tau_end=1.0)
    strategy.start_epoch(1)
    rng = torch.Generator()
    rng.set_state(strategy.rng.get_state())
    noise = -(-torch.rand(strategy.alpha.shape, generator=rng).log()).log()
    expected = ((strategy.alpha.log_softmax(-1) + noise) / 2.0).softmax(-1)
    torch.testing.assert_close(strategy.mixture("alpha").weights, expected)


def test_one_level_moves_params_and_alphas_on_the_training_batch_with_one_draw():
    strategy = one_shot("snas")
    context, train = PlainContext(strategy), batch()
    strategy.search_step(train, (None, None), context)
    ((which, mixture, grads),) = context.taken
    assert which == "both"
    assert mixture.weights.requires_grad
    assert all(grad is not None for grad in grads)


def test_two_levels_move_alphas_on_the_validation_batch_first():
    strategy = one_shot("snas", bilevel=True)
    context = PlainContext(strategy)
    strategy.search_step(batch(), batch(seed=2), context)
    assert [which for which, _, _ in context.taken] == ["alpha", "params"]


def test_the_cost_is_charged_as_a_share_of_the_uniform_mixtures():
    free, charged = one_shot("snas", bilevel=True), one_shot("snas", bilevel=True, cost_weight=2.0)
    losses = []
    for strategy in (free, charged):
        context = PlainContext(strategy)
        context.minimise = lambda which, closure: losses.append(closure())
        strategy.alpha_step(batch(), batch(seed=2), context)
    whole = context.cost(uniform_mixture(context.space.choices))["parameters"]
    share = context.cost(charged.scores())["parameters"] / whole
    torch.testing.assert_close(losses[1] - losses[0], 2.0 * share.float(), rtol=1e-4, atol=1e-5)


def test_the_cost_of_the_uniform_mixture_is_counted_once_a_search():
    strategy = one_shot("snas", cost_weight=2.0)
    context, counted = PlainContext(strategy), []
    count = context.cost
    context.cost = lambda mixture: counted.append(mixture.weights.requires_grad) or count(mixture)
    for seed in (1, 2):
        strategy.search_step(batch(seed=seed), (None, None), context)
    assert counted == [False, True, True]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tau_start": -1.0}, r"strategy.tau_start \(-1.0\) must be above 0; use e.g. 1.0"),
        ({"cost_weight": -1.0}, r"cost_weight \(-1.0\) must be at least 0; use e.g. 0"),
        ({"cost": "flops"}, "unknown strategy.cost 'flops'; choose from: parameters, multiply"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        one_shot("snas", **settings)
