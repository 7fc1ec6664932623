"""nas-measure, and searches by what it measures."""

import json

import pytest
from command import run

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


def test_proxies_are_ranked_against_a_table(tmp_path, capsys):
    folder = tmp_path / "run"
    run("measure", "what=proxies", "children=4", "batch_size=8", "data=digits",
        "evaluation.data=cifar10", "child.scale.channels=4", f"hydra.run.dir={folder}")  # fmt: skip
    result = json.loads((folder / "result.json").read_text())
    assert (result["children"], result["data"], result["epochs"]) == (4, "cifar10", 200)
    assert len((folder / "proxies.csv").read_text().splitlines()) == 5
    assert "synflow" in capsys.readouterr().out


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
