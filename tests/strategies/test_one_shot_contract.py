"""The contract of every one-shot strategy, parametrised over its configuration files."""

from functools import cache

import pytest
import torch
from plain_context import ONE_SHOT, SCALE, SPACE, PlainContext, batch, one_shot, search
from representatives import STRATEGIES_LIKE_OTHERS, some_slow

from nas_lightning.core.limited import cost_measure, limited
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.alphas import AlphaStrategy
from nas_lightning.training.task import Classification, Regression

RANKING = ("enas", "random_sharing")
OF_ALPHAS = [name for name in ONE_SHOT if isinstance(one_shot(name), AlphaStrategy)]


@pytest.fixture(params=some_slow(ONE_SHOT, *STRATEGIES_LIKE_OTHERS))
def name(request):
    return request.param


@cache
def searched(name):
    """A strategy at the end of a search, its context and the genotype: tests only read them."""
    strategy = one_shot(name, epochs=3)
    context = PlainContext(strategy)
    search(strategy, context, range(3))
    return strategy, context, strategy.derive(context, [batch()])


def test_a_search_moves_params_and_ends_with_a_genotype_of_the_space(name):
    _, context, genotype = searched(name)
    before = PlainContext(one_shot(name, epochs=3)).params
    assert any(not torch.equal(before[n], p) for n, p in context.params.items())
    assert SPACE.validate(genotype) == genotype


@cache
def space_of_small_children():
    """A space with a limit that a seventh of its genotypes keep."""
    free = NasBench201Space()
    size = cost_measure(free, SCALE)
    sizes = sorted(size(free.sample(n))["parameters"] for n in range(20))
    return limited(free, SCALE, {"parameters": sizes[2]})


def test_what_is_found_within_limits_keeps_them(name):
    space = space_of_small_children()
    more = {"partial": 1} if name == "pc_darts" else {}  # of two channels
    strategy = one_shot(name, space, epochs=2, **more)
    context = PlainContext(strategy, space)
    assert (context.limits is None) == (name in RANKING)
    search(strategy, context, range(2))
    assert space.limits.keeps(strategy.derive(context, [batch()]))


def test_multipliers_of_limits_wait_for_the_end_of_a_warm_up():
    space = space_of_small_children()
    strategy = one_shot("proxyless", space, epochs=4, warmup=0.5)
    context, multipliers = PlainContext(strategy, space), []
    for epoch in range(4):
        search(strategy, context, [epoch])
        context.end_epoch(epoch)
        multipliers.append(float(context.limits.multiplier))
    assert multipliers[:2] == [0.0, 0.0]
    assert multipliers[2] > 0


def test_a_genotype_needs_a_context_only_where_genotypes_are_ranked(name):
    strategy = one_shot(name, epochs=3)
    if name in RANKING:
        message = f"strategy={name} measures genotypes in its supernet, .* got None; use derive of"
        for arguments in ((), (None, []), (None, [batch()])):
            with pytest.raises(ValueError, match=message):
                strategy.derive(*arguments)
    else:
        assert strategy.derive() == strategy.derive(None, []) == SPACE.discretize(strategy.scores())


def test_preferences_are_the_scores_of_allowed_options_by_name(name):
    strategy = one_shot(name, epochs=3)
    strategy.allowed[0, 0] = False
    scores, preferences = strategy.scores(), strategy.preferences()
    assert list(preferences) == [choice.name for choice in SPACE.choices]
    assert list(preferences[SPACE.choices[0].name]) == list(SPACE.choices[0].options[1:])
    for row, choice in zip(scores.weights, SPACE.choices, strict=True):
        for option, weight in preferences[choice.name].items():
            assert weight == row[choice.options.index(option)].item()


def test_alphas_move_in_a_search_of_one_epoch_too(name):
    strategy = one_shot(name, epochs=1)
    before = [p.detach().clone() for p in strategy.parameters()]
    search(strategy, PlainContext(strategy), range(1), steps=6)
    moved = [not torch.equal(b, p) for b, p in zip(before, strategy.parameters(), strict=True)]
    assert any(moved) or not before


def test_scores_are_shares_of_allowed_options_and_never_draw(name):
    strategy, _, _ = searched(name)
    state = strategy.rng.get_state()
    scores = strategy.scores()
    assert torch.equal(strategy.rng.get_state(), state)
    assert (scores.weights >= 0).all()
    assert not scores.weights[~strategy.allowed].any()
    assert torch.equal(scores.weights, strategy.scores().weights)
    assert (scores.weights <= 1).all()
    assert (scores.weights.sum(dim=1) > 0).all()


