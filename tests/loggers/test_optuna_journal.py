"""Optuna reads from a run's folder the trials that a search has told."""

import sys
from dataclasses import replace

import optuna
import pytest
from command import PLANTED, events, run

from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.objectives import Accuracy, WeightedProduct
from nas_lightning.loggers.dashboard import RunFacts
from nas_lightning.loggers.optuna_journal import OptunaJournal
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.random_search import RandomSearch

pytestmark = pytest.mark.usefixtures("unreported")

SPACE, STATE = DartsSpace(nodes=2), optuna.trial.TrialState


def told(number, reward=0.5, failure="", values=()):
    genotype = RandomSearch(SPACE, 0).ask(number).genotype
    more = {"measurements": {"validation_accuracy": reward}, "cost": {"wall_s": 2.0}}
    values = values or (reward,)
    return Trial(number, genotype, 0.25, reward=reward, values=values, failure=failure, **more)


def study_of(folder):
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "optuna.log"))
    return optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend))


@pytest.fixture
def facts(tmp_path):
    return RunFacts(tmp_path, "search", "random darts seed 0", "a group")


def test_optuna_reads_params_values_states_and_attributes(facts):
    logger, trials = OptunaJournal(facts), [told(1, 0.7), told(0, 0.0, "it was killed")]
    for trial in trials:
        logger.log_trial(trial, SPACE, Accuracy())
    study = study_of(facts.folder)
    good, bad = study.trials
    assert study.study_name == "random darts seed 0"
    assert (good.params, good.values, good.state) == (
        trials[0].genotype.mapping,
        [0.7],
        STATE.COMPLETE,
    )
    assert study.best_trial.user_attrs == {
        "trial": 1,
        "genotype_id": trials[0].genotype.id,
        "budget": 0.25,
        "parent": None,
        "validation_accuracy": 0.7,
        "wall_s": 2.0,
    }
    assert (bad.values, bad.state, bad.user_attrs["failure"]) == (
        None,
        STATE.FAIL,
        "it was killed",
    )


def test_a_trial_runs_until_it_is_told_also_after_a_kill(facts):
    trials = [told(number, 0.1 * number) for number in range(3)]
    first = OptunaJournal(facts)
    for trial in (replace(trials[0], reward=None), replace(trials[1], reward=None), trials[1]):
        first.log_trial(trial, SPACE, Accuracy())
    assert [t.state for t in study_of(facts.folder).trials] == [STATE.RUNNING, STATE.COMPLETE]
    again = OptunaJournal(facts)
    for trial in (trials[1], replace(trials[0], reward=None), trials[0], trials[2]):
        again.log_trial(trial, SPACE, Accuracy())
    study = study_of(facts.folder)
    assert [(t.state, t.value) for t in study.trials] == [
        (STATE.COMPLETE, trial.reward) for trial in trials
    ]
    assert study.trials[0].user_attrs["wall_s"] == 2.0


def test_values_that_are_kept_apart_have_their_directions(facts):
    trial = told(0, values=(0.5, 100.0))
    OptunaJournal(facts).log_trial(trial, SPACE, WeightedProduct())
    study = study_of(facts.folder)
    assert [way.name for way in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.trials[0].values == [0.5, 100.0]


def test_no_trial_is_there_twice_after_a_kill_that_cut_a_line_short(facts):
    first = OptunaJournal(facts)
    for number in range(3):
        first.log_trial(told(number), SPACE, Accuracy())
    path = facts.folder / "optuna.log"
    path.write_bytes(path.read_bytes()[:-9])
    again = OptunaJournal(facts)
    for number in range(4):
        again.log_trial(told(number), SPACE, Accuracy())
    assert [t.user_attrs["trial"] for t in study_of(facts.folder).trials] == [0, 1, 2, 3]


def test_trials_that_optuna_has_added_are_let_alone(facts):
    OptunaJournal(facts).log_trial(told(0), SPACE, Accuracy())
    study_of(facts.folder).optimize(lambda trial: 0.25, n_trials=1)
    OptunaJournal(facts).log_trial(told(1), SPACE, Accuracy())
    numbers = [trial.user_attrs.get("trial") for trial in study_of(facts.folder).trials]
    assert numbers == [0, None, 1]


def test_optuna_that_is_missing_is_told_with_its_cure(facts, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match=r"logger=optuna needs Optuna: pip install 'nas-lightni"):
        OptunaJournal(facts)


QUICK = ("logger=optuna", "retrain=false", "callbacks=silent")


@pytest.mark.slow
def test_a_command_mirrors_its_trials_also_after_a_resume(tmp_path):
    more = ("strategy=random", "strategy.trials=3", "evaluation=tabular", "child.epochs=1")
    table = ("evaluation.table=synthetic", "evaluation.data=cifar10", "data.source.images=320")
    run("search", f"hydra.run.dir={tmp_path}", *PLANTED, *QUICK, *more, *table)
    (tmp_path / "result.json").unlink()
    lines = (tmp_path / "trials.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "trials.jsonl").write_text("".join(lines[:4]))
    run("search", f"resume={tmp_path}", "trust=true")
    told = [event for event in events(tmp_path) if event["event"] == "told"]
    expected = [(event["trial"], event["reward"]) for event in told]
    trials = study_of(tmp_path).trials
    assert [(t.user_attrs["trial"], t.value) for t in trials] == expected


def test_a_search_without_trials_is_refused(tmp_path, capsys):
    message = "logger.optuna shows trials, which strategy Darts does not have: leave it out, or"
    with pytest.raises(SystemExit):
        run("search", f"hydra.run.dir={tmp_path / 'run'}", *QUICK)
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()
