import pytest
import torch
from search_step import batches, changed, module_of, state_of, with_log


def accuracy(module, mixture, batch):
    """The share of right guesses in evaluation mode."""
    module.supernet.eval()
    guesses = module.supernet(batch[0], mixture).argmax(1)
    module.supernet.train()
    return float((guesses == batch[1]).double().mean())


@pytest.mark.parametrize("statistics", ["running", "recalibrated", "batch"])
@pytest.mark.parametrize("training", [True, False])
def test_validation_leaves_buffers_params_and_mode(statistics, training):
    module = module_of()
    train, val = batches(20)
    module.strategy.search_step(train, val, module)
    before, mixture = state_of(module), module.strategy.scores()
    module.supernet.train(training)
    recalibrate = [train, val] if statistics == "recalibrated" else None
    module.validate(mixture, [val], recalibrate, statistics == "batch")
    assert changed(module, before) == set()
    assert {each.training for each in module.supernet.modules()} == {training}
    assert {norm.momentum for norm in module._norms} == {0.1}


def test_validation_is_the_accuracy_over_all_batches():
    module = module_of()
    train, val = batches(20)
    module.strategy.search_step(train, val, module)
    mixture = module.strategy.scores()
    shares = [accuracy(module, mixture, batch) for batch in (train, val)]
    assert module.validate(mixture, [train, val]) == pytest.approx(sum(shares) / 2, abs=1e-6)


def test_validation_with_batch_statistics_is_the_accuracy_in_training_mode():
    module = module_of()
    train, val = batches(20)
    module.strategy.search_step(train, val, module)
    mixture = module.strategy.scores()
    guesses = module.supernet(val[0], mixture).argmax(1)
    expected = float((guesses == val[1]).double().mean())
    assert module.validate(mixture, [val], batch_statistics=True) == pytest.approx(expected)


def test_recalibration_takes_the_mean_of_the_batches_statistics(monkeypatch):
    module = module_of()
    train, val = batches(20)
    stem, seen = module.supernet.stem[0], []
    wanted = torch.stack([stem[0](batch[0]).mean((0, 2, 3)) for batch in (train, val)]).mean(0)
    forward = type(module.supernet).forward

    def spy(self, *arguments):
        seen.append((self.training, stem[1].running_mean.clone()))
        return forward(self, *arguments)

    monkeypatch.setattr(type(module.supernet), "forward", spy)
    module.validate(module.strategy.scores(), [val], [train, val])
    assert [training for training, _ in seen] == [True, True, False]
    torch.testing.assert_close(seen[-1][1], wanted.detach(), rtol=1e-10, atol=1e-12)


def test_validation_logs_the_state_of_the_choices():
    module = with_log(module_of())
    module.on_validation_epoch_start()
    module.validation_step(batches(6)[1], 0)
    assert float(module.logged["search/alpha_entropy"]) == pytest.approx(1, abs=1e-3)
    assert module.logged["search/skip_share"] == pytest.approx(1 / 8, abs=1e-3)
    assert {"search/validation_loss", "search/validation_accuracy"} <= set(module.logged)


def test_what_is_drawn_while_a_genotype_is_derived_depends_on_the_seed_alone():
    module, drawn = module_of(), []
    module._trainer.global_rank = 0
    module.strategy.derive = lambda *_: torch.rand(1)
    for noise in range(2):
        torch.manual_seed(noise)
        drawn.append(module.derive([]))
    assert torch.equal(*drawn)
