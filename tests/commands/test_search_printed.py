"""What a search prints and draws on a terminal."""

import os
import pty
import re
import subprocess
import sys

import pytest
from command import RANDOM, TINY, TINY_RANDOM, result, run

PATH = "discretized_validation_accuracy"


def test_the_first_line_says_on_what_it_works(finished):
    assert (finished.parent / "printed.txt").read_text().splitlines()[0] == (
        "data digits (8x8, 10 classes), space darts, strategy darts, child of 3 cells x 2 channels"
    )


def test_the_summary_names_cell_figures_baselines_cost_and_files(finished):
    printed = (finished.parent / "printed.txt").read_text()
    content = result(finished)
    for part in (
        f"genotype {content['genotype_id']} of space darts",
        "normal cell\n  2     = ",
        "reduction cell\n  2     = ",
        f"search validation accuracy         {content['search']['validation_accuracy']:.2%}"[:-1],
        f"  of the found path alone          {content['search'][PATH]:.2%}"[:-1],
        f"child test accuracy                {content['child']['test_accuracy']:.2%}"[:-1],
        "  random genotype, trained alike   ",
        "  logistic regression              97.",
        f"parameters                         {content['child']['parameters']:,}\n",
        f"multiply-adds per image            {content['child']['multiply_adds']:,}\n",
        "2,048 training samples, 8 gradient steps\n",
        f"files                              {finished}\n",
        f"report                             {finished / 'report.html'}\n",
    ):
        assert part in printed


@pytest.fixture(scope="module")
def on_a_terminal(tmp_path_factory):
    """What a process prints, and the lines it draws on a terminal meanwhile."""
    folder = tmp_path_factory.mktemp("terminal")
    arguments = [o for o in TINY if o != "callbacks=silent"]
    ours, theirs = pty.openpty()
    with (folder / "printed.txt").open("w") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "nas_lightning", "search", *arguments, "retrain=false"],
            cwd=folder,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "80"},
            stdout=printed,
            stderr=theirs,
        )
    os.close(theirs)
    drawn = _read_all(ours)
    assert process.wait() == 0
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", drawn))
    return (folder / "printed.txt").read_text(), {line.rstrip() for line in lines}


def _read_all(terminal):
    parts = []
    while True:
        try:
            parts.append(os.read(terminal, 1 << 16))
        except OSError:  # the process has closed its end
            os.close(terminal)
            return b"".join(parts).decode()


@pytest.mark.slow
def test_a_terminal_shows_epoch_time_left_and_preference_and_no_noise(on_a_terminal):
    _, lines = on_a_terminal
    bar = r"search epoch [12]/2 \S+ (\d:\d\d:\d\d|-:--:--)"
    kinds = (bar, r"  validation accuracy \d+\.\d\d %  train loss \d\.\d+", "  prefers .*", "")
    shown = {kind for kind in kinds for line in lines if re.fullmatch(kind, line)}
    assert shown == set(kinds)
    assert {line for line in lines if not any(re.fullmatch(kind, line) for kind in kinds)} == set()


@pytest.mark.slow
def test_a_process_prints_its_summary_alone(on_a_terminal):
    printed, _ = on_a_terminal
    first = r"data digits .* channels\ndata: 1,438 training and 359 test images .*\nsplit of .*\n"
    first += r"CPU threads: .*\n"
    unwrapped = printed.replace("\n  ", " ")
    assert re.match(first + r"\ngenotype \w{12} of space darts\nnormal cell ", unwrapped)
    assert re.search(r"\nreport +/\S+/report\.html\n$", printed)


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (
            [*TINY, "max_samples=100", "data.batch_size=64"],
            "note: max_samples (100) ended the search within its first epoch, after 1 of 11 steps",
        ),
        (
            [*TINY_RANDOM, *RANDOM, "objective=accuracy_params", "strategy.trials=1"],
            "objective charges parameters: target 100,000 (soft); objective.target=NUMBER wants an",
        ),
    ],
)
def test_a_budget_below_an_epoch_and_a_target_are_told(typed, line, tmp_path, capsys):
    run("search", f"hydra.run.dir={tmp_path}/run", *typed, "retrain=false")
    assert line in capsys.readouterr().out
