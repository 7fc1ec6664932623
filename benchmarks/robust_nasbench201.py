"""Searches NAS-Bench-201 with CIFAR-10 images by strategies that guard against collapse.

    python benchmarks/robust_nasbench201.py --data DIR_OR_FILE [--seeds 3] [--epochs 22]
        [--images 8000] [--size 16] [--channels 8] [--cells 5] [--strategies darts beta_darts ...]
        [--results benchmarks/results/robust_nasbench201.jsonl] [--table]

Each search is the recipe for this space (DARTS's, where a strategy has none) with fewer and
smaller images, fewer channels, cells and epochs; all have the same ones. The learning rate of the
alphas is the recipe's, times the steps of the recipe by the steps here: so they may move as far in
all as they do there, which decides whether a search collapses. What is found is looked
up in the packaged table. Each strategy and seed is one line of the results: a second start skips
what is there, seeds are done one after the other, and --table prints what is there.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from journal import journaled, read
from nasbench201 import run
from omegaconf import OmegaConf

from nas_lightning.config.making import make
from nas_lightning.config.paths import config_dir
from nas_lightning.core.genotype import Genotype
from nas_lightning.evaluation.table_file import read_table

PUBLISHED = {  # test accuracy on CIFAR-10, of full searches
    "darts": "54.30",
    "beta_darts": "94.36",
    "darts_minus": "93.80",
    "lambda_darts": "94.36",
    "perturbation": "93.80",
    "drnas": "94.36",
    "snas": "92.77",
}
STRATEGIES = (
    *("darts", "beta_darts", "darts_minus", "sdarts", "perturbation"),
    *("robust_darts", "lambda_darts", "oles", "fair_darts", "drnas", "snas"),
)
IMAGES = 50_000  # of CIFAR-10, on all of which the recipes search
SCALE = {"epochs": 22, "images": 8000, "size": 16, "channels": 8, "cells": 5}


def alpha_rate(strategy: str, options: argparse.Namespace) -> float:
    """Returns the learning rate with which alphas may move as far as in the whole recipe."""
    folder = config_dir() / "experiment" / "nasbench201"
    own = folder / f"{strategy}.yaml"
    recipe = OmegaConf.load(own if own.is_file() else folder / "darts.yaml").strategy
    share = options.epochs * options.images / (recipe.epochs * IMAGES)
    return float(recipe.alpha_optimizer.lr / share)


def searched(options: argparse.Namespace, strategy: str, seed: int) -> dict[str, Any]:
    """Returns what one search found, with its accuracy in the packaged table."""
    options.seed = seed
    before = time.process_time()
    with tempfile.TemporaryDirectory() as name:
        rate = f"strategy.alpha_optimizer.lr={alpha_rate(strategy, options)}"
        result = run(strategy, options.epochs, options, Path(name) / "run", [rate])
        genotype = Genotype.from_json((Path(name) / "run" / "genotype.json").read_text())
    space = make(OmegaConf.load(config_dir() / "search_space" / "nasbench201.yaml"), "search_space")
    table = read_table("nasbench201", space)
    accuracy = table.column("cifar10_test_200")
    test = float(accuracy[table.row(genotype)])
    return {
        "found": space.write_text(genotype),
        "test_accuracy": test,
        "share_below": sum(float(other) < test for other in accuracy) / len(accuracy),
        "validation_accuracy": result["search"]["validation_accuracy"],
        "samples": result["search"]["cost"]["training_samples"],
        "cpu_minutes": (time.process_time() - before) / 60,
    }


def lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yields a Markdown table: a row per strategy, what each seed found in order."""
    yield "| strategy | test accuracy by seed | median | skips | CPU minutes | published |"
    yield f"|{' --- |' * 6}"
    for strategy in dict.fromkeys(row["strategy"] for row in rows):
        few = [row for row in rows if row["strategy"] == strategy]
        each = ", ".join(f"{row['test_accuracy']:.2f}" for row in few)
        median = f"{statistics.median(row['test_accuracy'] for row in few):.2f}"
        skips = ", ".join(str(row["found"].count("skip_connect")) for row in few)
        minutes = f"{statistics.median(row['cpu_minutes'] for row in few):.1f}"
        cells = [f"`{strategy}`", each, median, skips, minutes, PUBLISHED.get(strategy, "none")]
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Makes the searches that are missing, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    for name, number in ({"seeds": 3} | SCALE).items():
        parser.add_argument(f"--{name}", type=int, default=number)
    results = Path(__file__).parent / "results" / "robust_nasbench201.jsonl"
    parser.add_argument("--results", type=Path, default=results)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    scale = {name: vars(options)[name] for name in SCALE}
    plan = [
        {"strategy": strategy, "seed": seed, **scale}
        for seed, strategy in product(range(options.seeds), options.strategies)
    ]
    if not options.table:
        journaled(
            options.results, plan, lambda strategy, seed, **_: searched(options, strategy, seed)
        )
    print("\n".join(lines(read(options.results))))


if __name__ == "__main__":
    main()
