import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from plain_context import PlainContext, batch, one_shot
from torch.distributions import Dirichlet, kl_divergence

from nas_lightning.config.paths import config_dir
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.drnas import dirichlet, divergence_from_flat

ALPHA = torch.tensor([[0.0, 1.0, 2.0], [3.0, -1.0, 0.5]], dtype=torch.float64)
ALLOWED = torch.tensor([[True, False, True], [True, True, True]])


def test_weights_are_a_dirichlet_draw_with_concentration_elu_plus_one():
    strategy = one_shot("drnas")
    rng = torch.Generator()
    rng.set_state(strategy.rng.get_state())
    gammas = torch._standard_gamma(F.elu(strategy.alpha.detach()) + 1, generator=rng)
    expected = gammas / gammas.sum(-1, keepdim=True)
    torch.testing.assert_close(strategy.mixture("params").weights, expected)


def test_the_gradient_of_a_draw_is_that_of_torchs_dirichlet():
    concentration = torch.tensor([[0.7, 1.3, 2.0]], dtype=torch.float64, requires_grad=True)
    allowed = torch.ones(1, 3, dtype=torch.bool)
    slope = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    draws = 4000
    rng, total = torch.Generator().manual_seed(0), torch.zeros((), dtype=torch.float64)
    for _ in range(draws):
        total = total + (dirichlet(concentration, allowed, rng) * slope).sum()
    (gradient,) = torch.autograd.grad(total / draws, concentration)
    mean = concentration / concentration.sum()
    (exact,) = torch.autograd.grad((mean * slope).sum(), concentration)
    torch.testing.assert_close(gradient, exact, rtol=0, atol=0.02)  # 4 standard errors


@pytest.mark.parametrize("low", [-10.0, -17.0, -30.0])
def test_the_gradient_is_finite_also_where_an_alpha_is_very_low(low):
    strategy = one_shot("drnas")
    with torch.no_grad():
        strategy.alpha[:, 0] = low
    for _ in range(20):
        weights = strategy.mixture("alpha").weights
        slope = torch.randn(weights.shape, generator=torch.Generator().manual_seed(0))
        (gradient,) = torch.autograd.grad((weights * slope).sum(), strategy.alpha)
        assert gradient.isfinite().all()


def test_dropped_options_weigh_nothing_and_the_others_sum_to_one():
    allowed = torch.tensor([[True, False, True]])
    weights = dirichlet(torch.full((1, 3), 0.01), allowed, torch.Generator().manual_seed(0))
    assert weights[0, 1] == 0.0
    assert weights.sum().item() == pytest.approx(1.0)


def test_scores_are_the_mean_of_the_dirichlet():
    strategy = one_shot("drnas")
    expected = Dirichlet(F.elu(strategy.alpha) + 1).mean
    torch.testing.assert_close(strategy.scores().weights, expected)


@pytest.mark.parametrize(("epoch", "options"), [(2, 4), (5, 2)])
def test_the_divergence_of_what_is_allowed_from_the_flat_dirichlet_is_charged(epoch, options):
    plain = one_shot("drnas", epochs=6)
    charged = one_shot("drnas", epochs=6, kl=0.5, alpha_optimizer={"weight_decay": 0.0})
    alpha = torch.randn(plain.alpha.shape, generator=torch.Generator().manual_seed(0))
    losses = []
    for strategy in (plain, charged):
        with torch.no_grad():
            strategy.alpha.copy_(alpha)
        strategy.start_epoch(epoch)
        context = PlainContext(strategy)
        context.minimise = lambda which, closure: losses.append(closure())
        strategy.alpha_step(batch(), batch(seed=2), context)
    mine = (F.elu(charged.alpha) + 1)[charged.allowed].view(-1, options)
    flat = Dirichlet(torch.ones_like(mine))
    expected = 0.5 * kl_divergence(Dirichlet(mine), flat).sum()
    torch.testing.assert_close(losses[1] - losses[0], expected, rtol=1e-4, atol=1e-5)


