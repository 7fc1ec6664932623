import pytest
import torch
import torch.nn.functional as F
from plain_context import one_shot
from planted_problem.spaces import PlantedCells, PlantedLayers
from search_step import CLASSES, SIDE, batches, in_double

from nas_lightning.core.choices import Mixture
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.chain import ChainSpace
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.enas_macro import EnasMacroSpace
from nas_lightning.search_spaces.mobile import MobileSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.darts import Darts
from nas_lightning.strategies.lambda_darts import LambdaDarts, aligning_direction, alignment_of
from nas_lightning.training.updates import SearchUpdates

GROUPS = ((0, 2, 3), (1, 4))


def updates_of(make=LambdaDarts, space=None, **settings):
    torch.manual_seed(0)
    space = space or NasBench201Space(scale=Scale(4, 5))
    strategy = make(space, 0, 3, alpha_optimizer=Adam(lr=0.05), **settings)
    return in_double(SearchUpdates(space, strategy, (3, SIDE, SIDE), CLASSES))


def table_of(updates):
    shared = updates.strategy.mixture("params").weights
    cells = len(updates.space.cell_rows(updates.space.scale))
    return shared.expand(cells, *shared.shape).clone().requires_grad_()


def gradients(cells=5, zero=()):
    rng = torch.Generator().manual_seed(0)
    table = torch.randn(cells, 2, 3, generator=rng, dtype=torch.float64)
    table[list(zero)] = 0.0
    return table


def test_the_alignment_is_the_mean_cosine_of_pairs_of_cells_that_share_alphas():
    table = gradients()
    rows = table.flatten(1)
    cosine = lambda a, b: F.cosine_similarity(rows[a], rows[b], dim=0)  # noqa: E731
    wanted = (cosine(0, 2) + cosine(0, 3) + cosine(2, 3)) / 3 + cosine(1, 4)
    torch.testing.assert_close(alignment_of(table, GROUPS), wanted)


def test_the_direction_is_the_gradient_of_the_alignment():
    table = gradients().requires_grad_()
    (wanted,) = torch.autograd.grad(alignment_of(table, GROUPS), table)
    torch.testing.assert_close(aligning_direction(table.detach(), GROUPS), wanted)


def test_a_cell_without_gradient_takes_no_part():
    table = gradients(zero=[2])
    direction = aligning_direction(table, GROUPS)
    assert torch.equal(direction[2], torch.zeros(2, 3, dtype=torch.float64))
    alone = aligning_direction(table, ((0, 3), (1, 4)))
    torch.testing.assert_close(3 * direction[0], alone[0])  # of three pairs one is left


def smooth(patch):
    """Replaces ReLU by softplus everywhere."""
    softplus = F.softplus
    patch.setattr(F, "relu", lambda x, inplace=False: softplus(x))


def exact_regulariser(updates, batch):
    """The gradient of the alignment by two backward passes."""
    table, params = table_of(updates), list(updates.params.values())
    loss = updates.loss(batch, Mixture(table, updates.strategy.support()))
    (of_table,) = torch.autograd.grad(loss, table, create_graph=True)
    alignment = alignment_of(of_table, updates.strategy.groups)
    return torch.autograd.grad(alignment, params, allow_unused=True), table, of_table.detach()


def flat(updates, grads):
    pairs = zip(updates.params.values(), grads, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in pairs])


@pytest.mark.parametrize(
    ("radius", "error"),
    [(1e-3, 1e-2), (1e-4, 1e-3)],  # what is left is the difference quotient's own error
)
def test_the_finite_difference_is_the_exact_gradient_on_a_smooth_supernet(
    radius, error, monkeypatch
):
    smooth(monkeypatch)
    updates = updates_of(radius=radius)
    train, _ = batches()
    exact, table, of_table = exact_regulariser(updates, train)
    found = updates.strategy.regulariser(train, table.detach(), of_table, updates)
    found, exact = flat(updates, found), flat(updates, exact)
    assert F.cosine_similarity(found, exact, dim=0) > 0.999
    assert (found - exact).abs().max() < error * exact.abs().max()


