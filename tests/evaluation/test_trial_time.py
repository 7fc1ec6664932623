"""A search by trials asks for those that fit into its time."""

from dataclasses import replace

import pytest

from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.journal import Journal
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.evaluation.trial_time import TrialTime
from nas_lightning.evaluation.trials import run_trials
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.annealing import Annealing
from nas_lightning.strategies.random_search import RandomSearch
from nas_lightning.training.cost_meter import CostMeter

SPACE = NasBench201Space()


class Timed(Evaluation):
    """Takes 2 s a trial, or what it is told."""

    def __init__(self, *seconds, dies_at=None):
        self.seconds, self.dies_at = seconds, dies_at

    def measures(self):
        return frozenset({"validation_accuracy"})

    def samples(self, budget=1.0):
        return 0

    def evaluate(self, trial, seed):
        if trial.number == self.dies_at:
            raise KeyboardInterrupt
        seconds = self.seconds[trial.number] if trial.number < len(self.seconds) else 2.0
        return {"validation_accuracy": seed % 97 / 97}, CostMeter(seconds, seconds)


class Slow(RandomSearch):
    """Takes 1 s for a proposal, or what it is told, on the clock of this test."""

    now, seconds = 0.0, 1.0

    def ask(self, number):
        Slow.now += self.seconds
        return super().ask(number)


@pytest.fixture
def search(tmp_path, monkeypatch):
    monkeypatch.setattr("nas_lightning.evaluation.trials.monotonic", lambda: Slow.now)

    def search(evaluation, seconds, kind=RandomSearch, name="trials.jsonl", most=None, **more):
        strategy, journal = kind(SPACE, 0), Journal(tmp_path / name)
        more["time"] = TrialTime(seconds, most=most)
        return run_trials(strategy, evaluation, Accuracy(), journal, **more)[0]

    return search


@pytest.mark.parametrize(
    ("evaluation", "seconds", "trials"),
    [(Timed(), 30, 15), (Timed(), 3.9, 1), (Timed(9.0), 30, 11), (Timed(0.1), 30, 16)],
)
def test_as_many_trials_run_as_the_time_allows(search, evaluation, seconds, trials):
    assert len(search(evaluation, seconds)) == trials


def test_trials_that_were_given_are_the_most(search):
    assert len(search(Timed(), 30, most=4)) == 4


def test_trials_that_take_no_time_keep_their_number(search):
    assert len(search(Timed(*[0.0] * 9), 30)) == 8


@pytest.mark.parametrize("dies_at", [1, 5, 12])
def test_a_resumed_search_counts_what_was_used_and_plans_the_same(search, dies_at):
    whole = search(Timed(1.0, 3.0), 30, Annealing, "whole.jsonl")
    with pytest.raises(KeyboardInterrupt):
        search(Timed(1.0, 3.0, dies_at=dies_at), 30, Annealing)
    assert search(Timed(1.0, 3.0), 30, Annealing) == whole


def test_what_proposals_take_counts_and_survives_a_resume(search, monkeypatch):
    whole = search(Timed(), 30, Slow, "whole.jsonl")
    assert len(whole) == 10
    with pytest.raises(KeyboardInterrupt):
        search(Timed(dies_at=6), 30, Slow)
    monkeypatch.setattr(Slow, "ask", RandomSearch.ask)  # what is replayed is not measured again
    assert len(search(Timed(), 30, Slow)) == 6 + (30 - 6 * 3) // 2
    assert [trial.asking_s for trial in whole] == [1.0] * 10


def test_a_trial_that_was_asked_runs_however_long_it_takes_to_ask_again(search, monkeypatch):
    class ThirdIsLong(Timed):
        def work(self, trial):
            return 10.0 if trial.number == 3 else 1.0

    with pytest.raises(KeyboardInterrupt):
        search(ThirdIsLong(dies_at=7), 30, Slow, in_flight=2)
    monkeypatch.setattr(Slow, "seconds", 40.0)
    again = [trial.number for trial in search(ThirdIsLong(), 30, Slow, in_flight=2)]
    assert again[:6] == [0, 1, 2, 4, 5, 6]  # all that were told
    assert {*again} == {*range(8)}


class Cost(dict):
    """Counts how often it is read."""

    reads = 0

    def __getitem__(self, name):
        Cost.reads += 1
        return super().__getitem__(name)


def test_a_plan_costs_the_same_after_any_number_of_trials():
    time, strategy, trials = TrialTime(1e6), RandomSearch(SPACE, 0), []
    for number in range(50):
        trial = strategy.ask(number)
        assert time.allows(trial, trials)
        trials.append(replace(trial, cost=Cost(wall_s=2.0)))
        time.plan(strategy, trials)
    assert Cost.reads == 50
    assert strategy.trials == 50 + (1e6 - 100) // 2


def test_a_time_below_one_trial_is_refused_with_what_it_takes(search):
    message = (
        r"max_seconds \(1\) must allow at least one trial, which takes 2\.0 s here; start a new "
    )
    with pytest.raises(ValueError, match=message + "run with max_seconds=3 or more"):
        search(Timed(), 1)