def test_the_second_stage_drops_the_options_of_lowest_alpha_and_widens_the_channels():
    space = DartsSpace(nodes=1)
    strategy = one_shot("drnas", space, epochs=4, partial=[4, 2])
    with torch.no_grad():
        strategy.alpha.copy_(torch.arange(8.0).expand_as(strategy.alpha))
    kept = []
    for epoch in range(4):
        strategy.start_epoch(epoch)
        kept.append(strategy.allowed[0].nonzero().flatten().tolist())
    assert kept == [list(range(8))] * 2 + [[4, 5, 6, 7]] * 2
    assert [strategy.stage(epoch).scale["partial"] for epoch in range(4)] == [4, 4, 2, 2]


def test_a_supernet_of_another_stage_is_refused():
    space = DartsSpace(nodes=1)
    strategy = one_shot("drnas", space, epochs=4, partial=[4, 2])
    scale = Scale(4, 3, input_shape=(6, 8, 8), num_outputs=4)
    supernet = space.supernet(strategy.stage(0).of(scale))
    assert supernet(batch()[0], strategy.mixture("alpha")).isfinite().all()
    strategy.start_epoch(2)
    with pytest.raises(ValueError, match=r"a supernet of scale.partial=2, got one of 4; build it"):
        supernet(batch()[0], strategy.mixture("alpha"))


def test_the_recipe_on_cifar10_keeps_seven_then_four_options_and_knows_no_none():
    recipe = OmegaConf.load(config_dir() / "experiment" / "drnas_cifar.yaml")
    space = DartsSpace(ops=recipe.search_space.ops)
    strategy = one_shot("drnas", space, kept=recipe.strategy.kept, epochs=50)
    numbers = []
    for epoch in (24, 25):
        strategy.start_epoch(epoch)
        numbers.append({len(options) for options in strategy.support()})
    assert numbers == [{7}, {4}]
    assert "none" not in space.ops


def test_alphas_stand_still_at_the_beginning_of_each_stage():
    strategy = one_shot("drnas", epochs=10)
    warm = []
    for epoch in range(10):
        strategy.start_epoch(epoch)
        warm.append(strategy.is_warm)
    assert warm == [False, False, True, True, True] * 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kept": [1.0]}, r"partial \(\[1, 1\]\) and kept \(\[1.0\]\) must have one value"),
        ({"kept": [0.5, 0.5]}, r"kept \(\[0.5, 0.5\]\) must begin with 1, since nothing is known"),
        ({"kept": [1.0, 0.0]}, r"must not grow nor end at 0; use e.g. \[1.0,0.5\]"),
        ({"partial": [4, 2]}, r"no partial channels, strategy.partial is \[4, 2\]"),
        (
            {"partial": [6, 4, 2], "kept": [1.0, 0.6, 0.3]},
            r"set strategy.partial=\[1,1,1\]",
        ),
        ({"kl": -1.0}, r"strategy.kl \(-1.0\) must be at least 0; use e.g. 0"),
        (
            {"kl": 0.5},
            r"kl \(0.5\) takes the place of strategy.alpha_optimizer.weight_decay \(0.001\); set "
            "strategy.alpha_optimizer.weight_decay=0",
        ),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        one_shot("drnas", **settings)


def test_the_divergence_from_the_flat_dirichlet_is_torchs_over_the_allowed_options():
    concentration = ALPHA.exp().requires_grad_()
    rows = [row[allowed] for row, allowed in zip(concentration, ALLOWED, strict=True)]
    wanted = [kl_divergence(Dirichlet(row), Dirichlet(torch.ones_like(row))) for row in rows]
    found = divergence_from_flat(concentration, ALLOWED)
    torch.testing.assert_close(found, torch.stack(wanted))
    (gradient,) = torch.autograd.grad(found.sum(), concentration)
    (exact,) = torch.autograd.grad(torch.stack(wanted).sum(), concentration)
    torch.testing.assert_close(gradient, exact)


def test_a_single_allowed_option_has_no_divergence():
    only = torch.tensor([[False, True, False]])
    assert divergence_from_flat(ALPHA[:1].exp(), only).item() == pytest.approx(0.0, abs=1e-12)
