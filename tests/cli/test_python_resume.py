"""Calls in Python resume what the command line resumes."""

from functools import partial
from pathlib import Path
from shutil import copytree

import pytest
from command import TINY, bits, result
from omegaconf import OmegaConf
from own_module import CLASSES, NUMBERS, TABLE, Mine

import nas_lightning as nl

pytestmark = pytest.mark.usefixtures("unreported")


def stopped(call, monkeypatch, **arguments):
    """Runs a call until its genotype would be written, and no further."""

    class Stop(BaseException):
        pass

    def stop(*_):
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(f"nas_lightning.commands.{call.__name__}.write_genotype", stop)
        with pytest.raises(Stop):
            call(**arguments)


@pytest.fixture
def copied(finished, tmp_path):
    """A finished run that a test may change."""
    return copytree(finished, tmp_path / "run")


def test_a_run_of_another_command_is_not_resumed(finished):
    with pytest.raises(ValueError, match="is a run of nas-search; use nas-search resume="):
        nl.train("darts_v2", folder=finished, resume=True)


def test_an_interrupted_call_resumes_to_the_same_bits(finished, tmp_path, monkeypatch):
    stopped(nl.search, monkeypatch, folder=tmp_path, overrides=TINY)
    run = nl.search(folder=tmp_path, overrides=TINY, resume=True)
    assert bits(run.folder) == bits(finished)


@pytest.mark.slow
def test_the_training_of_a_runs_child_resumes_with_what_that_run_brought(
    finished, tmp_path, monkeypatch
):
    stopped(nl.train, monkeypatch, genotype=finished, folder=tmp_path)
    run = nl.train(finished, folder=tmp_path, resume=True)
    assert result(run.folder)["child"] == result(finished)["child"]
    assert nl.train(folder=tmp_path, resume=True).result == run.result


def test_a_training_that_was_stopped_before_it_had_its_parts_gets_them(
    finished, tmp_path, monkeypatch
):
    configurations = []

    def job(cfg, *_, **__):
        configurations.append(cfg)

    monkeypatch.setattr("nas_lightning.commands.train.job", job)
    nl.train(finished, folder=tmp_path)
    default = tmp_path / ".hydra" / "config.yaml"
    OmegaConf.save(OmegaConf.merge(configurations[0], {"child": {"epochs": 99}}), default)
    nl.train(folder=tmp_path, resume=True)
    assert configurations[1] == configurations[0]


@pytest.mark.parametrize("overrides", [(), TINY[:2], ("data=digits", "data.batch_size=256")])
def test_a_resumed_call_takes_its_configuration_from_the_folder(copied, overrides):
    assert nl.search(folder=copied, overrides=overrides, resume=True).folder == copied


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        ({"overrides": ["strategy.epochs=7", "data=digits"]}, "strategy.epochs"),
        ({"strategy": "gdas", "seed": 0}, "strategy"),
        ({"strategy": Mine}, "strategy"),
    ],
)
def test_what_is_not_the_runs_own_is_refused_by_name(copied, arguments, keys):
    with pytest.raises(ValueError, match=f"resume: not the run's own: {keys}; the run in"):
        nl.search(folder=copied, resume=True, **arguments)


def test_code_that_only_the_folder_names_needs_trust_to_be_resumed(copied):
    config = copied / ".hydra" / "config.yaml"
    config.write_text(config.read_text().replace("nas_lightning.training.task", "evil"))
    with pytest.raises(ValueError, match=r"names code that is not .*task\._target_=evil\.Class"):
        nl.search(folder=copied, resume=True)
    assert nl.search(folder=copied, resume=True, trust=True).folder == copied
    with pytest.raises(ValueError, match=r"trust=True has no effect: it goes with resume=True"):
        nl.search(trust=True)


@pytest.fixture
def places(monkeypatch):
    """The folders in which a search's job is called, which does nothing."""
    called = []

    def job(*_, **__):
        called.append(Path.cwd())

    monkeypatch.setattr("nas_lightning.commands.search.job", job)
    return called


def test_options_of_the_users_own_are_named_by_their_folder(tmp_path, places):
    option = tmp_path / "conf" / "strategy" / "mine.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("_target_: own_module.Mine\nepochs: 1\n")
    typed = [f"hydra.searchpath=[file://{option.parents[1]}]", "strategy=mine"]
    for resume in (False, True):
        nl.search(folder=tmp_path / "run", overrides=typed, resume=resume)
    assert len(places) == 2


def test_a_resumed_call_finds_relative_paths_where_it_was_started(tmp_path, places, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    nl.search(folder=tmp_path / "run")
    monkeypatch.chdir("elsewhere")
    nl.search(folder=tmp_path / "run", resume=True)
    assert places == [tmp_path, tmp_path]
    assert Path.cwd() == tmp_path / "elsewhere"


@pytest.mark.slow
def test_other_arrays_or_other_arguments_are_not_resumed(tmp_path, monkeypatch):
    passed = {"data": (NUMBERS, CLASSES), "strategy": partial(Mine, epochs=1)}
    stopped(nl.search, monkeypatch, folder=tmp_path, **passed, **TABLE)
    again = {"folder": tmp_path, "resume": True, "search_space": TABLE["search_space"]}
    with pytest.raises(ValueError, match="resume: not the run's own: data; the run in"):
        nl.search(**passed | {"data": (NUMBERS, 1 - CLASSES)}, **again)
    with pytest.raises(ValueError, match="resume: not the run's own: strategy; the run in"):
        nl.search(**passed | {"strategy": partial(Mine, epochs=2)}, **again)
    assert nl.search(**passed, **again).result["strategy"] == "Mine"


@pytest.mark.slow
def test_a_refused_call_does_not_block_its_folder(tmp_path):
    with pytest.raises(ValueError, match=r"child\.epochs"):
        nl.search(folder=tmp_path, overrides=[*TINY, "child.epochs=0"])
    run = nl.search(folder=tmp_path, overrides=TINY, retrain=False)
    with pytest.raises(ValueError, match="must not hold a run already"):
        nl.search(folder=run.folder, overrides=TINY)
