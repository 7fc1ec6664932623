"""The help: every group, option and key with what it means, at once."""

import re
import subprocess
import sys

import pytest
from command import run

from nas_lightning.config.help import help_text
from nas_lightning.config.paths import config_dir

GROUPS = {  # conf/sweep holds definitions for Weights & Biases
    "search": {path.name for path in config_dir().iterdir() if path.is_dir()} - {"sweep"},
    "train": {"search_space", "task", "data", "hardware", "child", "callbacks", "logger"},
    "show": {"search_space"},
    "measure": {"search_space", "task", "data", "hardware", "child", "evaluation"},
}
KEYS = {
    "search": ["seed", "retrain", "max_samples", "export"],
    "train": ["seed", "genotype", "baselines", "export"],
    "measure": ["what", "seed", "children", "batch_size"],
    "show": ["genotype", "json", "output", "channels", "cells", "stem", "input_shape"],
}


def listed_options(text, group):
    """Returns what the help says about the options of a group."""
    (block,) = re.findall(rf"^  {group}\n((?:   .*\n)+)", text, re.MULTILINE)
    found = re.findall(r"^   ([ *])(\S+) +(\S.*)$", block, re.MULTILINE)
    return {name: (mark, meaning) for mark, name, meaning in found}


@pytest.mark.parametrize("command", GROUPS)
def test_the_help_names_every_group_of_a_command(command):
    named = re.findall(r"^  (\w+)$", help_text(command), re.MULTILINE)
    assert set(named) == GROUPS[command]


@pytest.mark.parametrize("group", sorted(GROUPS["search"]))
def test_the_help_says_every_option_and_what_it_means(group):
    found = listed_options(help_text("search"), group)
    folder = config_dir() / group
    paths = [path for path in folder.rglob("*.yaml") if path.name[0] != "_"]  # bases are no options
    files = {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}
    assert set(found) == set(files)
    assert {name for name, (_, m) in found.items() if m not in files[name].read_text()} == set()


def test_the_help_marks_the_defaults():
    text = help_text("search")
    assert listed_options(text, "strategy")["darts"][0] == "*"
    assert listed_options(text, "strategy")["random"][0] == " "
    assert listed_options(text, "logger")["none"][0] == "*"


@pytest.mark.parametrize("command", KEYS)
def test_the_help_says_every_key_with_its_default_and_meaning(command):
    keys = re.findall(r"^  (\w+)=\S.* {2,}\S+", help_text(command), re.MULTILINE)
    assert [key for key in KEYS[command] if key not in keys] == []


@pytest.mark.parametrize("command", GROUPS)
def test_a_command_prints_its_help(command, capsys):
    run(command, "strategy=darts", "-h")
    text = capsys.readouterr().out
    assert text == help_text(command) + "\n"
    assert text.startswith(f"nas-{command}: ")
    assert f"\n  nas-{command} " in text.partition("Examples:")[2]


@pytest.mark.parametrize("command", ["train", "show"])
def test_a_command_that_needs_a_genotype_helps_when_nothing_is_typed(command, capsys):
    run(command)
    assert capsys.readouterr().out == help_text(command) + "\n"


@pytest.mark.parametrize(
    "arguments",
    [["--config-dir={}"], ["--config-dir", "{}"], ["hydra.searchpath=[pkg://x,file://{}]"]],
)
def test_the_help_lists_a_users_options(arguments, tmp_path):
    (tmp_path / "strategy").mkdir()
    (tmp_path / "strategy" / "mine.yaml").write_text(
        "# a strategy of my own\n_target_: mine.Mine\n"
    )
    text = help_text("search", [part.format(tmp_path) for part in arguments])
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
