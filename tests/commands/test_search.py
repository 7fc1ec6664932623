"""One search from the command line to its files."""

import json
import re
import subprocess
import sys

import pytest
import torch
from command import (
    RANDOM,
    TINY,
    TINY_RANDOM,
    events,
    result,
    rows,
    run,
    search_into,
)

import nas_lightning as nl
from nas_lightning.reports.charts import figures
from nas_lightning.reports.usage import uses
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.training.finite_watch import FiniteWatch
from nas_lightning.zoo.reader import read_genotype

FILES = (
    "genotype.json",
    "genotypes/epoch=000.json",
    "genotypes/epoch=001.json",
    "genotype.svg",
    "alphas.csv",
    "metrics.csv",
    "result.json",
    "report.html",
    "checkpoints/last.ckpt",
    "child/last.ckpt",
    "child/metrics.csv",
    "baselines/random_genotype/metrics.csv",
)
COST = {
    "wall_s",
    "device_s",
    "training_samples",
    "gradient_steps",
    "children_trained",
    "epochs_trained",
}


@pytest.mark.parametrize("name", FILES)
def test_a_search_leaves_the_documented_files(finished, name):
    assert (finished / name).stat().st_size > 0


def test_a_search_leaves_no_temporary_files(finished):
    assert not list(finished.rglob("*.tmp"))


def test_the_result_says_what_was_done(finished):
    content = json.loads((finished / "result.json").read_text())
    assert (content["space"], content["strategy"], content["data"]) == ("darts", "darts", "digits")
    assert (content["seed"], content["threads"], content["hardware"]) == (0, 1, "cpu 32-true")
    assert content["command"].startswith("nas-search strategy.epochs=2 child.epochs=2 ")
    assert re.fullmatch(r"[0-9a-f]{16}", content["split"])
    assert {"nas_lightning", "python", "torch", "lightning"} <= set(content["versions"])


def test_the_result_says_what_was_found_and_what_it_cost(finished):
    content = json.loads((finished / "result.json").read_text())
    search, child, baselines = content["search"], content["child"], content["baselines"]
    assert set(search["cost"]) == set(child["cost"]) == COST
    assert search["cost"]["training_samples"] == 2 * 2 * 2 * 256
    assert search["cost"]["gradient_steps"] == 2 * 2 * 2
    assert search["cost"]["epochs_trained"] == 2
    assert child["cost"]["children_trained"] == 1
    assert 0 <= search["validation_accuracy"] <= 1
    assert 0 <= search["discretized_validation_accuracy"] <= 1
    assert 0 < search["alpha_entropy_end"] < search["alpha_entropy_start"]
    assert list(baselines) == ["random_genotype", "logistic_regression", "resnet"]
    sizes = [figures["parameters"] for figures in (child, baselines["resnet"])]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.5)  # a width of 2 or 3 here
    assert (content["verdict"]["children"], content["verdict"]["most_children"]) == (1, 1)
    assert content["verdict"]["cost"]["children_trained"] == 0  # the random genotype's is used
    assert baselines["random_genotype"]["parameters"] != 0
    assert baselines["logistic_regression"]["test_accuracy"] > 0.9


def test_the_result_names_each_edge_by_its_nodes_with_what_was_taken(finished):
    choices, chosen = result(finished)["choices"], read_genotype(str(finished), DartsSpace(nodes=1))
    taken = {name: facts["taken"] for name, facts in choices.items() if "taken" in facts}
    assert taken == {name: op for name, op in chosen.mapping.items() if "edge" in name}
    assert choices["reduction/edge_1_2"]["name"] == "c_{k-1} \u2192 2"


def test_the_child_is_measured_and_asked_for_every_test_image(finished):
    child = json.loads((finished / "result.json").read_text())["child"]
    answers = rows(finished / "child" / "predictions.csv")
    right = sum(row["true"] == row["predicted"] for row in answers) / len(answers)
    assert right == pytest.approx(child["test_accuracy"], abs=1e-6)
    assert [row["index"] for row in answers] == [str(index) for index in range(len(answers))]
    assert child["latency_ms"] > 0
    mistakes = json.loads((finished / "child" / "mistakes.json").read_text())["mistakes"]
    assert len(mistakes) == min(24, round(len(answers) * (1 - right)))
    assert (finished / "report.html").stat().st_size < 3_000_000


def test_the_lines_of_the_report_load_the_child_and_classify_with_it(finished):
    loads, (_, answers), *_ = uses(finished, result(finished))
    names = {}
    exec(loads[1], names)
    assert answers.startswith("child.classify('photo.png')")
    assert names["child"].classify(torch.zeros(8, 8, dtype=torch.uint8))[0] in "0123456789"


