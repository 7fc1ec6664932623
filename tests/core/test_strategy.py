from types import SimpleNamespace

import pytest
import torch

from nas_lightning.core.choices import Choice, Mixture
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.strategy import BlackBoxStrategy, OneShotStrategy, Trial

SPACE = SimpleNamespace(
    choices=(Choice("a", ("x", "y", "z"), "op", "g"), Choice("b", ("x", "y"), "op", "g")),
    discretize=lambda scores: ("found", scores),
    limits=None,
)
TRAIN, VAL = "training batch", "validation batch"


class Fixed(OneShotStrategy):
    """The least that a strategy is: a constant mixture."""

    def __init__(self, epochs=3):
        super().__init__(SPACE, 7, epochs, Sgd(), Adam())

    def mixture(self, phase):
        return f"mixture for {phase}"

    def scores(self):
        return Mixture(self.allowed.float(), self.support())


class Recorder:
    """A search context that notes what is asked of it."""

    def __init__(self):
        self.calls = []
        self.params = {"w": torch.ones(2, requires_grad=True)}

    def loss(self, batch, mixture, params=None, statistics=False):
        learns = [param.requires_grad for param in (params or self.params).values()]
        self.calls.append((batch, mixture, learns, statistics))
        return f"loss of the {batch}"

    def minimise(self, which, closure):
        self.calls.append(which)
        return closure()


def test_options_that_choices_lack_are_not_allowed():
    strategy = Fixed()
    assert strategy.allowed.tolist() == [[True, True, True], [True, True, False]]
    assert strategy.support() == ((0, 1, 2), (0, 1))


def test_pruning_is_a_change_of_the_allowed_options():
    strategy = Fixed()
    strategy.support()
    strategy.allowed[0, 1] = False
    assert strategy.support() == ((0, 2), (0, 1))
    strategy.allowed[1] = False
    assert strategy.support() == ((0, 2), ())


def test_loading_a_state_changes_the_support():
    pruned, strategy = Fixed(), Fixed()
    pruned.allowed[0, 0] = False
    strategy.support()
    strategy.load_state_dict(pruned.state_dict())
    assert strategy.support() == ((1, 2), (0, 1))


def test_the_state_holds_the_generator_of_the_draws():
    strategy, restored = Fixed(), Fixed()
    torch.rand(5, generator=strategy.rng)
    restored.load_state_dict(strategy.state_dict())
    draws = [torch.rand(5, generator=each.rng) for each in (strategy, restored)]
    assert torch.equal(*draws)


def test_a_step_moves_alphas_before_params_and_only_params_move_statistics():
    recorder = Recorder()
    loss = Fixed().search_step(TRAIN, VAL, recorder)
    assert recorder.calls == [
        "alpha",
        (VAL, "mixture for alpha", [False], False),
        "params",
        (TRAIN, "mixture for params", [True], True),
    ]
    assert loss == "loss of the training batch"


def test_the_genotype_is_the_spaces_reading_of_the_scores_by_default():
    strategy = Fixed()
    name, scores = strategy.derive(Recorder(), [])
    assert name == "found"
    assert torch.equal(scores.weights, strategy.scores().weights)


@pytest.mark.parametrize("epochs", [0, -3])
def test_a_search_without_epochs_is_refused(epochs):
    with pytest.raises(ValueError, match=rf"strategy.epochs \({epochs}\) must be at least 1; use"):
        Fixed(epochs)


def test_a_search_without_trials_is_refused():
    class Nothing(BlackBoxStrategy):
        def ask(self, number):
            """Never asked."""

        def tell(self, trial):
            """Never told."""

    with pytest.raises(ValueError, match=r"strategy.trials \(0\) must be at least 1; use e.g. 8"):
        Nothing(SPACE, 0, 0)


def test_a_trial_that_was_not_told_has_no_reward_to_give():
    assert Trial(3, SPACE, reward=0.5).told_reward == 0.5
    with pytest.raises(AssertionError, match="trial 3 has no reward: it was not told yet"):
        _ = Trial(3, SPACE).told_reward