def test_a_weight_step_descends_on_the_loss_less_the_weighted_alignment(monkeypatch):
    smooth(monkeypatch)
    updates = updates_of(alignment=0.5, radius=1e-4, params_optimizer=Sgd(clip=1e9))
    strategy, (train, val) = updates.strategy, batches()
    strategy.start_epoch(2)
    monkeypatch.setattr(LambdaDarts, "alpha_step", lambda *_: None)
    exact, _, _ = exact_regulariser(updates, train)
    params = list(updates.params.values())
    loss = updates.loss(train, strategy.mixture("params"))
    plain = torch.autograd.grad(loss, params, allow_unused=True)
    decay, lr = strategy.params_optimizer.weight_decay, updates.lr
    before = [p.detach().clone() for p in params]
    assert torch.equal(strategy.search_step(train, val, updates), loss.detach())
    wanted = flat(updates, plain) - 0.5 * flat(updates, exact)
    taken = [(old - p) / lr - decay * old for old, p in zip(before, params, strict=True)]
    found = flat(updates, [t.detach() for t in taken])
    assert (found - wanted).abs().max() < 1e-2 * wanted.abs().max()


@pytest.mark.parametrize("settings", [{"alignment": 0.0}, {"epochs_before": 0}])
def test_without_alignment_and_in_the_first_epoch_it_has_the_bits_of_darts(settings):
    epoch = settings.pop("epochs_before", 2)
    ends = []
    for make in (Darts, LambdaDarts):
        updates = updates_of(make, **(settings if make is LambdaDarts else {}))
        updates.start_epoch(epoch)
        for _ in range(2):
            updates.strategy.search_step(*batches(), updates)
        ends.append([updates.strategy.alpha, *updates.params.values()])
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(*ends, strict=True))


def test_later_epochs_train_other_params_than_darts():
    plain, aligned = updates_of(Darts), updates_of()
    for updates in (plain, aligned):
        updates.start_epoch(2)
        updates.strategy.search_step(*batches(), updates)
    assert torch.equal(plain.strategy.alpha, aligned.strategy.alpha)  # alphas stepped first
    names = [n for n, p in plain.params.items() if not torch.equal(p, aligned.params[n])]
    assert any(name.startswith("cells.0") for name in names)
    assert aligned.meter.training_samples == 2 * plain.meter.training_samples  # 4 batches for 2


def test_the_weight_grows_from_nothing_in_the_first_epoch_to_its_value_in_the_last():
    strategy = one_shot("lambda_darts", epochs=5, alignment=0.2)
    weights = []
    for epoch in range(5):
        strategy.start_epoch(epoch)
        weights.append(strategy.weight)
    assert weights == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2])
    assert one_shot("lambda_darts", epochs=1, alignment=0.2).weight == 0.2


def test_cells_of_a_kind_are_aligned_with_each_other():
    assert one_shot("lambda_darts", DartsSpace(scale=Scale(4, 8))).groups == (
        (0, 1, 3, 4, 6, 7),
        (2, 5),
    )
    assert one_shot("lambda_darts", NasBench201Space(scale=Scale(4, 5))).groups == ((0, 1, 2),)
    assert one_shot("lambda_darts", PlantedCells(scale=Scale(4, 3))).groups == ((0, 2),)


@pytest.mark.parametrize("space", [ChainSpace, EnasMacroSpace, MobileSpace, PlantedLayers])
def test_a_space_whose_cells_share_no_alphas_is_refused(space):
    message = "at least two, but search space '.*' has none such; choose e.g. search_space=darts"
    with pytest.raises(ValueError, match=message):
        one_shot("lambda_darts", space())


def test_a_scale_with_one_cell_is_refused():
    message = "has none such; set search_space.scale.cells to 4 or more, it is 3"
    with pytest.raises(ValueError, match=message):
        one_shot("lambda_darts", NasBench201Space(scale=Scale(4, 3)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alignment": -1.0}, r"strategy.alignment \(-1.0\) must be at least 0; use e.g. 0.125"),
        ({"radius": 0.0}, r"strategy.radius \(0.0\) must be above 0; use e.g. 0.001"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        one_shot("lambda_darts", **settings)
