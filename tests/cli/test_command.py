"""What every command shares, shown with a job that takes no time."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from representatives import some_slow

from nas_lightning.config.schema import composed
from nas_lightning.run.folder import RunFolder


def test_a_run_lands_in_a_folder_of_its_own(call, tmp_path):
    assert call("seed=1") == call("seed=2") == 0
    first, second = sorted(tmp_path.glob("outputs/????-??-??/??-??-??-*_darts_digits"))
    assert json.loads((first / "result.json").read_text())["child"]["test_accuracy"] == 0.91
    assert json.loads((second / "result.json").read_text())["child"]["test_accuracy"] == 0.92


def test_a_command_leaves_arguments_and_environment_as_they_were(call):
    call("seed=13")
    assert sys.argv == ["nas-search", "seed=13"]
    assert os.environ["HYDRA_FULL_ERROR"] == "0"


def test_a_jobs_mistake_is_one_line(call, capsys):
    assert call("seed=13") == 1
    assert capsys.readouterr().err == "error: seed (13) must be lucky; use e.g. 7\n"


def test_a_traceback_is_shown_when_asked_for(call, capsys, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert call("seed=13") == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_interruption_names_the_run_to_go_on_with(call, capsys):
    assert call("seed=15", "hydra.run.dir='my run'") == 75
    folder = Path("my run").resolve()
    assert (
        f"nas-search resume='{folder}' runs it anew, as nothing was kept yet"
        in capsys.readouterr().err
    )


def test_a_termination_names_the_run_and_leaves_the_handler_as_it_was(call, capsys):
    handler = signal.getsignal(signal.SIGTERM)
    assert call("seed=16", "hydra.run.dir=run") == 75
    assert (
        f"error: terminated; nas-search resume={Path('run').resolve()}" in capsys.readouterr().err
    )
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_reader_that_stops_reading_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "nas_lightning", "search", "--help"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_interruption_that_lightning_turned_into_an_exit_counts_as_one(call):
    def interrupted(cfg, folder):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)

    assert call(job=interrupted) == 75


def test_a_setting_of_the_users_own_class_is_added(call, capsys):
    assert call("data=own", "data._target_=mine.Data", "data.size=2") == 1
    message = (
        "unknown key 'data.size'; choose from: (there are none); +data.size=2 gives it to mine"
    )
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+new=1", "unknown key 'new'; choose from: callbacks, checkpoints, child, data"),
        (
            "logger=[nowhere]",
            "unknown option 'nowhere' of logger; choose from: none, optuna, tensorboard, wandb\n",
        ),
        (
            "experiment=nasbench201/evolutoin",
            "story/reinforce; did you mean 'nasbench201/evolution'?",
        ),
        ("experiment=darts_cifa", "nasbench201/drnas, nasbench201/enas, nasbench201/evolution, "),
        ("hydra/launchr=x", "hydra/launcher, hydra/sweeper; did you mean 'hydra/launcher'?"),
        ("stratgy=darts", "verdict; did you mean 'strategy'?\n"),
        ("strategy=radnom", "tangle; did you mean 'random'?\n"),
        ("epochs=3", "verdict; did you mean strategy.epochs=3 or child.epochs=3?\n"),
        (
            "strategy.lr=1",
            "did you mean strategy.alpha_optimizer.lr=1 or strategy.params_optimizer.lr=1 or chi",
        ),
        (
            "logger=null",
            "logger=null must name an option of the group; leave it out, or give logger=[]",
        ),
        ("seed", "cannot read 'seed': write KEY=VALUE"),
        ("seed=[1", "cannot read 'seed=[1': write KEY=VALUE"),
        (
            "seed=1,2",
            "Ambiguous value for argument 'seed=1,2': add -m for a sweep over these values; a text "
            "with commas has quotes of its own: \"seed='1,2'\"\n",
        ),
        ("seed=abc", "'str' could not be converted to Integer; give a whole number, e.g. 1\n"),
        ("retrain=no_way", "'no_way' is not a valid bool (type str); give true or false\n"),
        ("strategy=5", "GROUP=VALUE must name an option of the group"),
        ("evaluation.epochs=1", "unknown key 'evaluation.epochs'; choose from: (there are none)"),
        ("seed=${x}", "seed: Interpolation key 'x' not found\n"),
        ("hydra.run.dir=/dev/null/run", "Not a directory: /dev/null/run; choose another one"),
        ("hydra.run.dir=", "hydra.run.dir ('') must be a folder; leave it out, or give"),
        ("hydra.searchpath=[file:///nowhere]", "hydra.searchpath must name folders: provider="),
    ],
)
def test_a_mistake_of_typing_is_one_message(call, override, message, capsys):
    assert call(override) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error


def test_a_mistake_of_typing_leaves_no_folder(call, tmp_path):
    assert call("sede=1") == call("strategy=dart") == call("seed=abc") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("typed", [("--epochs", "3"), ("--epochs=3",), ("--epoch", "3")])
def test_a_setting_typed_as_a_flag_gets_its_likely_keys(call, typed, capsys):
    assert call(*typed) == 2
    assert capsys.readouterr().err == (
        f"error: unrecognized arguments: {typed[0].partition('=')[0]}; settings are KEY=VALUE: "
        "strategy.epochs=3 or child.epochs=3\n"
    )


@pytest.mark.parametrize(
    "typed", [("strategy", "darts"), ("strategy", "=", "darts"), ("strategy=", "darts")]
)
@pytest.mark.parametrize("command", ["search", "benchmark"])
def test_a_setting_typed_with_spaces_gets_its_own_form(call, command, typed, capsys):
    assert call("seed=1", *typed, command=command) == 2
    error = "error: 'strategy darts' must be typed without spaces: strategy=darts\n"
    assert capsys.readouterr().err == error


@pytest.mark.parametrize("command", ["search", "train", "show", "benchmark"])
def test_the_word_help_is_answered(call, command, capsys):
    assert call("help", command=command) == 2
    assert f"help must be a flag: nas-{command} --help; settings are" in capsys.readouterr().err


def test_an_unknown_flag_has_status_two(call, capsys):
    assert call("--foo") == 2
    assert "unrecognized arguments: --foo" in capsys.readouterr().err


def test_a_missing_value_is_named_with_its_cure(call, capsys):
    assert call("seed=1", command="train") == 1
    assert "genotype is missing; give genotype=..." in capsys.readouterr().err


def test_a_group_of_another_command_is_named(call, capsys):
    assert call("genotype=darts_v2", "strategy=darts", command="train") == 1
    error = capsys.readouterr().err
    assert error == "error: unknown group 'strategy'; --help lists the groups\n"


def test_the_version_is_ours(call, capsys):
    assert call("--version") == 0
    assert capsys.readouterr().out.startswith("nas_lightning 0.")


@pytest.fixture
def plug_in(tmp_path):
    """A user's folder with a strategy of its own."""
    folder = tmp_path / "mine"
    (folder / "strategy").mkdir(parents=True)
    text = "# a strategy of my own\n_target_: mine.Mine\nluck: 1\n"
    (folder / "strategy" / "mine.yaml").write_text(text)
    return folder