def test_the_found_genotype_is_the_last_epochs_and_reads_back(finished):
    space = DartsSpace(nodes=1)
    genotype = read_genotype(str(finished), space)
    assert genotype.id == result(finished)["genotype_id"]
    assert genotype == read_genotype(str(finished / "genotypes" / "epoch=001.json"), space)
    provenance = json.loads((finished / "genotype.json").read_text())["provenance"]
    assert (provenance["seed"], provenance["data"]) == (0, "digits")


def test_alphas_are_logged_from_the_start_in_full_precision(finished):
    lines = rows(finished / "alphas.csv")
    assert {line["epoch"] for line in lines} == {"-1", "0", "1"}
    first = [float(x["weight"]) for x in lines if x["choice"] == "normal/edge_0_2"][:8]
    assert sum(first) == pytest.approx(1, abs=1e-6)  # rounding of eight float32


def test_metrics_have_a_row_an_epoch(finished):
    lines = rows(finished / "metrics.csv")
    assert [line["epoch"] for line in lines] == ["0", "1"]
    assert {"search/train_loss", "search/validation_accuracy", "search/lr"} <= set(lines[0])
    assert [line["epoch"] for line in rows(finished / "child" / "metrics.csv")] == ["0", "1"]


def test_the_charts_of_a_report_keep_to_the_schema_of_vega_lite(finished, finished_random):
    for folder in (finished, finished_random):
        for chart in figures(folder).values():
            chart.to_dict(validate=True)  # raises where they do not


def test_a_search_makes_its_strategy_once(tmp_path, monkeypatch):
    made, searched = [], []

    def strategy(space, seed):
        made.append(nl.Darts(space, seed, epochs=1))
        return made[-1]

    def stop(run, strategy):
        searched.append(strategy)
        raise KeyboardInterrupt

    monkeypatch.setattr("nas_lightning.commands.search.search_one_shot", stop)
    with pytest.raises(KeyboardInterrupt):
        nl.search(strategy=strategy, folder=tmp_path, overrides=TINY[2:5])
    assert searched == made


def test_selection_never_reads_the_test_labels(searched, tmp_path, monkeypatch):
    from nas_lightning.data import sources

    honest = sources.digits

    def poisoned(**arguments):
        arrays = honest(**arguments)
        object.__setattr__(arrays, "test_labels", arrays.test_labels.flip(0))
        return arrays

    monkeypatch.setattr(sources, "digits", poisoned)
    search_into(tmp_path / "run", "retrain=false")
    assert (tmp_path / "run/alphas.csv").read_bytes() == (searched / "alphas.csv").read_bytes()
    same, honest_result = result(tmp_path / "run"), result(searched)
    identities = [each.pop("data_identity") for each in (same, honest_result)]
    assert same == honest_result
    assert identities[0]["labels"] != identities[1]["labels"]


def test_a_search_without_retraining_has_no_child(searched, finished):
    content = result(searched)
    assert content["child"] is content["baselines"] is None
    assert content["search"] == result(finished)["search"]
    assert not (searched / "child").exists()


def test_random_search_keeps_a_journal_and_returns_the_best(finished_random):
    told = [e for e in events(finished_random) if e["event"] == "told"]
    assert [e["trial"] for e in told] == [0, 1, 2]
    best = max(told, key=lambda e: e["reward"])
    content = result(finished_random)
    assert content["genotype_id"] == best["genotype_id"]
    assert content["search"]["validation_accuracy"] == best["validation_accuracy"]
    assert content["search"]["cost"]["children_trained"] == content["search"]["trials"] == 3
    assert [row["epoch"] for row in rows(finished_random / "metrics.csv")] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("kind", "notes"),
    [
        ((*TINY_RANDOM, "strategy.epochs=1"), ["100% of the found operations have no parameters"]),
        ((*TINY_RANDOM, "strategy=random", "strategy.trials=1"), []),
    ],
)
def test_only_a_one_shot_search_may_have_collapsed(tmp_path, monkeypatch, kind, notes):
    monkeypatch.setattr("nas_lightning.run.one_shot.parameter_free_share", lambda *_: 1.0)
    run("search", f"hydra.run.dir={tmp_path}", *kind, "child.epochs=1", "retrain=false")
    said = result(tmp_path)["notes"]
    assert [note.partition(":")[0] for note in said] == notes


