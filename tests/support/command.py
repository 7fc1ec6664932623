"""Runs the commands inside the test's own process."""

import csv
import json
import sys
from pathlib import Path

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from nas_lightning.cli.entry import main

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
TINY_CHILD = tuple(o for o in TINY if not o.startswith("strategy"))
PUBLISHED = ("genotype=darts_v2", *(o for o in TINY_CHILD if "nodes" not in o))

# The planted problem is no part of the product: its options are found by a path.
CONF = Path(__file__).resolve().parents[2] / "benchmarks" / "planted_problem" / "conf"
PLANTED = ("experiment=planted", f"hydra.searchpath=[file://{CONF}]")
RANDOM = ("strategy=random", "strategy.trials=3")
TINY_RANDOM = tuple(o for o in TINY if o != "strategy.epochs=2")


def run(command: str, *arguments: str) -> None:
    """Runs a command as `nas-<command> arguments` would; SystemExit where it fails."""
    GlobalHydra.instance().clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"nas-{command}", *arguments])
        patch.setenv("HYDRA_FULL_ERROR", "0")
        patch.setattr(HydraConfig.instance(), "cfg", None)  # --cfg leaves it behind
        main()


def search_into(folder: Path, *arguments: str) -> None:
    """Runs a tiny search in a folder."""
    run("search", f'hydra.run.dir="{folder}"', *TINY, *arguments)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


TIMES = ("_s", "latency_ms", "latency_measured")  # ends of the names of what a seed cannot repeat


def without_times(value):
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if not k.endswith(TIMES)}
    return value


def result(folder: Path) -> dict:
    content = json.loads((folder / "result.json").read_text())
    return without_times({k: v for k, v in content.items() if k != "command"})


def events(folder: Path) -> list[dict]:
    lines = (folder / "trials.jsonl").read_text().splitlines()
    return [without_times(json.loads(line)) for line in lines]


def bits(folder: Path) -> dict[str, object]:
    """Returns the content of every file of a run by its name, all times left out.

    The report is left out too, which shows the times, and Hydra's own files.
    """
    readers = {
        ".csv": lambda path: [without_times(row) for row in rows(path)],
        ".jsonl": lambda path: events(path.parent),
        ".json": lambda path: without_times(json.loads(path.read_text()) | UNTOLD),
        ".ckpt": lambda path: without_times(_plain(torch.load(path, weights_only=True))),
    }
    return {
        str(path.relative_to(folder)): readers.get(path.suffix, Path.read_bytes)(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".hydra" not in path.parts and path.suffix != ".html"
    }


UNTOLD = {"command": None, "provenance": None}  # they name the folder


def _plain(value: object) -> object:
    """Returns a checkpoint's content with lists of bytes for its tensors, to be compared."""
    if isinstance(value, torch.Tensor):
        return [str(value.dtype), list(value.shape), value.contiguous().numpy().tobytes()]
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