def test_only_allowed_options_are_mixed_and_the_weight_step_has_no_gradient_to_alpha(name):
    strategy = one_shot(name, epochs=3)
    strategy.start_epoch(2)
    mixture = strategy.mixture("params")
    assert not mixture.weights.requires_grad
    for row, support in zip(strategy.allowed.tolist(), mixture.support, strict=True):
        assert all(row[option] for option in support)


@pytest.mark.parametrize("phase", ["params", "alpha"])
@pytest.mark.parametrize("name", OF_ALPHAS)
def test_an_option_that_was_dropped_is_never_mixed_whatever_its_alpha(name, phase):
    strategy = one_shot(name, epochs=3)
    strategy.allowed[0] = torch.tensor([False, True, True, False])
    strategy.allowed[1] = torch.tensor([False, False, False, True])
    for epoch in (0, 2):  # a warm-up's, and one in which alphas move
        strategy.start_epoch(epoch)
        with torch.no_grad():
            strategy.alpha[~strategy.allowed] = 5.0
        for _ in range(20):
            mixture = strategy.mixture(phase)
            assert not mixture.weights[~strategy.allowed].any()
            assert set(mixture.support[0]) <= {1, 2}
            assert mixture.support[1] == (3,)


@pytest.mark.parametrize("name", ONE_SHOT)
def test_the_state_holds_everything_a_search_goes_on_with(name):
    whole, context = one_shot(name, epochs=4), None
    context = PlainContext(whole)
    search(whole, context, range(2), steps=1)
    other = one_shot(name, epochs=4, seed=9)
    other.start_epoch(1)
    other.load_state_dict(whole.state_dict())
    for epoch in (2, 3):
        whole.start_epoch(epoch), other.start_epoch(epoch)
        for phase in ("params", "alpha"):
            mine, theirs = whole.mixture(phase), other.mixture(phase)
            assert torch.equal(mine.weights, theirs.weights)
            assert mine.support == theirs.support
    assert torch.equal(whole.scores().weights, other.scores().weights)


def plain_attributes(strategy):
    """What a strategy holds beside params, buffers, modules, extra state, and a cache."""
    apart = {*vars(torch.nn.Module()), *strategy.get_extra_state(), "_support"}
    return {key: value for key, value in vars(strategy).items() if key not in apart}


def test_no_state_lives_outside_the_state_dict(name):
    strategy, _, _ = searched(name)
    fresh = one_shot(name, epochs=3)
    fresh.start_epoch(2)
    assert plain_attributes(strategy) == plain_attributes(fresh)


def test_starting_an_epoch_twice_changes_nothing(name):
    strategy = one_shot(name, epochs=4)
    for epoch in (0, 2, 3):
        strategy.start_epoch(epoch)
        state = {k: v for k, v in strategy.state_dict().items() if k != "_extra_state"}
        before = {k: v.clone() for k, v in state.items()}
        strategy.start_epoch(epoch)
        for name, value in before.items():
            torch.testing.assert_close(
                strategy.state_dict()[name], value, rtol=0, atol=0, equal_nan=True
            )


def test_a_strategy_meets_a_space_of_edges_with_partial_channels_too(name):
    space = NasBench201Space()
    strategy = one_shot(name, space, epochs=1)
    scale = Scale(4, space.scale.cells, input_shape=(6, 8, 8), num_outputs=4)
    context = PlainContext(strategy, space, scale)
    search(strategy, context, range(1), steps=1)
    assert context.taken[0][0] in ("params", "alpha", "both")


@pytest.mark.parametrize(("task", "best"), [(Classification(), max), (Regression(), min)])
@pytest.mark.parametrize("name", ["enas", "random_sharing"])
def test_the_genotype_of_the_best_metric_is_found_whichever_way_is_better(name, task, best):
    strategy = one_shot(name, samples=20)
    context = PlainContext(strategy)
    context.task, context.worth = task, torch.arange(24.0).view(6, 4)
    genotype = strategy.derive(context, [batch()])
    worths = [float((m.weights * context.worth).sum()) for m, _ in context.validated]
    found = float((strategy.space.mixture(genotype).weights * context.worth).sum())
    assert found == best(worths)
    assert min(worths) < max(worths)


@pytest.mark.parametrize(("task", "sign"), [(Classification(), 1.0), (Regression(), -1.0)])
def test_the_controller_of_enas_is_told_rewards_of_which_higher_is_better(task, sign):
    strategy = one_shot("enas", steps=1, aggregate=2)
    context, told = PlainContext(strategy), []
    context.task, context.worth = task, torch.ones(())
    loss = strategy.loss
    strategy.loss = lambda drawn, rewards: loss(drawn, told.extend(rewards) or rewards)
    strategy.finish_epoch(0, context, [batch()])
    assert told == [sign * 6.0] * 2  # one option per choice
