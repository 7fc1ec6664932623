"""Limits from the command line and from Python to result.json, summary and report."""

import json
from functools import cache

import pytest
from command import RANDOM, TINY, TINY_RANDOM, events, result, run
from omegaconf import OmegaConf

import nas_lightning as nl
from nas_lightning.core.limited import cost_measure
from nas_lightning.core.scale import Scale
from nas_lightning.run import baselines
from nas_lightning.search_spaces.darts import DartsSpace

BOUND = 420  # parameters of a tiny child; one genotype in ten keeps it
LIMITED = (f"limits.parameters={BOUND}", "limits.multiply_adds=1M", "retrain=false")


@cache
def size():
    scale = Scale(channels=2, cells=3, flavour="child").of_data((1, 8, 8), 10)
    return cost_measure(DartsSpace(nodes=1), scale)


def genotype_of(folder, name="genotype.json"):
    return nl.Genotype.from_json((folder / name).read_text())


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((*TINY_RANDOM, *RANDOM), id="random", marks=pytest.mark.slow),
        pytest.param(TINY, id="darts"),
    ],
)
def test_what_is_found_keeps_the_limits_and_says_so(arguments, tmp_path, capsys):
    run("search", f"hydra.run.dir={tmp_path}/run", *arguments, *LIMITED)
    found, printed = size()(genotype_of(tmp_path / "run")), capsys.readouterr().out
    assert found["parameters"] <= BOUND
    whole = result(tmp_path / "run")
    assert whole["limits"] == {"parameters": BOUND, "multiply_adds": 1_000_000}
    assert whole["within_limits"] == found
    assert printed.split("\n")[0].endswith(
        "limits: parameters at most 420, multiply_adds at most 1,000,000"
    )
    assert f"{found['parameters']:,} of at most 420" in printed
    assert "of the child; the limit is 420" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.slow
def test_every_trial_the_baseline_and_a_resumed_run_keep_the_limits(tmp_path):
    folder = tmp_path / "run"
    overrides = [*TINY_RANDOM, "strategy.trials=4", "evaluation=low_fidelity"]
    nl.search(strategy="random", limits={"parameters": BOUND}, overrides=overrides, folder=folder)
    asked = [event["choices"] for event in events(folder) if event["event"] == "asked"]
    sizes = [size()(nl.Genotype.of("darts", choices))["parameters"] for choices in asked]
    whole, lines = result(folder), (folder / "trials.jsonl").read_text().splitlines()
    sizes += [whole["child"]["parameters"]]
    sizes += [whole["baselines"]["random_genotype"]["parameters"]]
    assert max(sizes) <= BOUND
    (folder / "result.json").unlink()
    (folder / "trials.jsonl").write_text("\n".join(lines[:4]) + "\n")
    nl.search(limits={"parameters": BOUND}, folder=folder, resume=True)
    assert result(folder)["genotype_id"] == whole["genotype_id"]
    assert [e["genotype_id"] for e in events(folder)] == [
        json.loads(e)["genotype_id"] for e in lines
    ]


def test_a_strategy_that_asks_for_more_is_refused(tmp_path):
    class Large(nl.RandomSearch):
        """Asks for what it likes."""

        def ask(self, number):
            return nl.Trial(number, DartsSpace(nodes=1).sample(5))

    message = r"strategy Large asks for a child with parameters [\d,]+, beyond the limits \(param"
    with pytest.raises(ValueError, match=message):
        nl.search(
            strategy=Large, limits={"parameters": 350}, overrides=TINY_RANDOM, folder=tmp_path / "r"
        )


@pytest.mark.slow
def test_a_sweep_takes_limits_one_by_one(tmp_path):
    sweep = f"hydra.sweep.dir={tmp_path}"
    run("search", "-m", sweep, *TINY_RANDOM, *RANDOM, "retrain=false", "limits.parameters=400,2k")
    assert [result(tmp_path / job)["limits"] for job in "01"] == [
        {"parameters": 400},
        {"parameters": 2000},
    ]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["command", "python"])
def test_a_run_from_before_there_were_limits_resumes(way, tmp_path):
    folder, overrides = tmp_path / "run", [*TINY_RANDOM, "strategy.trials=2"]
    settings = {"strategy": "random", "evaluation": "low_fidelity", "retrain": False}
    before = nl.search(**settings, overrides=overrides, folder=folder).genotype
    config = OmegaConf.load(folder / ".hydra" / "config.yaml")
    del config["limits"]
    OmegaConf.save(config, folder / ".hydra" / "config.yaml")
    (folder / "result.json").unlink()
    if way == "python":
        nl.search(**settings, overrides=overrides, folder=folder, resume=True)
    else:
        run("search", f"resume={folder}")
    assert genotype_of(folder) == before
    assert "limits" not in result(folder)


@pytest.mark.slow
def test_a_training_compares_within_the_limits_of_the_search_and_survives_what_diverges(
    tmp_path, monkeypatch
):
    folder, trained = tmp_path / "found", tmp_path / "trained"
    overrides = [*TINY_RANDOM, *RANDOM, "retrain=false"]
    nl.search(limits={"parameters": BOUND}, overrides=overrides, folder=folder)

    def diverge(*_):
        raise FloatingPointError

    whole = baselines.train_child
    monkeypatch.setattr(baselines, "train_child", diverge)
    nl.train(folder, overrides=["baselines=true"], folder=trained)
    content = result(trained)
    assert content["limits"] == {"parameters": BOUND}
    random = content["baselines"]["random_genotype"]
    assert (random["test_accuracy"], random["diverged"]) == (None, 1.0)
    assert content["verdict"]["wins"] == 1
    monkeypatch.setattr(baselines, "train_child", whole)
    typed = nl.train(
        folder, overrides=["baselines=true", "limits.parameters=2k"], folder=tmp_path / "2k"
    )
    assert typed.result["limits"] == {"parameters": 2000}
    assert typed.result["baselines"]["random_genotype"]["parameters"] <= 2000
