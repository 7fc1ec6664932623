"""Budgets: children that are trained a little, and on from where they were."""

from dataclasses import replace

import pytest

from nas_lightning.core.scale import Scale
from nas_lightning.core.strategy import Trial
from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.sources import digits
from nas_lightning.evaluation.by_training import Candidates, FullTraining, LowFidelity
from nas_lightning.evaluation.journal import Journal
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.evaluation.pareto import pareto_front
from nas_lightning.evaluation.tabular import TabularEvaluation
from nas_lightning.evaluation.trials import best_trial, check_fit, run_trials
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.random_search import RandomSearch
from nas_lightning.strategies.successive_halving import SuccessiveHalving
from nas_lightning.training.child import ChildRecipe
from nas_lightning.training.hardware import Hardware
from nas_lightning.training.task import Classification

SPACE = DartsSpace(nodes=1)
SCALE = Scale(4, 4, flavour="child", input_shape=(1, 8, 8), num_outputs=10)
GENOTYPE = RandomSearch(SPACE, 0).ask(0).genotype
EPOCHS, SAMPLES = 4, 256  # of an epoch
FIRST, ON = Trial(0, GENOTYPE, 0.5), Trial(1, GENOTYPE, 1.0, parent=0, start=0.5)
TABLE_SPACE = NasBench201Space()
ROW = RandomSearch(TABLE_SPACE, 0).ask(0).genotype


@pytest.fixture(scope="module")
def data():
    return ImageDataModule(digits, seed=0, batch_size=128, max_images=512)


@pytest.fixture
def run(data, tmp_path):
    """A run whose children train for four epochs, and are kept."""
    recipe = ChildRecipe(epochs=EPOCHS, drop_path=0.3, scale=SCALE)
    task, folder = Classification(), tmp_path / "children"
    return Candidates(SPACE, data, recipe, task, Hardware().trainer, folder)


def accuracies(values):
    return {name: value for name, value in values.items() if name.startswith("validation")}


def test_a_promoted_child_ends_as_if_it_was_trained_in_one_go(run):
    evaluation = FullTraining(run)
    part, part_cost = evaluation.evaluate(FIRST, seed=3)
    rest, rest_cost = evaluation.evaluate(ON, seed=3)
    whole, whole_cost = evaluation.evaluate(Trial(2, GENOTYPE), seed=3)
    assert rest == whole != part
    for cost, epochs, children in ((part_cost, 2, 1), (rest_cost, 2, 0), (whole_cost, 4, 1)):
        assert cost.training_samples == epochs * SAMPLES
        assert (cost.epochs_trained, cost.children_trained) == (epochs, children)
    assert evaluation.samples(0.5) == 2 * SAMPLES
    assert sorted(path.name for path in run.folder.iterdir()) == ["0.ckpt"]


def test_a_budget_that_buys_no_further_epoch_costs_nothing(run):
    evaluation = LowFidelity(run, epochs=1, channels=2)
    part, _ = evaluation.evaluate(replace(FIRST, budget=0.1), seed=3)
    middle, cost = evaluation.evaluate(replace(ON, budget=0.4, start=0.1), seed=3)
    assert accuracies(middle) == pytest.approx(accuracies(part))
    assert (cost.training_samples, cost.epochs_trained) == (0, 0)
    assert run.checkpoint(1) is not None


def test_a_child_whose_parent_diverged_begins_anew_and_is_worth_nothing_again(run):
    evaluation = FullTraining(replace(run, recipe=replace(run.recipe, lr=1e30, clip=1e30)))
    evaluation.evaluate(FIRST, seed=3)
    figures, cost = evaluation.evaluate(ON, seed=3)
    assert (figures["validation_accuracy"], figures["diverged"]) == (0.0, 1.0)
    assert cost.children_trained == 1


class Kill(BaseException):
    """Stands for an interruption."""


