"""The progress of a black-box search, on a terminal and elsewhere."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.executors import Running
from nas_lightning.reports.metric import MainMetric
from nas_lightning.run.trial_progress import TrialProgress

GENOTYPE = Genotype.of("made up", {"op": "a"})


def told(*rewards, seconds=2.0):
    cost = {"wall_s": seconds, "training_samples": 10.0}
    return [Trial(n, GENOTYPE, reward=r, cost=cost) for n, r in enumerate(rewards)]


@pytest.fixture
def shown(monkeypatch):
    """Shows trials on a terminal of 70 columns; gives the lines of the last picture."""

    def shown(total, *rewards, seconds=2.0, running=list):
        environment = {"TERM": "xterm"}
        console = Console(file=io.StringIO(), force_terminal=True, width=70, _environ=environment)
        progress = TrialProgress(total, None, running=running)
        progress._console = console
        with progress:
            for number in range(len(rewards)):
                progress.show(told(*rewards, seconds=seconds)[: number + 1])
            progress.bar.refresh()
            text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", console.file.getvalue())
        assert progress.bar is None
        return [line.rstrip() for line in re.split(r"[\r\n]+", text)]

    return shown


def test_the_bar_is_there_before_the_first_trial_ends(shown):
    assert re.fullmatch(r"search trial 1/4 \S+ -:--:--", shown(4)[-1])


def test_the_bar_tells_trial_best_so_far_and_time_left(shown):
    bar, figures = shown(4, 0.5, 0.7, 0.6, seconds=60)[-2:]
    assert re.fullmatch(r"search trial 4/4 \S+ 0:01:00", bar)
    assert figures == f"  reward 0.6000  best 0.7000 ({GENOTYPE.id})"


def two_children():
    return [
        Running(1, Trial(3, GENOTYPE), 61.5),
        Running(2, Trial(5, GENOTYPE, budget=1 / 3), 0.5),
    ]


CHILDREN = [
    f"  worker 1  trial 4 ({GENOTYPE.id})  0:01:01",
    f"  worker 2  trial 6 ({GENOTYPE.id})  budget 0.333  0:00:00",
]


def test_a_line_per_child_of_a_worker_stands_below_the_bar(shown):
    assert shown(4, running=two_children)[-2:] == CHILDREN
    assert shown(4, 0.5, running=two_children)[-2:] == CHILDREN


def test_lines_where_there_is_no_terminal_tell_what_the_workers_do(capsys):
    trials = [*told(0.5), replace(told(0.5)[0], reward=0.0, failure="it was killed")]
    with TrialProgress(4, None, running=two_children) as progress:
        progress.show(trials)
    first = f"trial 2/4  reward 0.0000  best 0.5000 ({GENOTYPE.id})  1 failed  4 s left"
    assert capsys.readouterr().err.splitlines() == [first, *CHILDREN]


@pytest.mark.parametrize("seconds", [0.0, 0.001, 2.0])
def test_the_time_left_is_never_0_while_the_bar_is_there(shown, seconds):
    lines = [line for line in shown(3, 0.5, 0.7, 0.6, seconds=seconds) if "search trial" in line]
    assert lines
    assert not any(line.endswith(" 0:00:00") for line in lines)


def test_lines_where_there_is_no_terminal_never_tell_0_seconds(capsys):
    trials = told(0.5, 0.7, 0.6, seconds=0.001)
    with TrialProgress(3, None) as progress:
        for number in range(3):
            progress.show(trials[: number + 1])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        f"trial 1/3  reward 0.5000  best 0.5000 ({GENOTYPE.id})  1 s left",
        f"trial 2/3  reward 0.7000  best 0.7000 ({GENOTYPE.id})  1 s left",
        f"trial 3/3  reward 0.6000  best 0.7000 ({GENOTYPE.id})",
    ]


def test_the_bar_ends_with_an_error():
    progress = TrialProgress(3, None)
    progress._console = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "xterm"})
    with pytest.raises(KeyboardInterrupt), progress:
        raise KeyboardInterrupt
    assert progress.bar is None


def test_a_reward_that_is_the_metric_is_told_in_percent(capsys):
    TrialProgress(3, None, MainMetric()).show(told(0.5))
    line = "trial 1/3  validation accuracy 50.00 %  best 50.00 %"
    assert capsys.readouterr().err.startswith(f"{line} ({GENOTYPE.id})")
