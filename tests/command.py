"""Runs the commands inside the test's own process."""

import csv
import json
import sys
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from nas_lightning import search, show, train

MAINS = {"search": search.main, "train": train.main, "show": show.main}
TINY = (
    "strategy.epochs=2",
    "child.epochs=2",
    "search_space.nodes=1",
    "search_space.scale.cells=3",
    "search_space.scale.channels=2",
    "child.scale.channels=2",
    "child.scale.cells=3",
    "data.batch_size=256",
    "callbacks=silent",
)
TINY_CHILD = tuple(o for o in TINY if not o.startswith(("strategy", "search_space.scale")))

RANDOM = ("strategy=random", "strategy.trials=3")
TINY_RANDOM = tuple(o for o in TINY if o != "strategy.epochs=2")


def run(command: str, *arguments: str) -> None:
    """Runs a command as `nas-<command> arguments` would; SystemExit where it fails."""
    GlobalHydra.instance().clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"nas-{command}", *arguments])
        patch.setenv("HYDRA_FULL_ERROR", "0")
        MAINS[command]()


def search_into(folder: Path, *arguments: str) -> None:
    """Runs a tiny search in a folder."""
    run("search", f'hydra.run.dir="{folder}"', *TINY, *arguments)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def without_times(value):
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if not k.endswith("_s")}
    return value


def result(folder: Path) -> dict:
    content = json.loads((folder / "result.json").read_text())
    return without_times({k: v for k, v in content.items() if k != "command"})


def events(folder: Path) -> list[dict]:
    lines = (folder / "trials.jsonl").read_text().splitlines()
    return [without_times(json.loads(line)) for line in lines]


def assert_same_runs(found: Path, wanted: Path) -> None:
    assert result(found) == result(wanted)
    for name in ("metrics.csv", "child/metrics.csv", "baselines/random_genotype/metrics.csv"):
        mine = [{k: v for k, v in row.items() if "wall_s" not in k} for row in rows(found / name)]
        assert mine == rows(wanted / name)
    if (wanted / "alphas.csv").exists():
        assert (found / "alphas.csv").read_bytes() == (wanted / "alphas.csv").read_bytes()
    else:
        assert events(found) == events(wanted)
