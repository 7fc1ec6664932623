"""nas-benchmark on the made-up table: its files, its comparison, its mistakes."""

import csv
import json
import os
import re
import signal
import subprocess
import sys

import pytest
from command import run

from nas_lightning.benchmark.files import benchmark_text, read_published
from nas_lightning.core.termination import Interruption

QUICK = ("evaluation.table=synthetic", "seeds=6", "budget_s=3000")
EVOLVE = ("strategy=evolution", "strategy.population=10", "strategy.sample=3")


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark") / "random"
    run("benchmark", f"hydra.run.dir={folder}", *QUICK)
    return folder


def test_the_result_has_means_and_deviations_of_search_and_transfer(finished):
    result = result_of(finished)
    assert (result["strategy"], result["data"], result["seeds"]) == ("random", "cifar10", 6)
    assert result["budget_s"] == 3000
    assert set(result["transfer"]) == {"cifar100", "imagenet16_120"}
    for own in (result, *result["transfer"].values()):
        assert 0 < own["test_accuracy"]["mean"] < 1
        assert own["validation_accuracy"]["std"] >= 0


def test_every_search_has_a_row_and_keeps_to_the_budget(finished):
    with (finished / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["seed"]) for row in rows] == list(range(6))
    assert all(float(row["spent_s"]) <= 3000 for row in rows)
    mean = sum(float(row["cifar10/test_accuracy"]) for row in rows) / 6
    assert mean == pytest.approx(result_of(finished)["test_accuracy"]["mean"])


