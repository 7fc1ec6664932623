import pytest
import torch
from plain_context import SPACE, PlainContext, batch, one_shot, search

from nas_lightning.core.limited import cost_measure, limited
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.darts import DartsSpace

SCALE = Scale(2, 3, input_shape=(6, 8, 8), num_outputs=4)
BEST = (2, 0, 3, 1, 1, 0)  # the one option of each choice that is worth something
WORTH = torch.nn.functional.one_hot(torch.tensor(BEST), 4).float()


def num_open(strategy):
    return sum(len(options) > 1 for options in strategy.support())


def test_alphas_and_params_are_trained_as_by_darts_before_the_first_decision():
    found = []
    for name in ("darts", "perturbation"):
        strategy = one_shot(name, epochs=4)
        context = PlainContext(strategy)
        search(strategy, context, [0])
        found.append((strategy.alpha.detach(), list(context.params.values())))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=0, atol=0)
    for mine, theirs in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def test_decisions_are_spread_over_the_rest_of_the_search():
    strategy = one_shot("perturbation", epochs=6)  # six choices
    context, left = PlainContext(strategy), []
    for epoch in range(6):
        search(strategy, context, [epoch], steps=1)
        left.append(num_open(strategy))
    assert left == [6, 6, 4, 2, 1, 0]


def test_an_option_is_judged_by_the_batch_statistics_of_the_validation_part():
    strategy = one_shot("perturbation", epochs=1)
    context = PlainContext(strategy)
    strategy.finish_epoch(0, context, [batch()])
    assert len(context.validated) == sum(len(choice.options) for choice in SPACE.choices)
    assert {how.batch_statistics for _, how in context.validated} == {True}


def test_the_options_are_found_that_validate_best():
    strategy = one_shot("perturbation", epochs=4)
    context = PlainContext(strategy)
    context.worth = WORTH
    search(strategy, context, range(4))
    assert strategy.support() == tuple((option,) for option in BEST)
    assert strategy.derive() == SPACE.discretize(strategy.scores())


def test_fixed_alphas_never_move():
    strategy = one_shot("perturbation", epochs=4, fixed_alpha=True)
    before = strategy.alpha.detach().clone()
    search(strategy, PlainContext(strategy), range(4))
    assert torch.equal(strategy.alpha, before)


def test_alphas_of_open_choices_move_between_decisions():
    strategy = one_shot("perturbation", epochs=6)
    context = PlainContext(strategy)
    search(strategy, context, range(3))
    before = strategy.alpha.detach().clone()
    is_open = [len(options) > 1 for options in strategy.support()]
    search(strategy, context, [3])
    moved = (strategy.alpha != before).any(dim=1).tolist()
    assert [m for m, o in zip(moved, is_open, strict=True) if o] == [True] * 4


def test_the_learning_rate_falls_to_a_tenth_with_the_first_decision():
    strategy = one_shot("perturbation", epochs=130, start=0.3846)
    assert strategy.trained == 50
    assert strategy.lr_at(0) == pytest.approx(0.025)
    assert strategy.lr_at(50) == pytest.approx(0.0025)
    assert strategy.lr_at(49) == pytest.approx(one_shot("darts", epochs=50).lr_at(49))


def test_a_search_that_ends_early_makes_the_decisions_that_are_left():
    strategy = one_shot("perturbation", epochs=6)
    context = PlainContext(strategy)
    context.worth = WORTH
    search(strategy, context, range(2))
    chosen = {c.name: c.options[o] for c, o in zip(SPACE.choices, BEST, strict=True)}
    assert strategy.derive(context, [batch()]).mapping == chosen


def test_edges_that_are_removed_weigh_nothing_and_leave_finite_gradients():
    space = DartsSpace(nodes=2)
    strategy = one_shot("perturbation", space, epochs=1)
    context = PlainContext(strategy, space, SCALE)
    context.worth = torch.rand(strategy.allowed.shape, generator=torch.Generator().manual_seed(1))
    search(strategy, context, [0], steps=1)
    scores = strategy.scores()
    assert sorted(map(len, scores.support)) == [0, 0] + [1] * 8
    assert torch.equal(scores.weights.sum(dim=1).sort().values, torch.tensor([0.0] * 2 + [1.0] * 8))
    with torch.no_grad():
        strategy.allowed[3] = True  # an open choice beside the removed edges
    (gradient,) = torch.autograd.grad(strategy.scores().weights.square().sum(), strategy.alpha)
    assert gradient.isfinite().all()


def test_what_limits_refuse_is_replaced_by_what_scores_say():
    free = DartsSpace(nodes=2)
    size = cost_measure(free, SCALE)
    sizes = sorted(size(free.sample(n))["parameters"] for n in range(20))
    space = limited(free, SCALE, {"parameters": sizes[0]})
    strategy = one_shot("perturbation", space, epochs=1)
    context = PlainContext(strategy, space, SCALE)
    context.worth = torch.zeros(strategy.allowed.shape)
    context.worth[:, 5] = 1.0  # sep_conv_5x5, the largest
    search(strategy, context, [0], steps=1)
    assert not space.limits.keeps(space.discretize(strategy.scores()))
    assert space.limits.keeps(strategy.derive(context, [batch()]))
