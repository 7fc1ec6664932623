"""The loop of a black-box search, and how it goes on where it was stopped."""

import time

import pytest

from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.journal import Journal
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.evaluation.trials import best_trial, check_fit, chosen_trial, run_trials
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.random_search import RandomSearch
from nas_lightning.training.cost_meter import CostMeter

SPACE = DartsSpace(nodes=1)
SAMPLES = 100


class Kill(BaseException):
    """Stands for an interruption."""


class Lottery(Evaluation):
    """Draws an accuracy from the trial's seed, and notes what it was asked; dies on demand."""

    def __init__(self, dies_at=None):
        self.seeds, self.dies_at = [], dies_at

    def evaluate(self, trial, seed):
        if len(self.seeds) == self.dies_at:
            raise Kill
        self.seeds.append(seed)
        figures = {
            "validation_accuracy": seed % 997 / 997,
            "parameters": len(trial.genotype.choices),
        }
        return figures, CostMeter(1.0, 1.0, SAMPLES, 10, 1, 2)

    def measures(self):
        return frozenset({"validation_accuracy", "parameters"})

    def samples(self, budget=1.0):
        return SAMPLES


class Learner(RandomSearch):
    """Asks for what depends on all that it was told."""

    told = 0.0

    def ask(self, number):
        return RandomSearch(self.space, int(1000 * self.told)).ask(number)

    def tell(self, trial):
        self.told += trial.reward


@pytest.fixture
def search(tmp_path):
    """Runs a search of four trials in the test's folder; gives its trials and its cost."""

    def search(evaluation=None, seed=0, kind=Learner, name="trials.jsonl", **more):
        journal = Journal(tmp_path / name)
        strategy = kind(SPACE, seed, trials=4)
        return run_trials(strategy, evaluation or Lottery(), Accuracy(), journal, **more)

    return search


def test_every_trial_is_asked_evaluated_and_told_in_order(search, tmp_path):
    trials, cost = search()
    events = list(Journal(tmp_path / "trials.jsonl").events())
    assert [(e["event"], e["trial"]) for e in events] == [
        (kind, number) for number in range(4) for kind in ("asked", "told")
    ]
    assert events[0]["choices"] == trials[0].genotype.mapping
    assert events[1]["reward"] == events[1]["validation_accuracy"] == trials[0].reward
    assert events[1]["cost"] == CostMeter(1.0, 1.0, SAMPLES, 10, 1, 2).as_dict()
    assert cost == CostMeter(4.0, 4.0, 4 * SAMPLES, 40, 4, 8)


@pytest.mark.parametrize("dies_at", [0, 1, 3])
def test_a_killed_search_goes_on_without_evaluating_twice(search, tmp_path, dies_at):
    whole, whole_cost = search(name="whole.jsonl")
    with pytest.raises(Kill):
        search(Lottery(dies_at))
    rest = Lottery()
    trials, cost = search(rest)
    assert (trials, cost) == (whole, whole_cost)
    assert len(rest.seeds) == 4 - dies_at
    text = (tmp_path / "trials.jsonl").read_text()
    assert text == (tmp_path / "whole.jsonl").read_text()


def test_a_finished_search_is_read_from_its_journal(search):
    whole, cost = search()
    assert search(Lottery(dies_at=0)) == (whole, cost)


def test_every_trial_has_a_seed_of_its_own_that_the_runs_seed_decides(search):
    first, other = Lottery(), Lottery()
    search(first)
    search(other, seed=1, name="other.jsonl")
    assert len({*first.seeds, *other.seeds}) == 8


def test_the_journal_of_another_search_is_refused(search):
    search(kind=RandomSearch)
    message = (
        r"trials\.jsonl tells of genotype \w+ in trial 0, this search asks for \w+: it belongs"
    )
    with pytest.raises(ValueError, match=message):
        search(kind=RandomSearch, seed=1)


def test_no_trial_begins_that_would_pass_the_cap(search):
    trials, cost = search(max_samples=299)
    assert len(trials) == 2
    assert cost.training_samples == 200


def test_a_cap_below_one_trial_is_refused(search):
    with pytest.raises(
        ValueError, match=r"max_samples \(99\) must allow at least one trial, .*100"
    ):
        search(max_samples=99)


def test_a_cap_that_nothing_counts_towards_is_refused(search):
    class Free(Lottery):
        def samples(self, budget=1.0):
            return 0

    with pytest.raises(
        ValueError, match=r"max_samples \(99\) has no effect beside evaluation Free"
    ):
        search(Free(), max_samples=99)


def test_a_watcher_sees_the_trials_so_far_after_each_and_after_a_replay(search):
    seen = []
    with pytest.raises(Kill):
        search(Lottery(dies_at=2), watch=lambda trials: seen.append(len(trials)))
    search(watch=lambda trials: seen.append(len(trials)))
    assert seen == [1, 2, 2, 3, 4]


def test_the_best_trial_is_the_first_of_equal_ones():
    genotype = RandomSearch(SPACE, 0).ask(0).genotype
    trials = [
        Trial(number, genotype, reward=reward) for number, reward in enumerate((0.1, 0.9, 0.9))
    ]
    assert best_trial(trials).number == 1


class Small(Accuracy):
    """Asks for what a lottery does not measure, or for what it never gives."""

    def __init__(self, needed="parameters"):
        self.needed = needed

    def needs(self):
        return frozenset({self.needed})

    def is_met(self, measurements):
        return measurements["parameters"] < 1

    def requirement(self):
        return "parameters < 1"


def test_an_objective_without_its_measurement_is_refused_before_any_trial(search):
    lottery = Lottery()
    message = r"objective Small needs 'latency_ms', .* Lottery does not measure; it has: param"
    with pytest.raises(ValueError, match=message):
        check_fit(RandomSearch(SPACE, 0), lottery, Small("latency_ms"))


def test_children_trained_step_by_step_need_an_evaluation_that_can():
    class Halving(RandomSearch):
        needs_budgets = True

    with pytest.raises(
        ValueError, match=r"Halving trains children step by step, .* Lottery cannot"
    ):
        check_fit(Halving(SPACE, 0), Lottery(), Accuracy())


def test_a_search_that_meets_no_requirement_says_what_came_nearest(search):
    trials, _ = search()
    message = r"none of the 4 children meets .* \(parameters < 1\); the nearest has validation_acc"
    with pytest.raises(ValueError, match=message):
        chosen_trial(trials, Small())


@pytest.mark.slow
def test_a_trial_costs_the_same_whatever_its_number(tmp_path):
    times = {}

    def watch(trials):
        if len(trials) in (500, 1000, 3500, 4000):
            times[len(trials)] = time.process_time()

    strategy = RandomSearch(SPACE, 0, trials=4000)
    run_trials(strategy, Lottery(), Accuracy(), Journal(tmp_path / "j"), watch=watch)
    early, late = times[1000] - times[500], times[4000] - times[3500]
    assert late < 3 * early  # scanning the journal would make it 5 times and more
    assert late / 500 < 1e-3
