"""What is typed without a key, with ~, and across a narrow terminal."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command import run
from hydra.core.override_parser.overrides_parser import OverridesParser

from nas_lightning.cli.command_line import UsageError, overrides_of, with_home

DOCUMENT = Path(__file__).parents[2] / "docs" / "command_line.md"
NOTATION = "Genotype(normal=[('skip_connect', 0)], normal_concat=[2])"


@pytest.fixture(autouse=True)
def home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (["darts_v2"], ["genotype=darts_v2"]),
        (["outputs/day/10-31-07_darts"], ["genotype=outputs/day/10-31-07_darts"]),
        (["my run/genotype.json"], ['genotype="my run/genotype.json"']),
        (["~/run"], ["genotype=/home/me/run"]),
        ([NOTATION], [f'genotype="{NOTATION}"']),
        (["|none~0|"], ['genotype="|none~0|"']),
        (["10"], ['genotype="10"']),
        (["seed=1", "-m", "darts_v2"], ["-m", "seed=1", "genotype=darts_v2"]),
        (["-m", "darts_v1,darts_v2"], ["-m", "genotype=darts_v1,darts_v2"]),
        (["darts_v2", "~callbacks.x", "+a.b=1"], ["genotype=darts_v2", "~callbacks.x", "+a.b=1"]),
        (
            ["darts_v2", "--config-dir", "c", "a=1"],
            ["--config-dir", "c", "genotype=darts_v2", "a=1"],
        ),
        (["darts_v2", "--info", "a=1"], ["--info", "genotype=darts_v2", "a=1"]),
        (["resume=~/run"], ["resume=~/run"]),  # read by itself: a folder may be called ~
    ],
)
@pytest.mark.parametrize("command", ["train", "show"])
def test_a_genotype_needs_no_key(command, typed, read):
    assert overrides_of(command, typed) == read


def test_a_run_to_derive_from_needs_no_key():
    typed = ["~/my run", "rule=argmax"]
    assert overrides_of("derive", typed) == ['run="/home/me/my run"', "rule=argmax"]


def test_two_runs_to_derive_from_are_refused():
    with pytest.raises(UsageError, match="run must be one, got first and second; for a sweep -m"):
        overrides_of("derive", ["first", "run=second"])


JSON = '{"normal": [["skip_connect", 0]], "normal_concat": [2]}'


@pytest.mark.parametrize(
    "text", [NOTATION, f"epoch 3, it's {NOTATION} 0.9", JSON, "|none~0|+|none~0|", "(0 1)", "a (1)"]
)
def test_a_genotype_behind_its_key_needs_no_quotes(text):
    (read,) = overrides_of("train", [f"genotype={text}"])
    assert overrides_of("train", [read]) == [read]
    assert OverridesParser.create().parse_override(read).value() == text


@pytest.mark.parametrize(
    "typed", ["darts_v2", "10", "0 / 3 0 / 0 1 0", '"a (1)"', "a,b", "choice(a,b)", "${name}", ""]
)
def test_a_genotype_that_hydra_reads_stays_as_it_is_typed(typed):
    assert overrides_of("train", [f"genotype={typed}"]) == [f"genotype={typed}"]


def test_two_genotypes_are_refused():
    with pytest.raises(UsageError, match=r"genotype must be one, got darts_v1 and darts_v2; for a"):
        overrides_of("show", ["darts_v1", "genotype=darts_v2"])


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("data.path=~/images", "data.path=/home/me/images"),
        ("data.path='~/my images'", "data.path='/home/me/my images'"),
        ('hydra.run.dir="~/run"', 'hydra.run.dir="/home/me/run"'),
        ("hydra.run.dir=~", "hydra.run.dir=/home/me"),
        ("compare=[~/a,~/b]", "compare=[/home/me/a,/home/me/b]"),
        ("data.path=~/a,~/b", "data.path=/home/me/a,/home/me/b"),
        ("hydra.searchpath=[file://~/conf]", "hydra.searchpath=[file:///home/me/conf]"),
        ("+data.root=~/a", "+data.root=/home/me/a"),
        ("output=a~b/~c", "output=a~b/~c"),
        ("genotype='|none~0|'", "genotype='|none~0|'"),
        ("~callbacks.progress", "~callbacks.progress"),
    ],
)
def test_the_home_folder_is_read_wherever_a_path_begins(typed, read):
    assert overrides_of("search", [typed]) == [with_home(typed)] == [read]


def test_a_home_with_odd_characters_is_quoted(monkeypatch):
    monkeypatch.setenv("HOME", "/home/it's (me)")
    assert with_home("data.path=~/images") == 'data.path="/home/it\'s (me)/images"'


COMPLETED = {
    "nas-search strategy=ra": ["strategy=random", "strategy=random_sharing"],
    "nas-search data=digits data.ba": ["data.batch_size="],
    "nas-train darts_v2 child=": ["child=darts_cifar", "child=quick"],
    "nas-train ~/run seed=1 child=q": ["child=quick"],
}


@pytest.mark.parametrize("line", COMPLETED)
def test_tab_completes_groups_options_and_keys(line, monkeypatch, capsys):
    monkeypatch.setenv("COMP_LINE", line)
    run(line.split("-")[1].split()[0], "--shell-completion", "query=bash")
    assert capsys.readouterr().out.split() == COMPLETED[line]


def test_tab_says_nothing_of_a_mistake_in_the_middle_of_typing(monkeypatch, capsys):
    monkeypatch.setenv("COMP_LINE", "nas-search seed=( stra")
    with pytest.raises(SystemExit):
        run("search", "--shell-completion", "query=bash")
    assert capsys.readouterr() == ("", "")


def test_bash_completes_what_the_document_installs(tmp_path):
    (loop,) = re.findall(r"^```bash\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
    python = shlex.quote(sys.executable)
    for name in ("search", "train", "show", "benchmark", "derive", "measure"):
        script = tmp_path / f"nas-{name}"
        script.write_text(f'#!/bin/sh\nexec {python} -m nas_lightning {name} "$@"\n')
        script.chmod(0o755)
    typed = "COMP_WORDS=($COMP_LINE); COMP_CWORD=2; hydra_bash_completion; echo ${COMPREPLY[@]}"
    done = subprocess.run(
        ["bash", "-c", f"COMP_LINE='nas-train darts_v2 child='\n{loop}\n{typed}"],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "child=darts_cifar child=quick\n"


@pytest.mark.parametrize("line", re.findall(r"^    (nas-.*)", DOCUMENT.read_text(), re.M))
def test_the_commands_of_the_document_run(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command, *typed = shlex.split(line, comments=True)
    run(command.removeprefix("nas-"), *typed)
    assert len(capsys.readouterr().out) > 100


@pytest.mark.parametrize(
    ("command", "typed", "read"),
    [
        ("search", "export=onnx", "export=[onnx]"),
        ("train", "export=onnx", "export=[onnx]"),
        ("benchmark", "compare='my run'", "compare=['my run']"),
        ("search", "export=[onnx,pt2]", "export=[onnx,pt2]"),
        ("search", "export=null", "export=null"),
        ("search", "data.path=a", "data.path=a"),
    ],
)
def test_a_list_may_be_typed_as_its_only_name(command, typed, read):
    assert read in overrides_of(command, ["genotype=darts_v2", typed])