def test_low_fidelity_trains_smaller_children(tmp_path, capsys):
    run("search", f"hydra.run.dir={tmp_path}", *TINY_RANDOM, *RANDOM, "retrain=false",
        "evaluation=low_fidelity", "evaluation.epochs=1", "evaluation.samples=256",
        "evaluation.channels=2")  # fmt: skip
    told = [e for e in events(tmp_path) if e["event"] == "told"]
    assert {e["cost"]["training_samples"] for e in told} == {256}
    lines = capsys.readouterr().err.splitlines()
    line = r"trial \d/3  validation accuracy \d+\.\d\d %  best \d+\.\d\d % \(\w{12}\)"
    assert re.fullmatch(rf"{line}  [1-9]\d* s left", lines[-2])
    assert re.fullmatch(line, lines[-1])
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("arguments", "samples"),
    [
        ([*TINY, "max_samples=600"], 1024),  # the step that reaches it ends: two of 2 * 256
        pytest.param(  # two trials of 1024 each
            [*TINY_RANDOM, *RANDOM, "max_samples=2100"], 2048, marks=pytest.mark.slow
        ),
    ],
)
def test_the_cap_of_samples_is_honoured(tmp_path, arguments, samples):
    run("search", f"hydra.run.dir={tmp_path}", *arguments, "retrain=false")
    content = json.loads((tmp_path / "result.json").read_text())
    assert content["search"]["cost"]["training_samples"] == samples


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_other_precisions_search_and_train(tmp_path, precision):
    search_into(tmp_path, f"hardware.precision={precision}", "strategy.epochs=1", "child.epochs=1")
    assert result(tmp_path)["hardware"] == f"cpu {precision}"


def test_a_trial_that_diverges_counts_as_bad_and_the_search_goes_on(tmp_path):
    run("search", f"hydra.run.dir={tmp_path}", *TINY_RANDOM, *RANDOM, "retrain=false",
        "child.lr=1e30", "child.clip=1e30")  # fmt: skip
    told = [e for e in events(tmp_path) if e["event"] == "told"]
    assert [e["reward"] for e in told] == [0.0] * 3
    assert {e["diverged"] for e in told} == {1.0}


def test_a_loss_that_is_no_number_stops_the_search(tmp_path, capsys):
    huge = ("strategy.params_optimizer.lr=1e30", "strategy.params_optimizer.clip=1e30")
    with pytest.raises(SystemExit):
        search_into(tmp_path, *huge)
    error = capsys.readouterr().err
    assert re.match(r"error: the .* loss .*became (nan|inf) in step \d of epoch 0 ", error)
    assert "lower strategy.params_optimizer.lr (1e+30) or strategy.alpha_optimizer.lr (n" in error
    assert error.endswith("; no epoch was saved\n")


def test_a_search_that_breaks_down_later_names_the_last_good_checkpoint(
    tmp_path, capsys, monkeypatch
):
    def check(watch, epoch, cures):
        if epoch == 1:
            raise FloatingPointError("the training loss became nan")

    monkeypatch.setattr(FiniteWatch, "check", check)
    with pytest.raises(SystemExit):
        search_into(tmp_path)
    good = tmp_path / "checkpoints" / "last.ckpt"
    error = f"error: the training loss became nan; the last good checkpoint is {good}\n"
    assert capsys.readouterr().err == error
    assert torch.load(good, weights_only=True)["epoch"] == 0


@pytest.mark.slow  # Python compiles all of torch anew for -O
def test_a_search_without_assertions_reads_its_data_all_the_same(tmp_path):
    command = [sys.executable, "-O", "-m", "nas_lightning", "search", *TINY]
    command += ["retrain=false", "strategy.epochs=1", f"hydra.run.dir={tmp_path / 'run'}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "result.json").is_file()


@pytest.mark.slow
def test_a_run_keeps_to_its_time_and_trains_all_children_alike(tmp_path):
    whole = [o for o in TINY if "epochs" not in o]
    run("search", f"hydra.run.dir={tmp_path / 'run'}", *whole, "max_seconds_in_all=12")
    content = json.loads((tmp_path / "run" / "result.json").read_text())
    child, baselines = content["child"], content["baselines"]
    costs = [p["cost"] for p in (child, baselines["random_genotype"], baselines["resnet"])]
    assert len({cost["epochs_trained"] for cost in costs}) == 1
    assert content["search"]["cost"]["wall_s"] == pytest.approx(6, rel=0.25)
    assert content["search"]["cost"]["wall_s"] + sum(c["wall_s"] for c in costs) < 13


@pytest.mark.slow
@pytest.mark.parametrize("own", [TINY, (*TINY_RANDOM, *RANDOM)])
def test_a_run_whose_time_is_too_short_has_failed_and_fails_again(own, tmp_path, capsys):
    folder = str(tmp_path / "run")
    for typed in ([f"hydra.run.dir={folder}", *own, "max_seconds=1e-6"], [f"resume={folder}"]):
        with pytest.raises(SystemExit):
            run("search", *typed)
        error = capsys.readouterr().err
        assert error.startswith("error: max_seconds (1e-06) must allow at least one ")
        assert "start a new run with max_seconds=" in error
    with pytest.raises(SystemExit):
        run("report", folder)
    reason = error.removeprefix("error: ").strip()
    assert f"run failed ({reason}); nas-search resume={folder}" in capsys.readouterr().err
