"""Several trials in flight: every black-box strategy can be asked, or is refused."""

import json

import pytest
from hydra.utils import get_object
from last_first import LastFirst
from omegaconf import OmegaConf
from representatives import some_slow

from nas_lightning.config.making import make
from nas_lightning.config.paths import config_dir
from nas_lightning.core.strategy import BlackBoxStrategy
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.executors import Job, Outcome, Outcomes, SerialExecutor
from nas_lightning.evaluation.journal import Journal
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.evaluation.trials import run_trials
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.evolution import Evolution
from nas_lightning.strategies.random_search import RandomSearch
from nas_lightning.training.cost_meter import CostMeter

SPACE, TRIALS, SAMPLES = NasBench201Space(), 26, 81
QUICK = {"fit_steps": 3, "startup": 3, "population": 5, "batch": 2, "start": 3, "children": 2}
QUICK |= {"candidates": 20, "ensemble": 2, "hidden": 8, "layers": 1}


def is_black_box(path):
    target = get_object(OmegaConf.load(path)["_target_"])
    return isinstance(target, type) and issubclass(target, BlackBoxStrategy)


FILES = [p for p in sorted((config_dir() / "strategy").glob("*.yaml")) if is_black_box(p)]


class Kill(BaseException):
    """Stands for kill -9."""


class Digest(Evaluation):
    """An accuracy from the genotype's id; the work from it as well."""

    takes_budgets = True

    def __init__(self):
        self.evaluated = []

    def measures(self):
        return frozenset({"validation_accuracy"})

    def samples(self, budget=1.0):
        return round(SAMPLES * budget)

    def work(self, trial):
        return 1 + int(trial.genotype.id[-2:], 16) % 5 + trial.number % 2

    def evaluate(self, trial, seed):
        self.evaluated.append(trial.number)
        accuracy = int(trial.genotype.id[:4], 16) / 65536
        cost = CostMeter(1.0, 1.0, self.samples_of(trial), 1, 1, 1)
        return {"validation_accuracy": accuracy * trial.budget}, cost

    def worst(self, trial):
        return {"validation_accuracy": 0.0}


class Backwards(LastFirst):
    """Reads its jobs from their text, as other processes do."""

    def submit(self, job):
        super().submit(Job.of(json.loads(json.dumps(job.as_dict())), SPACE))


def strategy_of(path, in_flight=3):
    node = OmegaConf.load(path)
    node["trials"] = TRIALS
    node.update({k: v for k, v in QUICK.items() if k in node})
    values = {"space": SPACE, "seed": 3, "objective": Accuracy(), "num_in_flight": in_flight}
    return make(node, "strategy", kind=BlackBoxStrategy, **values)


def search(strategy, folder, in_flight=3, kind=SerialExecutor, watch=lambda trials: None, **more):
    evaluation = more.pop("evaluation", None) or Digest()
    parts = strategy, evaluation, Accuracy(), Journal(folder / "trials.jsonl")
    run_trials(
        *parts,
        watch=watch,
        executor=kind(evaluation),
        in_flight=in_flight,
        arrived=folder / "arrived.jsonl",
        **more,
    )
    return (folder / "trials.jsonl").read_text()


@pytest.mark.parametrize("path", some_slow(FILES, "ppo"))  # asked as reinforce is
def test_a_strategy_is_asked_ahead_or_refuses(path, tmp_path):
    strategy = strategy_of(path)
    if strategy.needs_last_reward:
        name = type(strategy).__name__
        with pytest.raises(ValueError, match=rf"in_flight \(3\) must be 1 for strategy {name}, "):
            search(strategy, tmp_path)
        return
    whole = search(strategy, tmp_path / "a")
    assert search(strategy_of(path), tmp_path / "b", kind=Backwards) == whole
    told = [e["trial"] for e in map(json.loads, whole.splitlines()) if e["event"] == "told"]
    assert sorted(told) == list(range(TRIALS))
    assert told != sorted(told)
    assert all(abs(place - number) < 3 * 3 for place, number in enumerate(told))


def after(number):
    """A kill when so many trials are told."""

    def watch(trials):
        if len(trials) == number:
            raise Kill

    return watch


@pytest.mark.parametrize("path", some_slow(FILES, "ppo", "predictor"))
def test_a_search_killed_again_and_again_leaves_the_same_journal(path, tmp_path):
    if strategy_of(path).needs_last_reward:
        pytest.skip("it is refused")
    whole = search(strategy_of(path), tmp_path / "whole")
    evaluated = []
    for number in range(1, TRIALS, 4):
        evaluation = Digest()
        more = {"watch": after(number), "evaluation": evaluation}
        with pytest.raises(Kill):
            search(strategy_of(path), tmp_path / "run", kind=Backwards, **more)
        evaluated += evaluation.evaluated
    assert search(strategy_of(path), tmp_path / "run") == whole
    assert len(evaluated) == len({*evaluated})  # what had arrived is kept


