"""Sweeps: every combination runs, a failing one is named, and a table sums it all up."""

import csv
import json
import shutil
import subprocess
import sys

import pytest
import quick_job
from command import TINY_RANDOM, result, run

from nas_lightning.cli import command as cli
from nas_lightning.commands import search

pytestmark = pytest.mark.usefixtures("unreported")


@pytest.fixture
def sweep(call, tmp_path, capsys):
    """Runs a sweep; gives its exit status, standard output and standard error."""

    def sweep(*arguments, **options):
        status = call("-m", "hydra.sweep.dir=sweep", *arguments, **options)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return sweep


def test_a_sweep_groups_runs_by_all_that_varied_but_the_seed(sweep, tmp_path):
    status, out, _ = sweep("strategy=darts,random", "seed=0,2")
    lines = (tmp_path / "sweep" / "summary.md").read_text().splitlines()
    assert status == 0
    assert lines[0] == "| strategy | runs | search validation % | child test % | parameters |"
    figures = "51.00 \u00b1 1.41 | 91.00 \u00b1 1.41 | 1,000 \u00b1 0 |"
    assert lines[2:] == [f"| darts | 2 | {figures}", f"| random | 2 | {figures}"]
    assert "random    2" in out


def test_a_sweep_over_nothing_says_how_to_sweep(sweep):
    status, _, err = sweep("seed=0")
    note = "note: no setting has several values, so this sweep is one job; sweep e.g. -m seed=0,1,2"
    assert (status, err) == (0, f"{note}\n")


def test_the_summary_as_numbers_has_full_precision(sweep, tmp_path):
    sweep("seed=0,2")
    with (tmp_path / "sweep" / "summary.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["runs"] == "2"
    assert float(row["search_validation_accuracy_mean"]) == pytest.approx(0.51, abs=1e-12)
    assert float(row["child_test_accuracy_std"]) == pytest.approx(0.02 / 2**0.5, abs=1e-12)


def test_a_failing_job_is_named_and_the_others_go_on(sweep, tmp_path):
    status, out, err = sweep("seed=0,13,14,1", "hydra.sweeper.max_batch_size=2")
    assert status == 1
    assert "error in sweep/1: seed (13) must be lucky" in err.replace(f"{tmp_path}/", "")
    assert err.endswith(
        "error: 2 of the sweep's jobs failed: 1 (seed=13), 2 (seed=14); "
        "nas-search resume=sweep resumes it\n"
    )
    assert "no result: sweep/1 (seed=13)" in out
    assert (tmp_path / "sweep" / "3" / "result.json").is_file()
    reason = (tmp_path / "sweep" / "1" / "error.txt").read_text()
    assert reason == "seed (13) must be lucky; use e.g. 7\n"


def test_a_mistake_in_one_option_of_a_sweep_stops_it_before_any_job(sweep, tmp_path):
    status, out, err = sweep("strategy=darts,dart")
    assert (status, out) == (1, "")
    assert err.startswith("error: unknown option 'dart' of strategy; choose from: ")
    assert not (tmp_path / "sweep" / "0").exists()


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["strategy=darts,rndom", "seed=0,1"], "unknown option 'rndom' of strategy; choose from: "),
        (
            ["strategy=darts,random", "strategy.epochs=1"],
            "unknown key 'strategy.epochs'; choose from: trials; "
            "strategy=random has no such key; max_samples=N bounds the search of every strategy; "
            "did you mean child.epochs=1?\n",
        ),
        (["strategy=random,darts", "strategy.order=first"], "; strategy=random has no such key"),
    ],
)
def test_a_refused_sweep_is_explained_and_leaves_nothing(call, tmp_path, capsys, typed, message):
    assert call("-m", *typed) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_whose_launcher_fails_tells_how_to_go_on(sweep, monkeypatch):
    def fail(self, cfg):
        raise OverflowError("a worker was killed")

    monkeypatch.setattr(cli._Command, "_run_job", fail)
    status, out, err = sweep("seed=0")
    assert status == 1
    wanted = "the sweep ended early: a worker was killed; nas-search resume=sweep resumes it"
    assert err.endswith(f"error: {wanted}\n")
    assert "no result: sweep/0 (seed=0)" in out


def test_benchmarks_of_strategies_are_compared_by_their_means(sweep, tmp_path):
    def job(cfg, folder):
        figures = {"validation_accuracy": {"mean": 0.9, "std": 0.1}, "test_accuracy": {"mean": 0.8}}
        (folder / "result.json").write_text(json.dumps(figures))

    sweep("strategy=random,darts", job=job)
    lines = (tmp_path / "sweep" / "summary.md").read_text().splitlines()
    assert lines[0] == "| strategy | runs | validation % | test % |"
    assert lines[2] == "| random | 1 | 90.00 | 80.00 |"