@pytest.mark.parametrize("flag", ["--config-dir={}", "hydra.searchpath=[file://{}]"])
def test_a_users_option_is_found_and_kept_for_a_resume(call, plug_in, flag, capsys):
    arguments = ("strategy=mine", "strategy.luck=2", "hydra.run.dir=run")
    assert call(flag.format(plug_in), *arguments) == 0
    assert call("resume=run", "strategy=mine", "strategy.luck=2", "trust=true") == 0
    assert call("resume=run", "strategy.luck=3", "trust=true") == 1


QUOTED = ("'my images'", "'say \"hi\"'", "a b", "'*;&'")


@pytest.mark.parametrize("value", some_slow(['"it\'s"', "'$HOME'", "[a,'b c']", *QUOTED], *QUOTED))
def test_the_line_that_starts_a_run_again_is_quoted_for_a_shell(call, value, plug_in):
    typed = [f"hydra.searchpath=[file://{plug_in}]", "strategy=mine", f"data.path={value}"]
    assert call("hydra.run.dir=run", *typed) == 0
    line = RunFolder(Path("run")).command_line
    assert sorted(shlex.split(line)) == sorted(["nas-search", *typed])
    printed = subprocess.run(
        ["bash", "-c", f"nas-search() {{ printf '%s\\n' \"$@\"; }}; {line}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(printed.stdout.splitlines()) == sorted(typed)


def test_the_line_that_starts_a_run_again_names_a_folder_of_options(call, plug_in):
    assert call(f"--config-dir={plug_in}", "strategy=mine", "hydra.run.dir=run") == 0
    line = RunFolder(Path("run")).command_line
    assert line == f"nas-search strategy=mine --config-dir={plug_in}"
    assert call(*shlex.split(line)[1:]) == 0


def test_what_resumes_a_run_is_quoted_for_a_shell(call, capsys):
    assert call("hydra.run.dir='my run'") == call("hydra.run.dir='my sweep'", "seed=1") == 0
    assert call("hydra.run.dir='my run'") == 1
    assert "or resume it: resume='my run'\n" in capsys.readouterr().err


def test_errors_wrap_at_words_in_a_narrow_terminal(call, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    assert call("strategy=radnom") == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) <= 60
    assert " ".join(map(str.strip, lines)).endswith("; did you mean 'random'?")


@pytest.mark.parametrize(
    ("command", "typed", "name"),
    [
        ("search", ["strategy=random", "data=cifar10"], "random_cifar10"),
        ("search", ["data=folder", "data.path='/my images/red leaves/'"], "darts_red-leaves"),
        ("search", ["data=hub", "data.name=owner/things"], "darts_things"),
        ("search", ["strategy=mine/own"], "own_digits"),
        ("search", ["data.path=${x}"], "darts_digits"),
        ("train", ["genotype=darts_v2"], "train_darts_v2_digits"),
        ("train", ["genotype=a/b/genotype.json"], "train_b_digits"),
        ("train", ["genotype=a/10-31-07-123456_darts_leaves"], "train_darts_leaves_digits"),
        ("train", ["genotype='Genotype(normal=[])'"], "train_genotype_digits"),
        ("train", ["genotype=" + 100 * "x"], f"train_{40 * 'x'}_digits"),
        ("train", [], "train_digits"),
        ("benchmark", ["data=cifar100"], "benchmark_random_cifar100"),
        ("measure", ["what=proxies"], "proxies_cifar10"),
    ],
)
def test_a_runs_folder_says_what_the_run_works_on(command, typed, name, plug_in):
    (plug_in / "strategy" / "mine").mkdir()
    (plug_in / "strategy" / "mine.yaml").rename(plug_in / "strategy" / "mine" / "own.yaml")
    cfg = composed(command, [*typed, f"hydra.searchpath=[file://{plug_in}]"])
    day, folder = OmegaConf.select(cfg, "hydra.run.dir").removeprefix("outputs/").split("/")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", day)
    assert re.fullmatch(r"\d\d-\d\d-\d\d-\d{6}_" + re.escape(name), folder)


@pytest.mark.parametrize(
    ("genotype", "typed", "name"),
    [
        ("11-45-07-123456_darts_leaves", [], "train_darts_leaves"),
        ("11-45-07-123456_darts_leaves", ["data=cifar10"], "train_darts_leaves_cifar10"),
        ("derived/candidate_2.json", [], "train_derived_candidate_2"),
        ("derived/genotype.json", [], "train_derived"),
    ],
)
def test_a_training_of_a_run_is_named_by_data_only_where_it_does_not_take_the_runs(
    genotype, typed, name, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for run in ("11-45-07-123456_darts_leaves", "derived"):
        Path(run, ".hydra").mkdir(parents=True)
        Path(run, ".hydra", "config.yaml").touch()
    Path("derived", "derived.json").touch()
    cfg = composed("train", [f"genotype={genotype}", *typed])
    folder = OmegaConf.select(cfg, "hydra.run.dir")
    assert re.fullmatch(r"outputs/[\d-]+/[\d-]+_" + re.escape(name), folder)


def test_the_jobs_of_a_sweep_have_their_numbers(call):
    assert call("-m", "seed=1,2") == 0
    assert sorted(path.name for path in Path().glob("outputs/sweep/*/?")) == ["0", "1"]
