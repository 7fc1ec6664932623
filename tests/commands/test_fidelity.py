"""nas-measure what=fidelity, and a search with a bank of weights, as commands."""

import json
import signal

import pytest
from command import bits, run

from nas_lightning.evaluation import fidelity
from nas_lightning.run.fidelity_study import fidelity_text
from nas_lightning.run.state import listed_runs

TINY = (
    "data=digits",
    "data.max_images=128",
    "search_space=nasbench201",
    "child.epochs=1",
    "child.scale.channels=2",
    "child.scale.cells=3",
)
SMALL = ("steps=1", "warmup=1", "warmup_steps=1", "recalibration=1")
STUDY = (
    *TINY,
    "what=fidelity",
    "children=3",
    "batch_size=8",
    "tau=0.1",
    "rungs.low_fidelity.channels=2",
    "rungs.low_fidelity.epochs=1",
    *(f"rungs.inherited.{value}" for value in SMALL),
    *(f"rungs.one_shot.{value}" for value in SMALL[1:]),
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "run"
    run("measure", f"hydra.run.dir={folder}", *STUDY)
    return folder


def test_a_study_tells_how_every_rung_ranks_and_what_it_costs(study):
    result = json.loads((study / "result.json").read_text())
    names, rungs = list(result["rungs"]), result["rungs"]
    assert names[:5] == ["full", "full_again", "low_fidelity", "inherited", "one_shot"]
    assert {"synflow", "naswot", "parameters"} < set(names)
    assert rungs["full"]["kendall"] == 1
    assert [rungs[name]["samples"] for name in names[:3]] == [64, 64, 64]
    assert rungs["inherited"]["samples"] == pytest.approx((1 + 3) * 64 / 3)
    assert not (study / "rungs").exists()


def test_a_finished_study_is_listed_so(study):
    (row,) = listed_runs(study.parent)
    assert (row["command"], row["data"], row["state"]) == ("measure", "digits", "finished")


def test_children_that_full_training_makes_alike_have_no_rank_and_a_cure():
    rows = [
        {"full": 0.1, "full_samples": 128, "full_s": 1, "snip": n, "snip_samples": 0, "snip_s": 1}
        for n in range(3)
    ]
    rungs = fidelity.agreements(rows, 0)
    facts = {"children": 3, "ranked_by": "validation_accuracy", "epochs": 1, "tau": 0.6}
    text = fidelity_text({**facts, "cheapest": fidelity.cheapest(rungs, 0.6), "rungs": rungs})
    lines = text.splitlines()
    assert lines[0].endswith("after full training (1 epoch):")
    assert [line.split()[:4] for line in lines[-3:-1]] == [
        ["full", "-", "-", "-"],
        ["snip", "-", "-", "-"],
    ]
    assert lines[-1].startswith("full training makes all children alike")
    assert "child.epochs, now 1" in lines[-1]


@pytest.mark.slow
def test_an_interrupted_study_resumes_to_the_same_bits(study, tmp_path, monkeypatch, capsys):
    folder, original = tmp_path / "run", fidelity.proxy_value
    ids = []

    def value(run, genotype, name, batch, seed):
        ids.append(genotype.id)
        if len(set(ids)) == 2:  # after the trainings of the second child, before its row
            signal.raise_signal(signal.SIGTERM)
        return original(run, genotype, name, batch, seed)

    with monkeypatch.context() as patch:
        patch.setattr(fidelity, "proxy_value", value)
        with pytest.raises(SystemExit):
            run("measure", f"hydra.run.dir={folder}", *STUDY)
    run("measure", f"resume={folder}")
    assert bits(folder) == bits(study)
    assert "How 3 random children rank, beside validation_accuracy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["tau=0"], "tau (0.0) must be in (0, 1]; use e.g. 0.6"),
        (["evaluation=full"], "evaluation=full has no effect: what=fidelity compares rungs"),
        (["export=[onnx]"], "export=[onnx] has no effect: what=fidelity writes no models"),
        (["what=proxies"], "tau (0.1) has no effect on what=proxies; leave it out"),
        (["rungs.inherited.steps=-1"], "evaluation.steps (-1) must be at least 0"),
    ],
)
def test_impossible_studies_are_refused_before_any_work(tmp_path, capsys, typed, message):
    with pytest.raises(SystemExit):
        run("measure", f"hydra.run.dir={tmp_path}", *STUDY, *typed)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "fidelity.csv").exists()


@pytest.mark.slow
def test_a_search_inherits_and_leaves_no_bank_behind(tmp_path):
    run("search", *TINY, "strategy=evolution", "strategy.trials=3", "strategy.population=2",
        "evaluation=inherited", *(f"evaluation.{value}" for value in SMALL), "retrain=false",
        "callbacks=silent", f"hydra.run.dir={tmp_path}")  # fmt: skip
    found = json.loads((tmp_path / "result.json").read_text())["search"]
    assert found["cost"]["training_samples"] == (1 + 3) * 64
    assert found["cost"]["gradient_steps"] == 4
    assert not (tmp_path / "children").exists()
