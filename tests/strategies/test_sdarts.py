import pytest
import torch
from plain_context import PlainContext, batch, one_shot
from search_step import batches, in_double

from nas_lightning.core.choices import Mixture
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.relaxations import masked_softmax
from nas_lightning.strategies.sdarts import SDarts, onto_simplex
from nas_lightning.training.updates import SearchUpdates

ROUNDING = 1e-6  # of float32, in sums of a few weights


def test_what_leaves_the_simplex_is_clipped_and_divided_by_the_sum():
    weights = torch.tensor([[0.5, -0.2, 0.7], [1.4, 0.6, -0.1], [0.2, 9.0, 0.3]])
    allowed = torch.tensor([[True, True, True], [True, True, True], [True, False, True]])
    wanted = torch.tensor([[5 / 12, 0.0, 7 / 12], [1 / 1.6, 0.6 / 1.6, 0.0], [0.4, 0.0, 0.6]])
    torch.testing.assert_close(onto_simplex(weights, allowed), wanted)


def test_a_row_of_which_nothing_is_left_keeps_its_largest_weight():
    weights = torch.tensor([[-0.3, -0.1, -0.2], [-0.2, 5.0, -0.1]])
    allowed = torch.tensor([[True, True, True], [True, False, True]])
    wanted = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert torch.equal(onto_simplex(weights, allowed), wanted)


def test_a_row_without_options_weighs_nothing():
    weights = onto_simplex(torch.tensor([[0.5, 0.5]]), torch.zeros(1, 2, dtype=torch.bool))
    assert torch.equal(weights, torch.zeros(1, 2))


def test_noise_is_uniform_within_the_radius_and_drawn_from_the_strategy():
    strategy = one_shot("sdarts", epochs=50)
    strategy.start_epoch(25)
    rng = torch.Generator()
    rng.set_state(strategy.rng.get_state())
    plain = masked_softmax(strategy.alpha.detach(), strategy.allowed)
    noise = 0.165 * (2 * torch.rand(plain.shape, generator=rng) - 1)
    wanted = (plain + noise).clamp(0, 1) * strategy.allowed
    wanted = wanted / wanted.sum(dim=-1, keepdim=True)
    torch.testing.assert_close(strategy.mixture("params").weights, wanted)
    assert torch.equal(strategy.rng.get_state(), rng.get_state())


def test_the_radius_grows_linearly_over_the_epochs():
    strategy, radii = one_shot("sdarts", epochs=50), []
    for epoch in (0, 10, 49):
        strategy.start_epoch(epoch)
        radii.append(strategy.epsilon)
    assert radii == pytest.approx([0.03, 0.084, 0.2946])


@pytest.mark.parametrize("perturbation", ["random", "adversarial"])
def test_the_alpha_step_sees_the_plain_mixture_and_the_weight_step_another(perturbation):
    strategy = one_shot("sdarts", perturbation=perturbation, epsilon_start=0.2)
    context = PlainContext(strategy)
    before = strategy.scores().weights.detach()
    strategy.search_step(batch(seed=1), batch(seed=2), context)
    (first, alphas, _), (second, params, _) = context.taken
    assert (first, second) == ("alpha", "params")
    assert torch.equal(alphas.weights, before)
    after = strategy.scores().weights.detach()
    assert (params.weights - after).abs().max() > 0.05
    assert torch.equal(strategy.mixture("alpha").weights, strategy.scores().weights)


@pytest.mark.parametrize("perturbation", ["random", "adversarial"])
def test_without_a_radius_it_is_darts_of_first_order(perturbation):
    found = []
    for kind in ("sdarts", "darts"):
        more = {"perturbation": perturbation, "epsilon_start": 0.0, "epsilon_end": 0.0}
        strategy = one_shot(kind, **(more if kind == "sdarts" else {}))
        context = PlainContext(strategy)
        for seed in range(3):
            loss = strategy.search_step(batch(seed=seed), batch(seed=seed + 9), context)
        found.append((loss, strategy.alpha.detach()))
    torch.testing.assert_close(found[0], found[1], rtol=ROUNDING, atol=ROUNDING)