def test_the_regret_falls_and_is_drawn(finished):
    with (finished / "regret.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(float(r["low"]) <= float(r["median"]) <= float(r["high"]) for r in rows)
    assert float(rows[-1]["median"]) < float(rows[0]["median"])
    assert (finished / "regret.png").read_bytes().startswith(b"\x89PNG")


def test_two_strategies_are_compared_on_the_same_seeds(finished, tmp_path, capsys):
    run("benchmark", f"hydra.run.dir={tmp_path}", *QUICK, *EVOLVE, f"compare=[{finished}]")
    (comparison,) = result_of(tmp_path)["comparisons"]
    assert (comparison["first"], comparison["other"], comparison["pairs"]) == (
        "evolution",
        "random",
        6,
    )
    printed = capsys.readouterr().out
    assert "than random in mean test accuracy over 6 seeds" in printed
    assert re.match(
        r"data \w+, space nasbench201, strategy evolution, table \S+, 6 seeds\n", printed
    )


def test_a_search_on_other_data_is_not_transferred(tmp_path):
    run("benchmark", f"hydra.run.dir={tmp_path}", *QUICK, "data=cifar100", "seeds=1")
    assert (result_of(tmp_path)["data"], result_of(tmp_path)["transfer"]) == ("cifar100", {})


def test_values_kept_apart_leave_a_front(tmp_path):
    latency = "objective=accuracy_latency"
    run("benchmark", f"hydra.run.dir={tmp_path}", *QUICK, latency, "seeds=1")
    front = json.loads((tmp_path / "pareto.json").read_text())
    values = [tuple(entry["values"].values()) for entry in front["front"]]
    assert front["names"] == ["validation_accuracy", "latency_ms"]
    assert values == sorted(values, reverse=True)
    volume = result_of(tmp_path)["hypervolume"]
    assert 0 < volume["median"] <= 1
    assert volume["reference"][0] < 0.5
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "hypervolume.csv").open() as file:
        shares = [float(row["median"]) for row in csv.DictReader(file)]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(volume["median"], rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seeds=0"], r"seeds \(0\) must be at least 1"),
        (
            ["budget_s=0"],
            r"budget_s \(0\.0\) must be above 0; use e\.g\. 12000 simulated seconds, or null",
        ),
        (["data.batch_size=3"], r"data\.batch_size=3 has no effect: a benchmark loads no data"),
        (["data=digits"], r"has no data 'digits'; choose from: evaluation\.data=cifar10, ev"),
        (["strategy=darts"], r"strategy\._target_ must be a BlackBoxStrategy"),
        (
            ["evaluation._target_=nas_lightning.evaluation.by_training.FullTraining"],
            r"evaluation\._target_ must be a TabularEvaluation",
        ),
        (["objective=mdl"], r"needs 'validation_loss', which evaluation TabularEvaluation does no"),
        (
            ["reference=[0.8,null]"],
            r"reference \(\[0\.8, None\]\) has no effect: objective Accuracy keeps no values apart",
        ),
        pytest.param(
            ["objective=accuracy_latency", "reference=[80,null]"],
            r"reference \(\[80\.0, .* shares in \[0, 1\]; use e\.g\. \[0\.8, null\]",
            marks=pytest.mark.slow,
        ),
        (["compare=[nowhere]"], r"compare: 'nowhere' must be the folder of a finished nas-bench"),
    ],
)
def test_a_mistake_ends_in_one_message(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("benchmark", f"hydra.run.dir={tmp_path}", *QUICK, *arguments)
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert re.search(message, line), line


def test_benchmarks_of_other_seeds_are_not_compared(finished, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("benchmark", f"hydra.run.dir={tmp_path}", *QUICK, f"compare=[{finished}]", "seeds=4")
    error = capsys.readouterr().err
    assert "has seeds 6, this benchmark 4; run both alike" in error
    assert "searches" not in error, "no search began"


def test_a_stopped_benchmark_says_that_it_runs_anew(tmp_path, capsys, monkeypatch):
    def stopped(*arguments):
        raise Interruption(signal.SIGTERM)

    monkeypatch.setattr("nas_lightning.commands.benchmark.simulate", stopped)
    with pytest.raises(SystemExit) as stop:
        run("benchmark", *QUICK, f"hydra.run.dir={tmp_path}")
    assert stop.value.code == 75
    assert f"nas-benchmark resume={tmp_path} runs it anew" in capsys.readouterr().err


def test_a_table_without_test_figures_is_refused_before_any_search(tmp_path, capsys):
    table = tmp_path / "own.csv"
    columns = "own_val_12,own_train_seconds_12"
    table.write_text(f"arch,{columns}\n|none~0|+|none~0|none~1|+|none~0|none~1|none~2|,10,3\n")
    own = (f"evaluation.table={table}", "evaluation.data=own")
    with pytest.raises(SystemExit):
        run("benchmark", f"hydra.run.dir={tmp_path / 'run'}", *own)
    assert "has no column 'own_test_12'; add it" in capsys.readouterr().err


def test_published_figures_stand_beside_ours_with_their_source(finished, tmp_path):
    published = read_published("nasbench201", "reinforce", "cifar10", 12000, 12)
    text = benchmark_text(result_of(finished), published, [], tmp_path)
    assert "91.09 +- 0.37" in text
    assert "93.85 +- 0.37\n" in text
    assert "published: Dong & Yang, NAS-Bench-201, 2020 (arXiv:2001.00326), table 5\n" in text


def test_figures_that_were_not_read_in_a_source_are_left_out(finished, tmp_path):
    assert read_published("nasbench201", "evolution", "cifar10", 12000, 12) is None
    published = read_published("nasbench201", "random", "cifar10", 12000, 12)
    assert published["rows"] == {"cifar10": {"test": [93.70, 0.36]}}
    assert " 93.70 +- 0.36\n" in benchmark_text(result_of(finished), published, [], tmp_path)


def test_published_figures_are_those_of_accuracy_alone(tmp_path, capsys):
    quick = ("seeds=1", "objective=accuracy_params")
    run("benchmark", f"hydra.run.dir={tmp_path}", *quick)
    printed = capsys.readouterr().out
    assert "published test" not in printed
    assert ": 1 search of 12,000 simulated seconds" in printed
    assert f"front {tmp_path / 'front.png'}" in printed


@pytest.mark.slow
def test_a_benchmark_imports_nothing_that_it_does_not_need(tmp_path):
    code = (
        "import sys; from nas_lightning.cli.entry import main; "
        "main(['benchmark', *sys.argv[1:]]); "
        "print(sorted({'lightning', 'torchmetrics', 'sklearn', 'kornia', 'datasets', 'wandb'} "
        "& set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, *QUICK, "seeds=1", f"hydra.run.dir={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.splitlines()[-1] == "[]"
