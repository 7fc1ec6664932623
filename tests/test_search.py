"""One search from the command line to its files."""

import json

import pytest
import torch
from command import (
    RANDOM,
    TINY,
    TINY_CHILD,
    TINY_RANDOM,
    events,
    result,
    rows,
    run,
    search_into,
)

import nas_lightning


def test_a_search_leaves_the_documented_files(finished):
    for name in (
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
    ):
        assert (finished / name).is_file(), name
    assert not list(finished.rglob("*.tmp"))


def test_the_result_says_what_was_done_and_found(finished):
    content = json.loads((finished / "result.json").read_text())
    assert {"space", "strategy", "data", "seed", "genotype_id", "split", "versions", "threads",
            "command", "search", "child", "baselines"} <= set(content)  # fmt: skip
    assert (content["space"], content["strategy"], content["data"]) == ("darts", "darts", "digits")
    cost = {"wall_s", "device_s", "training_samples", "gradient_steps", "children_trained",
            "epochs_trained"}  # fmt: skip
    assert set(content["search"]["cost"]) == set(content["child"]["cost"]) == cost
    assert content["search"]["cost"]["training_samples"] == 2 * 2 * 2 * 256
    assert content["search"]["cost"]["epochs_trained"] == 2
    assert 0 < content["search"]["alpha_entropy_end"] < content["search"]["alpha_entropy_start"]
    assert set(content["baselines"]) == {"random_genotype", "logistic_regression"}
    assert content["baselines"]["logistic_regression"]["test_accuracy"] > 0.9


def test_alphas_are_logged_from_the_start_in_full_precision(finished):
    lines = rows(finished / "alphas.csv")
    assert {line["epoch"] for line in lines} == {"-1", "0", "1"}
    first = [float(x["weight"]) for x in lines if x["choice"] == "normal/edge_0_2"][:8]
    assert sum(first) == pytest.approx(1, abs=1e-6)


def test_a_loaded_child_gives_the_tested_accuracy_and_class_names(finished):
    child = nas_lightning.load_child(finished)
    assert child.class_names == tuple("0123456789")
    assert not child.training
    from nas_lightning.data.module import ImageDataModule
    from nas_lightning.data.sources import digits

    data = ImageDataModule(digits, seed=0)
    images, labels = data.test_arrays()
    with torch.inference_mode():
        guesses = child(torch.from_numpy(images)).argmax(1)
    accuracy = float((guesses == torch.from_numpy(labels)).float().mean())
    assert accuracy == pytest.approx(result(finished)["child"]["test_accuracy"], abs=1e-6)


def test_a_loaded_child_classifies_an_image_file(finished, tmp_path):
    from PIL import Image

    Image.new("L", (20, 30), 200).save(tmp_path / "image.png")
    (name,) = nas_lightning.load_child(finished).classify(tmp_path / "image.png")
    assert name in tuple("0123456789")


def test_selection_never_reads_the_test_set(finished, tmp_path, monkeypatch):
    from nas_lightning.data import sources

    honest = sources.digits

    def poisoned(**arguments):
        arrays = honest(**arguments)
        object.__setattr__(arrays, "test_labels", arrays.test_labels.flip(0))
        return arrays

    monkeypatch.setattr(sources, "digits", poisoned)
    search_into(tmp_path / "run", "retrain=false")
    assert (tmp_path / "run/alphas.csv").read_bytes() == (finished / "alphas.csv").read_bytes()
    content = json.loads((tmp_path / "run/result.json").read_text())
    assert content["genotype_id"] == result(finished)["genotype_id"]
    assert content["child"] is content["baselines"] is None


def test_random_search_keeps_a_journal_and_returns_the_best(finished_random):
    told = [e for e in events(finished_random) if e["event"] == "told"]
    assert [e["trial"] for e in told] == [0, 1, 2]
    best = max(told, key=lambda e: e["reward"])
    content = result(finished_random)
    assert content["genotype_id"] == best["genotype_id"]
    assert content["search"]["validation_accuracy"] == best["validation_accuracy"]
    assert content["search"]["cost"]["children_trained"] == 3


def test_the_cap_of_samples_is_honoured(tmp_path, capsys):
    search_into(tmp_path / "run", "max_samples=600", "retrain=false")
    content = json.loads((tmp_path / "run/result.json").read_text())
    assert content["search"]["cost"]["training_samples"] == 1024  # two steps of 2 * 256
    with pytest.raises(SystemExit):
        run("search", f"hydra.run.dir={tmp_path / 'b'}", *TINY_RANDOM, *RANDOM, "max_samples=100")
    assert "max_samples (100) must allow at least one trial" in capsys.readouterr().err


def test_low_fidelity_trains_smaller_children(tmp_path):
    run("search", f"hydra.run.dir={tmp_path}", *TINY_RANDOM, *RANDOM, "retrain=false",
        "evaluation=low_fidelity", "evaluation.epochs=1", "evaluation.samples=256",
        "evaluation.channels=2")  # fmt: skip
    told = [e for e in events(tmp_path) if e["event"] == "told"]
    assert {e["cost"]["training_samples"] for e in told} == {256}


def test_a_held_out_share_keeps_the_best_epoch(tmp_path):
    arguments = [o for o in TINY_CHILD if "nodes" not in o]
    run("train", f"hydra.run.dir={tmp_path}", "genotype=darts_v2", *arguments,
        "child.validation_share=0.2")  # fmt: skip
    assert (tmp_path / "child/best.ckpt").is_file()
    assert "child/validation_accuracy" in rows(tmp_path / "child/metrics.csv")[0]


def test_show_prints_the_published_size_as_json(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("show", "genotype=darts_v2", "json=true")
    content = json.loads(capsys.readouterr().out)
    assert content["parameters"] == 3_349_342
    assert (tmp_path / "genotype.svg").read_text().startswith("<svg")


def test_a_sweep_summarises_its_runs(tmp_path, capsys):
    run("search", "-m", f"hydra.sweep.dir={tmp_path}", *TINY, "strategy.order=first,second",
        "seed=0,1", "retrain=false")  # fmt: skip
    table = (tmp_path / "summary.md").read_text()
    assert "| strategy.order | runs | search validation | child test | parameters |" in table
    assert table.count("±") == 2
    assert "second" in capsys.readouterr().out


def test_a_failing_job_of_a_sweep_is_named_and_the_others_finish(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("search", "-m", f"hydra.sweep.dir={tmp_path}", *TINY, "retrain=false",
            "search_space.nodes=0,1")  # fmt: skip
    assert (tmp_path / "1" / "result.json").is_file()
    captured = capsys.readouterr()
    assert f"no result: {tmp_path / '0'}" in captured.out
    assert "nodes (0) must be at least 1" in captured.err


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_other_precisions_search_and_train(tmp_path, precision):
    search_into(tmp_path, f"hardware.precision={precision}")
    assert (tmp_path / "result.json").is_file()


def test_a_trial_that_diverges_counts_as_bad_and_the_search_goes_on(tmp_path):
    run("search", f"hydra.run.dir={tmp_path}", *TINY_RANDOM, *RANDOM, "retrain=false",
        "child.lr=1e30", "child.clip=1e30")  # fmt: skip
    told = [e for e in events(tmp_path) if e["event"] == "told"]
    assert [e["reward"] for e in told] == [0.0] * 3
    assert {e["diverged"] for e in told} == {1.0}
