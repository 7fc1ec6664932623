"""How a mixture is validated: buffers, modes and statistics."""

import pytest
import torch
from search_step import batches, changed, state_of, updates_of


def accuracy(updates, mixture, batch):
    """The share of right guesses in evaluation mode."""
    updates.supernet.eval()
    guesses = updates.supernet(batch[0], mixture).argmax(1)
    updates.supernet.train()
    return float((guesses == batch[1]).double().mean())


@pytest.mark.parametrize(
    ("training", "statistics"),
    [
        (True, "running"),
        (False, "recalibrated"),
        (False, "batch"),
        pytest.param(False, "running", marks=pytest.mark.slow),
        pytest.param(True, "recalibrated", marks=pytest.mark.slow),
        pytest.param(True, "batch", marks=pytest.mark.slow),
    ],
)
def test_validation_leaves_buffers_params_and_mode(statistics, training):
    updates = updates_of()
    train, val = batches(20)
    updates.strategy.search_step(train, val, updates)
    before, mixture = state_of(updates), updates.strategy.scores()
    momenta = [norm.momentum for norm in updates._norms]
    updates.supernet.train(training)
    recalibrate = [train, val] if statistics == "recalibrated" else None
    updates.validate(mixture, [val], recalibrate, statistics == "batch")
    assert changed(updates, before) == set()
    assert {each.training for each in updates.supernet.modules()} == {training}
    assert [norm.momentum for norm in updates._norms] == momenta


def test_validation_is_the_accuracy_over_all_batches():
    updates = updates_of()
    train, val = batches(20)
    updates.strategy.search_step(train, val, updates)
    mixture = updates.strategy.scores()
    shares = [accuracy(updates, mixture, batch) for batch in (train, val)]
    assert updates.validate(mixture, [train, val]) == pytest.approx(sum(shares) / 2, abs=1e-6)


def test_validation_with_batch_statistics_is_the_accuracy_in_training_mode():
    updates = updates_of()
    train, val = batches(20)
    updates.strategy.search_step(train, val, updates)
    mixture = updates.strategy.scores()
    guesses = updates.supernet(val[0], mixture).argmax(1)
    expected = float((guesses == val[1]).double().mean())
    assert updates.validate(mixture, [val], batch_statistics=True) == pytest.approx(expected)


def test_recalibration_takes_the_mean_of_the_batches_statistics(monkeypatch):
    updates = updates_of()
    train, val = batches(20)
    stem, seen = updates.supernet.stem[0], []
    wanted = torch.stack([stem[0](batch[0]).mean((0, 2, 3)) for batch in (train, val)]).mean(0)
    forward = type(updates.supernet).forward

    def spy(self, *arguments):
        seen.append((self.training, stem[1].running_mean.clone()))
        return forward(self, *arguments)

    monkeypatch.setattr(type(updates.supernet), "forward", spy)
    updates.validate(updates.strategy.scores(), [val], [train, val])
    assert [training for training, _ in seen] == [True, True, False]
    torch.testing.assert_close(seen[-1][1], wanted.detach(), rtol=1e-10, atol=1e-12)
