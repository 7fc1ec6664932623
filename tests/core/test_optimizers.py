from math import inf

import pytest
import torch

from nas_lightning.core.optimizers import TRAVEL, Adam, Sgd


def test_the_learning_rate_is_torchs_cosine_by_epoch():
    param = torch.zeros(1, requires_grad=True)
    optimizer = Sgd().build([param])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.001)
    for epoch in range(50):
        assert Sgd().lr_at(epoch, 50) == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize(("epoch", "lr"), [(0, 0.025), (25, 0.013), (50, 0.001)])
def test_the_learning_rate_begins_at_lr_and_ends_at_lr_min(epoch, lr):
    assert Sgd().lr_at(epoch, 50) == pytest.approx(lr)


def test_a_search_of_one_epoch_keeps_the_first_learning_rate():
    assert Sgd(lr=0.1).lr_at(0, 1) == pytest.approx(0.1)


def test_sgd_is_built_with_the_papers_values():
    (group,) = Sgd().build([torch.zeros(1, requires_grad=True)]).param_groups
    values = [group[name] for name in ("lr", "momentum", "weight_decay", "dampening", "nesterov")]
    assert values == [0.025, 0.9, 3e-4, 0, False]


def test_a_param_without_gradient_stands_still():
    moved, still = (torch.ones(2, requires_grad=True) for _ in range(2))
    optimizer = Sgd(weight_decay=0.1).build([moved, still])
    moved.grad, still.grad = torch.ones(2), torch.ones(2)
    optimizer.step()
    before, moved_before = still.detach().clone(), moved.detach().clone()
    still.grad = None
    optimizer.step()
    assert torch.equal(still, before)
    assert not torch.equal(moved, moved_before)


def never():
    raise AssertionError("the number of steps was asked for")


def test_adam_is_built_with_the_papers_values():
    (group,) = Adam().build([torch.zeros(1, requires_grad=True)], never).param_groups
    assert [group[name] for name in ("lr", "betas", "weight_decay")] == [3e-4, (0.5, 0.999), 1e-3]


@pytest.mark.parametrize(("steps", "lr"), [(66, TRAVEL / 66), (inf, 0.0)])
def test_adam_without_a_learning_rate_takes_it_from_the_number_of_steps(steps, lr):
    param = torch.zeros(1, requires_grad=True)
    (group,) = Adam(lr=None).build([param], lambda: steps).param_groups
    assert group["lr"] == lr


def test_alphas_travel_as_far_in_a_short_search_as_in_a_long_one():
    distances = []
    for steps in (20, 500):
        alpha = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        optimizer = Adam(lr=None, weight_decay=0.0).build([alpha], lambda n=steps: n)
        for _ in range(steps):
            alpha.grad = torch.ones_like(alpha)
            optimizer.step()
        distances.append(-float(alpha.detach()))
    assert distances == pytest.approx([TRAVEL, TRAVEL], rel=1e-6)  # a constant gradient's unit step


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 0.0}, r"params_optimizer.lr \(0.0\) must be in \(0, inf\); use e.g. 0.025"),
        ({"lr": -1.0}, r"params_optimizer.lr \(-1.0\) must be in \(0, inf\)"),
        ({"lr_min": -0.1}, r"params_optimizer.lr_min \(-0.1\) must be in \[0, 0.025\]"),
        ({"lr_min": 0.5}, r"lr_min \(0.5\) must be in \[0, 0.025\]; use e.g. 0.001"),
        ({"momentum": 1.0}, r"params_optimizer.momentum \(1.0\) must be in \[0, 1\)"),
        ({"momentum": -0.1}, r"momentum \(-0.1\) must be in \[0, 1\); use e.g. 0.9"),
        ({"weight_decay": -1e-3}, r"params_optimizer.weight_decay \(-0.001\) must be in \[0, inf"),
        ({"clip": 0.0}, r"params_optimizer.clip \(0.0\) must be above 0; use e.g. 5.0"),
        ({"clip": float("nan")}, r"clip \(nan\) must be above 0"),
        (
            {"nesterov": True, "momentum": 0.0},
            r"params_optimizer.momentum with nesterov \(0.0\) must be in \(0, 1\); use e.g. 0.9",
        ),
    ],
)
def test_impossible_settings_of_sgd_are_refused(settings, message):
    with pytest.raises(ValueError, match=f"^strategy.*{message}"):
        Sgd(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 0.0}, r"alpha_optimizer.lr \(0.0\) must be in \(0, inf\); use e.g. 0.0003"),
        ({"weight_decay": -1.0}, r"alpha_optimizer.weight_decay \(-1.0\) must be in \[0, inf\)"),
        ({"betas": (0.5, 1.0)}, r"alpha_optimizer.betas \(\[0.5, 1.0\]\) must be in \[0, 1\)"),
        ({"betas": (0.5,)}, r"alpha_optimizer.betas \(\(0.5,\)\) must be two numbers; use e.g."),
        ({"eps": 0.0}, r"alpha_optimizer.eps \(0.0\) must be above 0; use e.g. 1e-08"),
    ],
)
def test_impossible_settings_of_adam_are_refused(settings, message):
    with pytest.raises(ValueError, match=f"^strategy.*{message}"):
        Adam(**settings)