def test_an_interruption_ends_the_whole_sweep(sweep, tmp_path):
    status, _, _ = sweep("seed=0,15,1")
    assert status == 75
    assert not (tmp_path / "sweep" / "2").exists()


def test_a_termination_ends_the_whole_sweep(sweep, tmp_path):
    status, _, err = sweep("seed=0,16,1")
    assert status == 75
    assert err == "error: terminated; nas-search resume=sweep resumes it\n"
    assert not (tmp_path / "sweep" / "2").exists()


def test_a_users_launcher_is_found_beside_a_sweeps_folder(sweep, tmp_path):
    folder = tmp_path / "mine" / "hydra" / "launcher"
    folder.mkdir(parents=True)
    target = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
    (folder / "own.yaml").write_text(f"_target_: {target}\n")
    status, out, err = sweep("seed=0", "hydra/launcher=own", f"--config-dir={tmp_path / 'mine'}")
    assert (status, err) == (0, "")
    assert "sweep: sweep" in out


def test_a_sweep_that_a_configuration_asks_for_must_be_typed(call, tmp_path, capsys):
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    text = "# @package _global_\nhydra:\n  mode: MULTIRUN\n"
    (tmp_path / "mine" / "experiment" / "many.yaml").write_text(text)
    assert call("experiment=many", "--config-dir=mine") == 1
    assert "error: a sweep must be typed as -m" in capsys.readouterr().err


def test_a_second_sweep_in_one_folder_is_refused(sweep):
    sweep("seed=0")
    assert "the folder sweep must not hold a sweep already; choose" in sweep("seed=1")[2]


