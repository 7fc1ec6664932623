"""nas-measure, and searches by what it measures."""

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stdout

import pytest
from command import bits, run

from nas_lightning.evaluation import proxy_study

SEARCH = (
    "search_space=nasbench201",
    "child.epochs=1",
    "child.scale.channels=4",
    "callbacks=silent",
    "strategy=evolution",
    "strategy.population=2",
    "data.batch_size=256",
)


def test_an_unknown_measure_names_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        run("measure", "what=love")
    assert "unknown what 'love'; choose from: proxies" in capsys.readouterr().err


PROXIES = (
    "what=proxies",
    "children=4",
    "batch_size=8",
    "data=digits",
    "evaluation.data=cifar10",
    "child.scale.channels=4",
    "child.scale.cells=3",
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of a finished study of proxies; what it printed is in printed.txt beside it."""
    folder = tmp_path_factory.mktemp("study") / "run"
    printed = io.StringIO()
    with redirect_stdout(printed):
        run("measure", f"hydra.run.dir={folder}", *PROXIES)
    (folder.parent / "printed.txt").write_text(printed.getvalue())
    return folder


@pytest.fixture
def judged(monkeypatch):
    """The genotypes that are judged from now on; at the wanted number of them comes a SIGTERM."""
    judged = Judged()
    original = proxy_study.proxy_value

    def value(run, genotype, name, batch, seed):
        if name == proxy_study.NAMES[-1]:
            judged.ids.append(genotype.id)
            if len(judged.ids) == judged.stops_at:
                signal.raise_signal(signal.SIGTERM)
        return original(run, genotype, name, batch, seed)

    monkeypatch.setattr(proxy_study, "proxy_value", value)
    return judged


class Judged:
    def __init__(self):
        self.ids, self.stops_at = [], None


def test_proxies_are_ranked_against_a_table(study):
    result = json.loads((study / "result.json").read_text())
    assert (result["children"], result["data"], result["epochs"]) == (4, "cifar10", 200)
    assert len((study / "proxies.csv").read_text().splitlines()) == 5
    printed = (study.parent / "printed.txt").read_text()
    assert "synflow" in printed
    assert printed.startswith("data ")
    assert ", space nasbench201, child of " in printed.splitlines()[0]


@pytest.mark.slow
def test_an_interrupted_study_judges_only_what_is_missing(study, judged, tmp_path, capsys):
    folder = tmp_path / "run"
    judged.stops_at = 3
    with pytest.raises(SystemExit) as stop:
        run("measure", f"hydra.run.dir={folder}", *PROXIES)
    assert stop.value.code == 75
    assert f"nas-measure resume={folder} resumes it" in capsys.readouterr().err
    with (folder / "proxies.csv").open("a") as file:
        file.write("0123456789abcdef,0.9,1")
    first, judged.ids = judged.ids[:2], []
    run("measure", f"resume={folder}")
    whole = (study / "proxies.csv").read_text().splitlines()[1:]
    assert [*first, *judged.ids] == [row.split(",")[0] for row in whole]
    assert bits(folder) == bits(study)


def test_a_finished_study_is_told_and_left_as_it_is(study, judged, capsys):
    run("measure", f"resume={study}")
    assert "this run is complete" in capsys.readouterr().out
    assert judged.ids == []


def test_an_impossible_study_leaves_no_rows(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("measure", f"hydra.run.dir={tmp_path}", *PROXIES, "children=1")
    assert "children (1) must be in [2, 15625]" in capsys.readouterr().err
    assert not (tmp_path / "proxies.csv").exists()


def test_the_rows_of_other_children_are_refused(study, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(study, folder)
    (folder / "result.json").unlink()
    header, first, second, *_ = (folder / "proxies.csv").read_text().splitlines()
    (folder / "proxies.csv").write_text(f"{header}\n{second}\n")
    with pytest.raises(SystemExit):
        run("measure", f"resume={folder}")
    found, wanted = second.split(",")[0], first.split(",")[0]
    message = f"has genotype {found} in row 1, this study judges {wanted}: it belongs"
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_study_killed_again_and_again_ends_with_the_same_bits(study, tmp_path):
    folder, path = tmp_path / "run", tmp_path / "run" / "proxies.csv"
    typed = [f"hydra.run.dir={folder}", *PROXIES]
    for rows in (1, 2, 4):
        command = [sys.executable, "-m", "nas_lightning", "measure", *typed]
        one = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not path.exists() or path.read_bytes().count(b"\n") < rows:
            assert one.poll() is None
            time.sleep(0.005)
        one.kill()
        assert one.wait() == -signal.SIGKILL
        typed = [f"resume={folder}"]
    run("measure", *typed)
    assert bits(folder) == bits(study)


def test_a_proxy_alone_guides_a_search_and_the_found_child_is_trained(tmp_path):
    folder = tmp_path / "run"
    run("search", *SEARCH, "evaluation=zero_cost", "objective=measurement", "strategy.trials=6",
        "retrain=false", f"hydra.run.dir={folder}")  # fmt: skip
    found = json.loads((folder / "result.json").read_text())["search"]
    assert 0 < found["validation_accuracy"] <= 1
    assert found["cost"]["children_trained"] == 1
    assert found["reward"] > 1
    text = (folder / "trials.jsonl").read_text()
    assert all("synflow" in line for line in text.splitlines() if '"told"' in line)


@pytest.mark.slow
def test_a_proxy_filters_what_any_strategy_asks_for(tmp_path):
    folder = tmp_path / "run"
    run("search", *SEARCH, "evaluation=prefiltered", "evaluation.then.epochs=1",
        "evaluation.reference=8", "strategy.trials=8", "retrain=false",
        f"hydra.run.dir={folder}")  # fmt: skip
    found = json.loads((folder / "result.json").read_text())["search"]
    assert 0 < found["cost"]["children_trained"] < 8
    assert "filtered" in (folder / "metrics.csv").read_text()