class Mortal(FullTraining):
    """Dies when a trial is trained but not yet told."""

    def __init__(self, run, dies_at=None):
        super().__init__(replace(run, recipe=replace(run.recipe, epochs=2)))
        self.dies_at = dies_at

    def evaluate(self, trial, seed):
        found = super().evaluate(trial, seed)
        if trial.number == self.dies_at:
            raise Kill
        return found


def halving(run, tmp_path, name="trials.jsonl", dies_at=None, **more):
    strategy = SuccessiveHalving(SPACE, 0, RandomSearch, trials=3, eta=2, rungs=2)
    evaluation, journal = Mortal(run, dies_at), Journal(tmp_path / name)
    return run_trials(strategy, evaluation, Accuracy(), journal, **more)


def timeless(trials):
    return [replace(t, cost={k: v for k, v in t.cost.items() if "_s" not in k}) for t in trials]


def test_a_search_that_is_killed_before_any_tell_ends_the_same(run, tmp_path):
    other = replace(run, folder=tmp_path / "other")
    whole, cost = halving(other, tmp_path, "whole.jsonl")
    for number in range(3):
        with pytest.raises(Kill):
            halving(run, tmp_path, dies_at=number)
    left = []
    trials, again = halving(
        run, tmp_path, watch=lambda _: left.append([path.name for path in run.folder.iterdir()])
    )
    winner = trials[2].parent
    assert timeless(trials) == timeless(whole)
    assert cost.training_samples == again.training_samples == 3 * SAMPLES
    assert winner == max(trials[:2], key=lambda t: t.reward).number
    assert left[-2:] == [[f"{winner}.ckpt"], []]  # what is needed no more is removed


def test_a_cap_is_charged_for_the_further_samples_only(run, tmp_path):
    assert len(halving(run, tmp_path, "a", max_samples=3 * SAMPLES)[0]) == 3
    assert len(halving(run, tmp_path, "b", max_samples=3 * SAMPLES - 1)[0]) == 2


def test_the_best_trial_and_the_front_are_of_the_largest_budget():
    trials = [
        replace(FIRST, reward=0.9, values=(0.9,)),
        replace(ON, reward=0.5, values=(0.5,)),
    ]
    assert best_trial(trials) is trials[1]
    assert [one["trial"] for one in pareto_front(trials, Accuracy())["front"]] == [1]


def test_a_table_charges_a_promoted_child_for_the_further_epochs():
    evaluation = TabularEvaluation(TABLE_SPACE, "cifar10", epochs=200)
    short = TabularEvaluation(TABLE_SPACE, "cifar10", epochs=12)
    part, _ = evaluation.evaluate(Trial(0, ROW, 1 / 17), 0)
    rest, _ = evaluation.evaluate(Trial(1, ROW, 1.0, parent=0, start=1 / 17), 0)
    whole, _ = evaluation.evaluate(Trial(2, ROW), 0)
    assert part == short.evaluate(Trial(0, ROW), 0)[0]
    assert rest["validation_accuracy"] == whole["validation_accuracy"]
    assert part["train_time_s"] + rest["train_time_s"] == pytest.approx(whole["train_time_s"])


def test_budgets_that_meet_no_schedule_of_the_table_are_refused_before_any_trial():
    evaluation = TabularEvaluation(TABLE_SPACE, "cifar10", epochs=200)
    strategy = SuccessiveHalving(TABLE_SPACE, 0, RandomSearch)
    message = (
        r"budget \(0\.1111 of evaluation\.epochs=200\) buys 22 epochs, .* has only 12, 200 for "
        r"cifar10: choose .* evaluation\.epochs=200 strategy\.eta=17 strategy\.rungs=2"
    )
    with pytest.raises(ValueError, match=message):
        check_fit(strategy, evaluation, Accuracy())
    check_fit(
        SuccessiveHalving(TABLE_SPACE, 0, RandomSearch, eta=17, rungs=2), evaluation, Accuracy()
    )