def test_a_grid_of_hyperparameters_is_grouped_by_every_key_of_it(sweep, tmp_path):
    sweep("strategy.epochs=2,3", "data.batch_size=32,64", "child.epochs=5")
    with (tmp_path / "sweep" / "summary.csv").open() as file:
        found = [
            (r["strategy.epochs"], r["data.batch_size"], r["runs"]) for r in csv.DictReader(file)
        ]
    assert found == [(e, b, "1") for e in ("2", "3") for b in ("32", "64")]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where the stopped sweep began, which its folder records."""
    return tmp_path_factory.mktemp("stopped")


@pytest.fixture
def stopped(sweep, place, monkeypatch):
    """A sweep that was stopped within the second of its three jobs; nothing stops it any more."""
    monkeypatch.chdir(place)
    if not (place / "kept").exists():
        assert sweep("seed=0,15,1", "hydra/launcher=basic", "child.epochs=5")[0] == 75
        shutil.copytree("sweep", "kept")
    shutil.rmtree("sweep")
    shutil.copytree("kept", "sweep")
    monkeypatch.setattr(quick_job, "STOPPED", None)
    return place / "sweep"


@pytest.mark.slow
def test_a_stopped_sweep_goes_on_in_its_own_jobs_from_any_folder(
    stopped, call, capsys, monkeypatch
):
    (stopped.parent / "elsewhere").mkdir()
    monkeypatch.chdir(stopped.parent / "elsewhere")
    assert call(f"resume={stopped}") == 0
    assert f"seed 15 in {stopped.parent}\n" in capsys.readouterr().out
    seeds = [json.loads((stopped / str(n) / "seed.json").read_text()) for n in range(3)]
    assert seeds == [0, 15, 1]
    assert "| 3 |" in (stopped / "summary.md").read_text()


def test_a_stopped_job_keeps_its_configuration_in_a_resumed_sweep(stopped, call):
    kept = stopped / "1" / ".hydra" / "config.yaml"
    kept.write_text(kept.read_text().replace("retrain: true", "retrain: false"))
    call("resume=sweep")
    assert "retrain: false" in kept.read_text()


def test_a_job_that_was_another_is_not_gone_on_with(stopped, call, capsys):
    kept = stopped / "1" / ".hydra" / "overrides.yaml"
    kept.write_text(kept.read_text().replace("seed=15", "seed=16"))
    assert call("resume=sweep") == 1
    assert "job 1 of the sweep was seed=16 child.epochs=5, and now would be seed=15" in (
        capsys.readouterr().err
    )


def test_a_sweeps_own_overrides_and_another_launcher_may_stand_beside_resume(stopped, call):
    assert call("resume=sweep", "child.epochs=5", "hydra/launcher=basic") == 0


@pytest.mark.parametrize("typed", ["seed=0,15", "--config-dir=mine"])
def test_another_override_beside_resume_of_a_sweep_is_refused(stopped, call, capsys, typed):
    assert call("resume=sweep", typed) == 1
    assert f"error: resume: not the sweep's own: {typed}; the sweep in" in capsys.readouterr().err


def test_a_sweep_of_another_command_is_not_resumed(stopped, call, capsys):
    assert call("resume=sweep", command="train") == 1
    assert f"{stopped} is a run of nas-search; use nas-search resume=" in capsys.readouterr().err


def test_a_sweep_whose_file_is_not_whole_is_refused(stopped, call, capsys):
    (stopped / "multirun.yaml").write_text("")
    assert call("resume=sweep") == 1
    assert f"{stopped}/multirun.yaml is not whole; start the sweep again" in capsys.readouterr().err


@pytest.mark.slow
def test_a_sweep_runs_under_the_joblib_launcher(tmp_path):
    """In a process of its own: loky leaves workers, and warns of them."""
    script = tmp_path / "tiny.py"
    script.write_text(
        "from nas_lightning.cli import command as cli\n"
        "def job(cfg, folder):\n"
        "    if cfg.seed == 1:\n"
        "        raise ValueError('seed (1) must be 0')\n"
        "    (folder / 'result.json').write_text('{}')\n"
        "cli.run('search', job)\n"
    )
    command = [sys.executable, str(script), "-m", "hydra/launcher=joblib", "seed=0,1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "1 of the sweep's jobs failed: 1 (seed=1)" in done.stderr
    (table,) = tmp_path.glob("outputs/sweep/*/summary.md")
    assert "| 1 |" in table.read_text()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """The folder of a sweep over both kinds of strategy and two seeds, and what its jobs gave."""
    folder, given, job = tmp_path_factory.mktemp("mixed"), [], search.job

    def noted_job(cfg, run_folder):
        given.append(job(cfg, run_folder))
        return given[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "job", noted_job)
        run("search", "-m", f"hydra.sweep.dir={folder}", *TINY_RANDOM, "strategy=darts,random",
            "seed=0,1", "evaluation=full", "max_samples=500", "data.max_images=300",
            "data.batch_size=128", "child.epochs=1")  # fmt: skip
    return folder, given


def test_each_job_gives_its_validation_accuracy_to_a_sweeper(mixed):
    folder, given = mixed
    accuracies = [result(folder / str(n))["search"]["validation_accuracy"] for n in range(4)]
    assert given == accuracies


def test_searches_of_both_kinds_are_compared_over_seeds(mixed):
    folder, given = mixed
    with (folder / "summary.csv").open() as file:
        darts, random = csv.DictReader(file)
    assert [darts["strategy"], random["strategy"]] == ["darts", "random"]
    assert float(darts["search_validation_accuracy_mean"]) == pytest.approx(sum(given[:2]) / 2)
    assert float(random["search_validation_accuracy_mean"]) == pytest.approx(sum(given[2:]) / 2)
    tested = [result(folder / n)["child"]["test_accuracy"] for n in "01"]
    assert float(darts["child_test_accuracy_mean"]) == pytest.approx(sum(tested) / 2)


def test_a_sweep_trains_the_random_genotype_once_a_seed(mixed):
    folder = mixed[0]
    alike = [result(folder / n)["baselines"] for n in "0123"]
    assert len(list((folder / "baselines").iterdir())) == 2
    assert all(figures.pop("resnet")["width"] for figures in alike)  # each of its child's size
    assert [alike[0], alike[1]] == [alike[2], alike[3]]


@pytest.mark.slow
def test_a_resumed_sweep_skips_what_is_done_and_runs_the_rest_to_the_same_end(mixed):
    folder = mixed[0]
    wanted = [result(folder / str(n)) for n in range(4)]
    first = (folder / "1" / "result.json").stat().st_mtime_ns
    (folder / "0" / "result.json").unlink()
    (folder / "0" / "error.txt").write_text("killed\n")
    shutil.rmtree(folder / "3")
    run("search", f"resume={folder}")
    assert [result(folder / str(n)) for n in range(4)] == wanted
    assert (folder / "1" / "result.json").stat().st_mtime_ns == first
    assert not (folder / "0" / "error.txt").exists()


@pytest.mark.slow  # as any run: tests/cli/test_resume.py
def test_a_job_of_a_sweep_resumes_by_itself(mixed):
    folder, given = mixed
    (folder / "0" / "result.json").unlink()
    run("search", f"resume={folder / '0'}")
    assert result(folder / "0")["search"]["validation_accuracy"] == given[0]


def test_jobs_that_another_version_began_are_not_resumed_with_their_sweep(stopped, call, capsys):
    version = stopped / "1" / ".hydra" / "nas_lightning.txt"
    version.write_text("0.1.5\n")
    assert call(f"resume={stopped}") == 1
    assert "is of nas_lightning 0.1.5, and this is 0.2" in capsys.readouterr().err
    assert version.read_text() == "0.1.5\n"
