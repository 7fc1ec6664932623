import pytest
import torch
from plain_context import PlainContext, batch, one_shot


def warm(**more):
    strategy = one_shot("proxyless", epochs=4, **more)
    strategy.start_epoch(3)
    return strategy


def test_two_paths_run_while_alphas_move_and_one_while_params_move():
    strategy = warm()
    context, calls = PlainContext(strategy), []
    for cell in context.supernet.cells:
        for op in cell.ops.values():
            op.register_forward_hook(lambda op, *_: calls.append(op))
    strategy.search_step(batch(), batch(seed=2), context)
    edges = sum(3 for _ in context.supernet.cells)
    assert len(calls) == 2 * edges + edges
    (_, alphas, _), (_, params, _) = context.taken
    assert {len(row) for row in alphas.support} == {2}
    assert {len(row) for row in params.support} == {1}
    assert alphas.weights.unique().tolist() == [0.0, 1.0]


def test_the_gradient_of_two_alphas_is_that_of_their_gates_through_their_softmax():
    strategy = warm()
    with torch.no_grad():
        strategy.alpha.copy_(torch.randn(strategy.alpha.shape))
    mixture, pairs = strategy._pairs()
    slope = torch.randn(mixture.weights.shape)
    (mixture.weights * slope).sum().backward()
    for row, (first, second) in enumerate(pairs.tolist()):
        p = strategy.alpha.detach()[row, [first, second]].softmax(0)
        gates = slope[row, [first, second]]
        expected = p * (gates - (p * gates).sum())  # equation 4, over the two sampled paths
        torch.testing.assert_close(strategy.alpha.grad[row, [first, second]], expected)
        others = [i for i in range(4) if i not in (first, second)]
        assert not strategy.alpha.grad[row, others].any()


def test_alphas_that_were_not_sampled_keep_their_value_and_their_probability():
    strategy = warm()
    context, before = PlainContext(strategy), strategy.alpha.detach().clone()
    strategy.alpha_step(batch(), batch(seed=2), context)
    mixture = context.taken[0][1]
    for row, pair in enumerate(mixture.support):
        others = [i for i in range(4) if i not in pair]
        after = strategy.alpha.detach()
        assert torch.equal(after[row, others], before[row, others])
        assert not torch.equal(after[row, list(pair)], before[row, list(pair)])
        torch.testing.assert_close(
            after[row].softmax(0)[others], before[row].softmax(0)[others], rtol=1e-5, atol=1e-6
        )


def test_paths_are_uniform_at_first_and_follow_the_alphas_later():
    strategy = one_shot("proxyless", epochs=4)
    with torch.no_grad():
        strategy.alpha[:, 2] = 20.0
    strategy.start_epoch(0)
    first = {strategy.mixture("params").support for _ in range(10)}
    strategy.start_epoch(1)
    later = {strategy.mixture("params").support for _ in range(10)}
    assert len(first) == 10
    assert later == {((2,),) * 6}


def test_a_choice_with_one_allowed_option_weighs_it_fully():
    strategy = warm()
    strategy.allowed[0] = torch.tensor([False, True, False, False])
    mixture, _ = strategy._pairs()
    assert mixture.support[0] == (1,)
    assert mixture.weights[0].tolist() == [0.0, 1.0, 0.0, 0.0]


def test_alphas_move_every_so_many_steps():
    strategy = warm(interval=3)
    context = PlainContext(strategy)
    for _ in range(6):
        strategy.alpha_step(batch(), batch(seed=2), context)
    assert len(context.taken) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"interval": 0}, r"strategy.interval \(0\) must be at least 1"),
        ({"alpha_optimizer": {"betas": [0.5, 0.999]}}, r"betas\[0\] \(0.5\) and weight_decay"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        one_shot("proxyless", **settings)
