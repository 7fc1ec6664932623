"""Runs strategies on the planted problem and prints how often each finds the best genotype.

    python benchmarks/planted.py [--seeds 10] [--samples 81920] [--spaces SPACE ...]
        [--more KEY=VALUE ...] [--results benchmarks/results/planted.jsonl] [STRATEGY ...]

Every search may process the same number of training samples; a black-box strategy trains
children with it. --more are further settings, e.g. to try others. Each search is one line of the
results: a second start skips what is there, and --table prints what is there. The validation after
each epoch of a one-shot search moves nothing, and takes one batch here.
"""

import contextlib
import io
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partialmethod
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

from journal import journaled, parser_of, read
from omegaconf import OmegaConf
from planted_problem.spaces import PlantedCells, PlantedLayers

from nas_lightning.cli.entry import main as command
from nas_lightning.config.paths import config_dir
from nas_lightning.core.genotype import Genotype
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


def run(space: str, strategy: str, seed: int, samples: int, more: str) -> dict[str, Any]:
    """Runs one search; returns whether it found the best genotype, and its cost."""
    with tempfile.TemporaryDirectory() as folder:
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
            *more.split(),
        ]
        whole = Hardware.trainer
        short = whole if is_black_box(strategy) else partialmethod(whole, limit_val_batches=1)
        with contextlib.redirect_stdout(io.StringIO()), patch.object(Hardware, "trainer", short):
            command()
        result = json.loads((Path(folder) / "result.json").read_text())
        genotype = Genotype.from_json((Path(folder) / "genotype.json").read_text())
    best, cost = SPACES[space]().best(), result["search"]["cost"]
    return {
        "is_best": genotype.id == best.id,
        "right": sum(genotype.mapping.get(name) == op for name, op in best.choices),
        "training_samples": cost["training_samples"],
        "seconds": cost["wall_s"],
    }


def lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yields a Markdown table: a row per space, strategy and settings."""
    yield "| space | strategy | best found | median samples | median seconds |"
    yield "| --- | --- | --- | --- | --- |"
    for names in dict.fromkeys((r["space"], r["strategy"], r["more"]) for r in rows):
        few = [row for row in rows if (row["space"], row["strategy"], row["more"]) == names]
        samples = statistics.median(row["training_samples"] for row in few)
        seconds = statistics.median(row["seconds"] for row in few)
        space, strategy, more = names
        found = f"{sum(row['is_best'] for row in few)} of {len(few)}"
        name = f"`{strategy}` `{more}`" if more else f"`{strategy}`"
        yield f"| `{space}` | {name} | {found} | {samples:,.0f} | {seconds:.0f} |"


def main() -> None:
    """Makes the searches that are missing, and prints the table."""
    known = sorted(path.stem for path in (config_dir() / "strategy").glob("*.yaml"))
    parser = parser_of("planted.jsonl", __doc__, list(SPACES), seeds=10)
    parser.add_argument("strategies", nargs="*", default=known)
    parser.add_argument("--samples", type=int, default=81920)
    parser.add_argument("--more", nargs="*", default=[])
    options = parser.parse_args()
    plan = [
        {"space": space, "strategy": strategy, "seed": seed}
        | {"samples": options.samples, "more": " ".join(options.more)}
        for space, strategy, seed in product(
            options.spaces, options.strategies, range(options.seeds)
        )
    ]
    rows = read(options.results) if options.table else journaled(options.results, plan, run)
    print("\n".join(lines(rows)))


if __name__ == "__main__":
    main()
