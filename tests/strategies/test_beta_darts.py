import math
from types import SimpleNamespace

import pytest
import torch
from plain_context import PlainContext, batch, one_shot, search

from nas_lightning.strategies.beta_darts import beta_decay


def test_the_regulariser_adds_lambda_times_the_softmax_over_the_number_of_choices():
    strategy = one_shot("beta_darts", epochs=10).double()
    with torch.no_grad():
        strategy.alpha.copy_(torch.linspace(-2, 2, strategy.alpha.numel()).view_as(strategy.alpha))
    context = SimpleNamespace(params={}, loss=lambda batch, mixture, _: mixture.weights[0, 0] ** 2)
    gradients = []
    for epoch in (0, 6):  # lambda is 0 and 30
        strategy.start_epoch(epoch)
        loss = strategy.alpha_loss(batch(), strategy.mixture("alpha"), context)
        gradients += torch.autograd.grad(loss, strategy.alpha)
    expected = 30.0 * strategy.alpha.detach().softmax(dim=-1) / len(strategy.space.choices)
    torch.testing.assert_close(gradients[1] - gradients[0], expected)


def test_lambda_grows_linearly_by_epoch_from_zero():
    strategy, weights = one_shot("beta_darts", epochs=5), []
    for epoch in range(5):
        strategy.start_epoch(epoch)
        weights.append(strategy.weight_now)
        assert bool(strategy.notes()) == (epoch == 0)
    assert weights == [0.0, 10.0, 20.0, 30.0, 40.0]


def test_a_search_without_the_regulariser_says_so_where_it_was_wanted():
    (note,) = one_shot("beta_darts", epochs=1).notes()
    assert "applied no regulariser, whose weight is 0 in the first epoch" in note
    assert one_shot("beta_darts", epochs=1, weight=0.0).notes() == []


def test_only_allowed_options_are_regularised():
    alpha = torch.tensor([[0.0, 0.0, 9.0], [1.0, 5.0, 1.0]], dtype=torch.float64)
    allowed = torch.tensor([[True, True, False], [True, False, True]])
    expected = (math.log(2) + 1 + math.log(2)) / 2
    assert beta_decay(alpha, allowed).item() == pytest.approx(expected, abs=1e-15)


def test_without_the_regulariser_a_search_has_the_bits_of_darts():
    ends = []
    for name, more in (("beta_darts", {"weight": 0.0}), ("darts", {})):
        strategy = one_shot(name, epochs=3, **more)
        context = PlainContext(strategy)
        search(strategy, context, range(3))
        ends.append([strategy.alpha.detach(), *(p.detach() for p in context.params.values())])
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(*ends, strict=True))


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match=r"strategy\.weight \(-1\.0\) must be at least 0; use e"):
        one_shot("beta_darts", weight=-1.0)
