"""The help: every group, option and key with what it means, at once."""

import re
import subprocess
import sys

import pytest
import yaml
from command import run
from omegaconf import OmegaConf

from nas_lightning.config.help import MORE_KEYS, help_text
from nas_lightning.config.paths import config_dir
from nas_lightning.config.schema import composed

GROUPS = {  # conf/sweep holds definitions for Weights & Biases
    "search": {path.name for path in config_dir().iterdir() if path.is_dir()} - {"sweep"},
    "train": {"search_space", "task", "data", "hardware", "child", "callbacks", "logger"},
    "show": {"search_space"},
    "derive": {"hardware"},
    "measure": {"search_space", "task", "data", "hardware", "child", "evaluation"},
}
KEYS = {
    "search": [
        "seed",
        "retrain",
        "max_samples",
        "max_seconds",
        "max_seconds_in_all",
        "limits.parameters",
        "export",
    ],
    "train": ["seed", "genotype", "baselines", "export"],
    "derive": ["run", "rule", "candidates", "samples", "generations", "threshold", "seed"],
    "measure": ["what", "seed", "children", "batch_size", "tau"],
    "show": ["genotype", "json", "output", "channels", "cells", "stem", "input_shape"],
}


def everything(command):
    return help_text(command, ["--help", "all"])


def listed_options(text, group):
    """Returns what the help says about the options of a group."""
    (block,) = re.findall(rf"^  {group}\n((?:   .*\n)+)", text, re.MULTILINE)
    found = re.findall(r"^   ([ *])(\S+) +(\S.*)$", block, re.MULTILINE)
    return {name: (mark, meaning) for mark, name, meaning in found}


@pytest.mark.parametrize("command", GROUPS)
def test_the_help_names_every_group_of_a_command(command):
    named = re.findall(r"^  (\w+)$", everything(command), re.MULTILINE)
    assert set(named) == GROUPS[command]


@pytest.mark.parametrize("group", sorted(GROUPS["search"]))
def test_the_help_says_every_option_and_what_it_means(group):
    found = listed_options(everything("search"), group)
    folder = config_dir() / group
    paths = [path for path in folder.rglob("*.yaml") if path.name[0] != "_"]  # bases are no options
    files = {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}
    assert set(found) == set(files)
    assert {name for name, (_, m) in found.items() if m not in files[name].read_text()} == set()


def test_the_help_marks_the_defaults():
    text = everything("search")
    assert listed_options(text, "strategy")["darts"][0] == "*"
    assert listed_options(text, "strategy")["random"][0] == " "
    assert listed_options(text, "logger")["none"][0] == "*"


@pytest.mark.parametrize("command", KEYS)
def test_the_help_says_every_key_with_its_default_and_meaning(command):
    keys = re.findall(r"^  ([\w.]+)=\S.* {2,}\S+", everything(command), re.MULTILINE)
    assert [key for key in KEYS[command] if key not in keys] == []


@pytest.mark.parametrize("command", GROUPS)
def test_a_command_prints_its_help(command, capsys):
    run(command, "strategy=darts", "-h")
    text = capsys.readouterr().out
    assert text == help_text(command) + "\n"
    assert text.startswith(f"nas-{command}: ")
    assert f"\n  nas-{command} " in text.partition("Examples:")[2]


@pytest.mark.parametrize("command", ["train", "show"])
def test_a_command_that_needs_a_genotype_says_so_when_nothing_is_typed(command, capsys):
    with pytest.raises(SystemExit) as stop:
        run(command)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: genotype is missing; name a published one, a file or a run's")
    assert f"\n  nas-{command} darts_v2\n  nas-{command} RUN_DIR\n" in error


@pytest.mark.parametrize("command", [*GROUPS, "benchmark"])
def test_the_help_fits_a_screen_with_every_group_and_key(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = help_text(command)
    lines = text.splitlines()
    assert len(lines) <= 22  # of 24, with the prompt
    assert max(map(len, lines)) <= 80
    assert [g for g in GROUPS.get(command, ()) if f"  {g}=" not in text] == []
    assert [key for key in KEYS.get(command, ()) if f"  {key}=" not in text] == []
    assert "everything: --help all" in text


def test_the_help_of_a_search_has_ten_keys_and_five_examples():
    keys, _, examples = help_text("search").partition("Keys (")[2].partition("Examples:\n")
    assert len(re.findall(r"^  [\w.]+=", keys, re.MULTILINE)) == 10
    assert len(re.findall(r"^  nas-search", examples, re.MULTILINE)) == 5


def test_the_keys_that_the_help_shows_are_there_with_their_defaults():
    for command, pairs in MORE_KEYS.items():
        cfg = composed(command, [])
        typed = dict(name.split("=") for name, _ in pairs if not name.startswith("hydra"))
        values = {key: OmegaConf.select(cfg, key) for key in typed}
        assert values == {key: yaml.safe_load(value) for key, value in typed.items()}


def test_the_help_of_a_group_is_its_options_alone(capsys):
    run("search", "--help", "strategy")
    text = capsys.readouterr().out
    assert listed_options(text, "strategy") == listed_options(everything("search"), "strategy")
    assert "search_space" not in text
    assert text.endswith("The keys of an option: nas-search strategy=OPTION --cfg job\n")


def test_the_help_of_a_section_is_its_keys(capsys):
    run("search", "--help", "verdict")
    title, *keys = capsys.readouterr().out.splitlines()
    named = [line.split()[0] for line in keys if line.startswith("   verdict.")]
    assert (title, named) == ("  verdict", ["verdict.children=1", "verdict.resnet=true"])


def test_the_help_of_no_group_names_the_groups(capsys):
    with pytest.raises(SystemExit) as stop:
        run("train", "--help", "chidl")
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error == (
        "error: unknown topic 'chidl'; choose from: callbacks, child, data, hardware, limits, "
        "logger, search_space, task, verdict, all; did you mean 'child'?\n"
    )


def test_the_help_wraps_at_words_in_a_narrow_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = [*help_text("search").splitlines(), *everything("search").splitlines()]
    wide = [line for line in lines if len(line) > 60 and "nas-search" not in line]
    assert [line for line in wide if not line.startswith(("Keys (", "Groups ("))] == []


@pytest.mark.parametrize(
    "arguments",
    [["--config-dir={}"], ["--config-dir", "{}"], ["hydra.searchpath=[pkg://x,file://{}]"]],
)
def test_the_help_lists_a_users_options(arguments, tmp_path):
    (tmp_path / "strategy").mkdir()
    (tmp_path / "strategy" / "mine.yaml").write_text(
        "# a strategy of my own\n_target_: mine.Mine\n"
    )
    parts = [part.format(tmp_path) for part in arguments]
    text = help_text("search", [*parts, "--help", "strategy"])
    assert listed_options(text, "strategy")["mine"] == (" ", "a strategy of my own")


@pytest.mark.parametrize("command", GROUPS)
def test_a_command_imports_nothing_heavy_before_it_knows_what_to_do(command):
    code = (
        "import sys; from nas_lightning.cli.entry import main; "
        f"main(['{command}', '--help']); print(sorted({{'torch', 'lightning', 'sklearn', 'numpy'}} "
        "& set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
