"""Several children inherit from versions of one bank, whoever trains them and whoever dies."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from bank_search import BATCH, QUICK, SPACE, Kill, candidates, dies_before, same, search
from last_first import LastFirst

from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation import inherited
from nas_lightning.evaluation.executors import Executor, Outcome, SerialExecutor
from nas_lightning.evaluation.inherited import Inherited
from nas_lightning.evaluation.journal import Journal
from nas_lightning.evaluation.weight_bank import BankFolder, ChildWeights, WeightBank, merged

IN_FLIGHT, TRIALS = 3, 5


@pytest.fixture(scope="module")
def run():
    return candidates()


def fly(run, folder, kind=SerialExecutor, in_flight=IN_FLIGHT):
    return search(run, folder, TRIALS, kind, in_flight)


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    return fly(run, tmp_path_factory.mktemp("whole"))


def given(state, names=("a",)):
    return ChildWeights(
        {name: torch.tensor(values) for name, values in state.items()}, names, {}, {}
    )


def test_a_param_that_nobody_else_moved_is_the_childs_to_the_bit():
    base = WeightBank({"a": torch.tensor([0.1, 0.2]), "b": torch.tensor([1.0])})
    first = merged(base, base, given({"a": [0.7, 0.3]}))
    assert torch.equal(first.params["a"], torch.tensor([0.7, 0.3]))
    assert first.params["b"] is base.params["b"]
    second = merged(first, base, given({"b": [3.0]}, ("b",)))
    assert torch.equal(second.params["b"], torch.tensor([3.0]))
    assert second.moves == {"a": 1, "b": 1}


def test_changes_of_one_version_are_merged_into_their_mean_if_they_are_told_in_turn():
    base = bank = WeightBank({"a": torch.tensor([1.0, 1.0]), "mean": torch.tensor([0.0])})
    for moved in (2.0, 4.0, 9.0):
        bank = merged(bank, base, given({"a": [1.0 + moved], "mean": [moved]}))
    assert bank.params["a"].tolist() == [1 + 2 / 1 + 4 / 2 + 9 / 3, 1.0]  # the slice of the child
    assert bank.params["mean"].tolist() == [9.0]  # a buffer is the last one's
    assert base.params["a"].tolist() == [1.0, 1.0]


def test_a_child_begins_with_the_version_of_when_it_was_asked(run, whole, tmp_path):
    begun = []

    class Watched(SerialExecutor):
        def submit(self, job):
            begun.append((job.trial.number, job.trial.after))
            super().submit(job)

    fly(run, tmp_path, Watched)
    assert begun == [(0, 0), (1, 0), (2, 0), (3, 1), (4, 2)]


@pytest.mark.parametrize("in_flight", [pytest.param(1, marks=pytest.mark.slow), IN_FLIGHT])
def test_whoever_trains_in_whatever_order_leaves_the_same_journal_and_bank(
    run, whole, tmp_path, in_flight
):
    expected = whole if in_flight > 1 else fly(run, tmp_path / "serial", in_flight=1)
    events, bank, _ = fly(run, tmp_path / "other", LastFirst, in_flight)
    assert events == expected[0]
    assert same(bank.params, expected[1].params)


@pytest.mark.slow
def test_more_in_flight_is_another_search(run, whole, tmp_path):
    _, bank, _ = fly(run, tmp_path, in_flight=2)
    assert not same(bank.params, whole[1].params)


def test_versions_and_children_are_removed_once_nobody_needs_them(whole):
    versions = [{name for name in files if name.startswith("bank-")} for files in whole[2]]
    assert max(map(len, versions)) <= IN_FLIGHT + 2
    assert versions[-1] == {f"bank-{n}.pt" for n in (TRIALS - IN_FLIGHT, TRIALS - 1, TRIALS)}
    assert max(map(len, whole[2])) <= 2 * IN_FLIGHT + 2


later = partial(pytest.param, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("kind", "target", "name", "number"),
    [
        later(SerialExecutor, inherited.ChildModule, "on_train_epoch_end", 1),  # of a random child
        (SerialExecutor, inherited.ChildModule, "on_train_epoch_end", 4),  # in a child
        later(LastFirst, BankFolder, "give", 4),  # a child is trained, and nobody knows
        later(SerialExecutor, BankFolder, "write", 4),  # it gave back, and the bank knows nothing
        (LastFirst, Journal, "append", 9),  # the bank knows, the journal does not
        later(LastFirst, BankFolder, "retain", 5),
    ],
)
def test_bank_and_journal_agree_after_a_kill_with_children_in_flight(
    run, whole, tmp_path, monkeypatch, kind, target, name, number
):
    with monkeypatch.context() as patch:
        dies_before(patch, target, name, number)
        with pytest.raises(Kill):
            fly(run, tmp_path, kind)
    events, bank, _ = fly(run, tmp_path)
    assert events == whole[0]
    assert same(bank.params, whole[1].params)
    assert bank.moves == whole[1].moves


def test_a_child_whose_workers_all_die_gives_nothing_back(run, whole, tmp_path):
    class Failing(SerialExecutor):
        def next_finished(self):
            outcome = super().next_finished()
            return outcome if outcome.trial else Outcome(0, failure="its worker was killed")

    events, bank, _ = fly(run, tmp_path, Failing)
    assert max(bank.moves.values()) == TRIALS - 1
    failed = next(event for event in events if event["event"] == "told" and not event["trial"])
    assert (failed["validation_accuracy"], failed["failure"]) == (0.0, "its worker was killed")


def test_a_child_without_the_folder_needs_the_files_that_it_names_and_no_others(
    run, whole, tmp_path
):
    """As on a Ray cluster."""

    class Elsewhere(Executor):
        def __init__(self, worker):
            self.jobs, self.home = [], worker.run.folder
            self.worker = Inherited(replace(worker.run, folder=tmp_path / "node"), **QUICK)

        def submit(self, job):
            self.jobs.append(job)

        def next_finished(self):
            job = self.jobs.pop()
            reads, writes = self.worker.files(job.trial)
            move(self.home, tmp_path / "node", reads)
            measurements, cost = self.worker.evaluate(job.trial, job.seed)
            move(tmp_path / "node", self.home, writes)
            for path in (tmp_path / "node").iterdir():
                path.unlink()
            return Outcome(job.trial.number, measurements, cost.as_dict())

        def close(self):
            self.jobs.clear()

    events, bank, _ = fly(run, tmp_path / "a", Elsewhere)
    assert events == whole[0]
    assert same(bank.params, whole[1].params)


def move(source, target, names):
    target.mkdir(exist_ok=True)
    for name in names:
        (target / name).write_bytes((source / name).read_bytes())


def test_the_predicted_work_is_the_childs_own(run):
    evaluation = Inherited(run, **QUICK)
    genotype = SPACE.sample(0)
    size = evaluation.worst(Trial(0, genotype))["multiply_adds"]
    assert evaluation.work(Trial(0, genotype)) == evaluation.work(Trial(1, genotype))
    assert evaluation.work(Trial(0, genotype)) == size * QUICK["steps"] * BATCH