def attacked(epsilon=0.1, steps=7, drop=True):
    """Returns an attack on a supernet in float64: the updates, plain and attacked mixtures."""
    space = DartsSpace(nodes=1, scale=Scale(2, 3))
    strategy = SDarts(space, 0, 6, "adversarial", epsilon, epsilon, steps)
    updates = in_double(SearchUpdates(space, strategy, (3, 8, 8), 5, seed=2))
    if drop:
        strategy.allowed[0, :5] = False
    train, _ = batches()
    plain = strategy.mixture("params")
    return updates, train, plain, strategy.attacked(plain, train, updates)


def loss_of(updates, train, mixture):
    with torch.no_grad():
        return float(updates.loss(train, mixture))


def test_the_ascent_raises_the_training_loss_above_that_of_noise():
    updates, train, plain, found = attacked()
    strategy = updates.strategy
    noisy = [Mixture(strategy._noisy(plain.weights), plain.support) for _ in range(20)]
    worst = max(loss_of(updates, train, each) for each in noisy)
    assert loss_of(updates, train, found) > max(worst, loss_of(updates, train, plain))


def test_an_attack_stays_on_the_simplex_and_within_the_radius_but_for_the_division():
    updates, _, plain, found = attacked(epsilon=0.02)  # too little to clip
    weights, allowed = found.weights, updates.strategy.allowed
    assert not weights.requires_grad
    assert (weights >= 0).all()
    assert not weights[~allowed].any()
    torch.testing.assert_close(weights.sum(-1), torch.ones(len(weights), dtype=weights.dtype))
    # row k is (plain + shift) / (1 + sum of shift): for the right sum the shift is in the ball
    options = allowed.sum(-1, keepdim=True)
    low = (plain.weights - 0.02).clamp_min(0) / (1 + 0.02 * options)
    high = (plain.weights + 0.02) / (1 - 0.02 * options)
    inside = (weights >= low * allowed) & (weights <= high)
    assert inside.all()


def test_one_step_follows_the_sign_of_the_gradient_and_is_projected(monkeypatch):
    monkeypatch.setattr(SDarts, "_noisy", lambda self, weights: weights.clone())
    updates, train, plain, found = attacked(epsilon=0.01, steps=1, drop=False)
    free = plain.weights.clone().requires_grad_()
    loss = updates.loss(train, Mixture(free, plain.support))
    (gradient,) = torch.autograd.grad(loss, free)
    shift = (0.02 * gradient.sign()).clamp(-0.01, 0.01)  # the step is twice the radius
    torch.testing.assert_close(
        found.weights, onto_simplex(plain.weights + shift, updates.strategy.allowed)
    )


def test_an_ascent_that_ends_lower_is_not_taken(monkeypatch):
    space = DartsSpace(nodes=1, scale=Scale(2, 3))
    strategy = SDarts(space, 0, 6, "adversarial", 0.1, 0.1)
    updates = in_double(SearchUpdates(space, strategy, (3, 8, 8), 5))
    train, _ = batches()
    gradient = updates.gradient
    monkeypatch.setattr(updates, "gradient", lambda loss, wrt: [
        g if g.dim() < 2 else -g for g in gradient(loss, wrt)
    ])  # fmt: skip
    plain = strategy.mixture("params")
    assert torch.equal(strategy.attacked(plain, train, updates).weights, plain.weights)


def test_the_ascent_moves_neither_params_nor_statistics_nor_alphas():
    space = DartsSpace(nodes=1, scale=Scale(2, 3))
    strategy = SDarts(space, 0, 6, "adversarial", 0.1, 0.1)
    updates = in_double(SearchUpdates(space, strategy, (3, 8, 8), 5))
    before = {n: t.clone() for n, t in updates.supernet.state_dict().items()}
    alpha = strategy.alpha.detach().clone()
    train, _ = batches()
    strategy.attacked(strategy.mixture("params"), train, updates)
    after = updates.supernet.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert torch.equal(strategy.alpha, alpha)
    assert updates.meter.training_samples == 9 * len(train[1])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"perturbation": "noise"}, "unknown strategy.perturbation 'noise'; choose from: random"),
        ({"epsilon_end": 1.5}, r"strategy.epsilon_end \(1.5\) must be in \[0, 1\]; use e.g. 0.3"),
        ({"epsilon_start": -1}, r"strategy.epsilon_start \(-1.0\) must be in \[0, 1\]"),
        ({"steps": 0}, r"strategy.steps \(0\) must be at least 1; use e.g. 7"),
    ],
)
def test_settings_out_of_range_are_refused(more, message):
    with pytest.raises(ValueError, match=message):
        one_shot("sdarts", **more)