def test_a_resumed_search_keeps_the_outcomes_that_wait_alone(tmp_path):
    with pytest.raises(Kill):
        search(RandomSearch(SPACE, 0, trials=8), tmp_path, kind=Backwards, watch=after(4))
    file, journal = tmp_path / "arrived.jsonl", Journal(tmp_path / "trials.jsonl")
    waiting = [line for line in file.read_text().splitlines() if not told_in(journal, line)]
    with file.open("a") as torn:
        torn.write('{"trial": 7, "meas')
    Outcomes(SerialExecutor(Digest()), file, journal.has_told)
    assert waiting
    assert file.read_text().splitlines() == waiting


def told_in(journal, line):
    return journal.has_told(json.loads(line)["trial"])


@pytest.mark.parametrize("name", ["successive_halving", "hyperband"])
def test_a_cap_of_samples_holds_for_children_that_are_promoted_early(name, tmp_path):
    path = next(path for path in FILES if path.stem == name)
    for cap in (SAMPLES, 2 * SAMPLES, 3 * SAMPLES + 5):
        text = search(strategy_of(path), tmp_path / str(cap), max_samples=cap)
        told = [e for e in map(json.loads, text.splitlines()) if e["event"] == "told"]
        spent = sum(event["cost"]["training_samples"] for event in told)
        assert cap - SAMPLES <= spent <= cap


def test_local_search_annealing_and_they_alone_are_refused():
    refused = [path.stem for path in FILES if strategy_of(path).needs_last_reward]
    assert refused == ["annealing", "local_search"]


def test_one_in_flight_is_the_search_of_always(tmp_path):
    text = search(Evolution(SPACE, 0, trials=6), tmp_path, in_flight=1, kind=Backwards)
    events = [(e["event"], e["trial"]) for e in map(json.loads, text.splitlines())]
    assert events == [(kind, number) for number in range(6) for kind in ("asked", "told")]


def test_what_is_in_flight_counts_against_the_cap_of_samples(tmp_path):
    text = search(RandomSearch(SPACE, 0, trials=9), tmp_path, max_samples=4 * SAMPLES + 1)
    told = [line for line in text.splitlines() if '"told"' in line]
    assert len(told) == 4


def test_a_failed_trial_is_told_as_the_worst_with_the_reason(tmp_path):
    class Failing(Backwards):
        def next_finished(self):
            outcome = super().next_finished()
            return outcome if outcome.trial != 1 else Outcome(1, failure="it was killed")

    seen = []
    search(RandomSearch(SPACE, 0, trials=3), tmp_path, kind=Failing, watch=seen.append)
    failed = next(trial for trial in seen[-1] if trial.number == 1)
    assert (failed.reward, failed.failure) == (0.0, "it was killed")
    search(RandomSearch(SPACE, 0, trials=3), tmp_path, watch=seen.append)
    assert failed in seen[-1]  # of the journal


@pytest.mark.parametrize("kind", [SerialExecutor, Backwards])
def test_results_are_told_as_they_arrive_where_that_is_wanted(kind, tmp_path):
    def run(folder, **more):
        strategy = Evolution(SPACE, 0, trials=TRIALS, population=5)
        return search(strategy, folder, kind=kind, is_virtual=False, **more)

    whole = run(tmp_path / "whole")
    told = [e["trial"] for e in map(json.loads, whole.splitlines()) if e["event"] == "told"]
    expected = [*range(TRIALS)] if kind is SerialExecutor else [*range(2, TRIALS), 1, 0]
    assert told == expected
    with pytest.raises(Kill):
        run(tmp_path / "run", watch=after(7))
    begun = (tmp_path / "run" / "trials.jsonl").read_text()
    evaluation = Digest()
    assert run(tmp_path / "run", evaluation=evaluation).startswith(begun)
    assert len(evaluation.evaluated) == TRIALS - 7
    assert evaluation.evaluated[0] not in told[:7]


def test_a_search_may_be_resumed_in_the_other_order(tmp_path):
    def run(is_virtual, **more):
        strategy = Evolution(SPACE, 0, trials=TRIALS, population=5)
        return search(strategy, tmp_path, kind=Backwards, is_virtual=is_virtual, **more)

    for number, is_virtual in ((5, False), (12, True), (18, False)):
        with pytest.raises(Kill):
            run(is_virtual, watch=after(number))
    told = [e["trial"] for e in map(json.loads, run(True).splitlines()) if e["event"] == "told"]
    assert sorted(told) == [*range(TRIALS)]
