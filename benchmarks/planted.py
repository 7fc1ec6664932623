"""Runs strategies on the planted problem and prints how often each finds the best genotype.

    python benchmarks/planted.py [--seeds 10] [--samples 81920] [--spaces SPACE ...]
        [--folder FOLDER] [STRATEGY ...]

Every search may process the same number of training samples; a black-box strategy trains
children with it. A run that is there already (under --folder) is not repeated. The validation
after each epoch of a one-shot search moves nothing, and takes one batch here.
"""

import argparse
import contextlib
import io
import json
import statistics
import sys
from functools import partialmethod
from pathlib import Path
from unittest.mock import patch

from omegaconf import OmegaConf
from planted_problem.spaces import PlantedCells, PlantedLayers

from nas_lightning.cli.entry import main as command
from nas_lightning.config.paths import config_dir
from nas_lightning.training.hardware import Hardware

SPACES = {"planted_cells": PlantedCells, "planted_layers": PlantedLayers}
CONF = Path(__file__).resolve().parent / "planted_problem" / "conf"
# They train on one batch a step, of 4,096 images an epoch.
SINGLE = ("enas", "random_sharing", "snas")
LR = "strategy.params_optimizer.lr=0.05"  # children of this size learn fast
CHILD = "child.epochs=1"
MORE = {  # of a strategy, or of a space and a strategy
    "pc_darts": ["strategy.partial=1"],  # the spaces know no partial channels
    # its stages are short, and params that fit their data tell two options from each other no more
    "p_darts": ["strategy.params_optimizer.lr=0.01"],
    "planted_layers p_darts": ["strategy.growth=[0,0,0]"],  # their number is fixed
    "enas": [
        "strategy.shared_heads=false",
        "strategy.alpha_optimizer.lr=0.01",
    ],
    "random_sharing": ["strategy.samples=30", "strategy.generations=10"],
}


def is_black_box(strategy: str) -> bool:
    """Returns whether a strategy trains children of their own."""
    return "trials" in OmegaConf.load(config_dir() / "strategy" / f"{strategy}.yaml")


def settings(space: str, strategy: str, samples: int) -> list[str]:
    """Returns the overrides that let a strategy use up the samples on a space."""
    if is_black_box(strategy):
        return [f"strategy={strategy}", "strategy.trials=1000000", CHILD]
    epochs = samples // (4096 if strategy in SINGLE else 8192)
    more = [*MORE.get(strategy, []), *MORE.get(f"{space} {strategy}", [])]
    return [f"strategy={strategy}", f"strategy.epochs={epochs}", LR, *more]


def run(space: str, strategy: str, seed: int, samples: int, root: Path) -> dict:
    """Runs one search unless its result is there; returns the result."""
    folder = root / space / strategy / str(seed)
    if not (folder / "result.json").exists():
        sys.argv = [
            "nas-search",
            "experiment=planted",
            f"hydra.searchpath=[file://{CONF}]",
            f"search_space={space}",
            f"seed={seed}",
            f"max_samples={samples}",
            "retrain=false",
            "callbacks=silent",
            "hardware.threads=1",
            f"hydra.run.dir={folder}",
            *settings(space, strategy, samples),
        ]
        whole = Hardware.trainer
        short = whole if is_black_box(strategy) else partialmethod(whole, limit_val_batches=1)
        with contextlib.redirect_stdout(io.StringIO()), patch.object(Hardware, "trainer", short):
            command()
    return dict(json.loads((folder / "result.json").read_text()))


def main() -> None:
    """Runs everything and prints a table in Markdown."""
    known = sorted(path.stem for path in (config_dir() / "strategy").glob("*.yaml"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("strategies", nargs="*", default=known)
    parser.add_argument("--spaces", nargs="+", default=list(SPACES), choices=SPACES)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--samples", type=int, default=81920)
    parser.add_argument("--folder", type=Path, default=Path("outputs/planted"))
    arguments = parser.parse_args()
    print("| space | strategy | best found | median samples | median seconds |")
    print("| --- | --- | --- | --- | --- |")
    for space in arguments.spaces:
        best = SPACES[space]().best().id
        for strategy in arguments.strategies:
            results = [
                run(space, strategy, seed, arguments.samples, arguments.folder)
                for seed in range(arguments.seeds)
            ]
            found = sum(result["genotype_id"] == best for result in results)
            costs = [result["search"]["cost"] for result in results]
            samples = statistics.median(cost["training_samples"] for cost in costs)
            seconds = statistics.median(cost["wall_s"] for cost in costs)
            share = f"{found} of {len(results)}"
            print(
                f"| {space} | {strategy} | {share} | {samples:,.0f} | {seconds:.0f} |", flush=True
            )


if __name__ == "__main__":
    main()
