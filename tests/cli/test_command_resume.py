"""A run's folder may be resumed, and not be used twice; shown with a job that takes no time."""

import os
from pathlib import Path

import pytest
from representatives import some_slow


def test_a_second_run_in_one_folder_is_refused(call, capsys):
    assert call("hydra.run.dir=run") == 0
    assert call("hydra.run.dir=run", "seed=2") == 1
    assert "the folder run must not hold a run already" in capsys.readouterr().err


def test_a_second_run_is_refused_where_the_folders_name_is_composed(call, capsys):
    assert call("hydra.run.dir=${data.batch_size}/${seed}") == 0
    assert call("hydra.run.dir=${data.batch_size}/${seed}", "retrain=false") == 1
    assert "the folder 64/0 must not hold a run already" in capsys.readouterr().err


def test_a_run_that_got_nowhere_may_be_typed_again_in_its_folder(call):
    assert call("hydra.run.dir=run", "seed=13") == 1
    assert call("hydra.run.dir=run", "seed=7") == 0


def test_a_resumed_run_has_its_own_configuration_and_working_folder(call, tmp_path, capsys):
    call("hydra.run.dir=run", "seed=7")
    (tmp_path / "elsewhere").mkdir()
    os.chdir("elsewhere")
    assert call("resume=../run") == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"seed 7 in {tmp_path}"
    assert Path.cwd() == tmp_path / "elsewhere"


NAMES = ('a\\"b', "$x \u00fc\u65e5", "~", "'q'")


@pytest.mark.parametrize(
    "name",
    some_slow(["a b=c,d:e {x} [y] (z)", 'it\'s so "so"', "a\\b\\", *NAMES], *NAMES),
)
def test_a_run_resumes_in_a_folder_of_any_name(call, name, tmp_path):
    call("hydra.run.dir=run", "seed=7")
    (tmp_path / "run" / "result.json").unlink()
    (tmp_path / "run").rename(tmp_path / name)
    assert call(f"resume={name}") == 0
    assert (tmp_path / name / "result.json").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_overrides_beside_resume_must_be_the_runs_own(call, capsys):
    typed = (
        "seed=7",
        "strategy=darts",
        "logger=[]",
        "strategy.epochs=${child.epochs}",
        "data.image_size=[9,9]",
        "child.lr=2e-2",
        "+callbacks.x={_target_: y}",
        "~callbacks.progress",
    )
    call("hydra.run.dir=run", *typed)
    assert call("resume=run", *typed, "retrain=true", "hydra.run.dir=run", "trust=true") == 0
    other = ("strategy=random", "seed=8", "~callbacks.collapse", "+new=1", "hydra.run.dir=x")
    assert call("resume=run", "retrain=true", *other, "trust=true") == 1
    names = "strategy, seed, callbacks.collapse, new, hydra.run.dir"
    assert f"not the run's own: {names};" in capsys.readouterr().err


def test_no_logger_is_the_same_however_it_is_said(call):
    call("hydra.run.dir=run")
    assert call("resume=run", "logger=[]") == call("resume=run", "logger=none") == 0


def test_a_run_that_may_not_be_written_does_not_go_on(call, tmp_path, protect, capsys):
    call("hydra.run.dir=run")
    (tmp_path / "run" / "result.json").unlink()
    protect(tmp_path / "run")
    assert call("resume=run") == 1
    assert f"resume: the run in {tmp_path / 'run'} must be writable" in capsys.readouterr().err


def test_a_run_in_a_folder_that_hydra_cannot_name_says_so(call, tmp_path, capsys):
    call("hydra.run.dir=run")
    (tmp_path / "run").rename(tmp_path / "${x}")
    assert call("resume=${x}") == 1
    assert "${x} must not hold '${'; rename it" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["-m", "--multirun", "--config-dir=x"])
def test_flags_beside_resume_are_refused(call, flag, capsys):
    call("hydra.run.dir=run")
    assert call("resume=run", flag) == 1
    assert f"{flag} cannot stand beside resume=" in capsys.readouterr().err


@pytest.mark.parametrize("left", ["config.yaml", "hydra.yaml"])
def test_a_run_killed_while_its_configuration_was_written_says_so(call, left, tmp_path, capsys):
    call("hydra.run.dir=run")
    hydra = tmp_path / "run" / ".hydra"
    (hydra / "overrides.yaml").unlink()
    (hydra / left).write_text("")
    assert call("resume=run") == 1
    assert "was stopped before its configuration was written" in capsys.readouterr().err
