"""Trains random children of one space alike, and prints how far apart their accuracies lie.

    python benchmarks/spread.py [--data digits mnist1d] [--children 30] [--repeats 10]
                                [--epochs 5] [--folder outputs/spread]

The first `--repeats` children are trained by a second seed too: what chance alone moves. A child
that stands in FOLDER/DATA.jsonl already is not trained again.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from scipy.stats import spearmanr

from nas_lightning.config import schema
from nas_lightning.config.making import make
from nas_lightning.config.paths import config_dir
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import child_cost
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.training.child import ChildModule, ChildRecipe, build_child
from nas_lightning.training.hardware import Hardware

SCALE = Scale(channels=4, cells=3, flavour="child")


def trained(data: Any, space: DartsSpace, number: int, seed: int, epochs: int) -> dict[str, Any]:
    """Returns what a random child, drawn by its number, is and how well it does on the test set."""
    genotype, scale = space.sample(number), SCALE.of_data(data.input_shape, data.num_outputs)
    recipe, hardware = ChildRecipe(epochs=epochs, scale=scale), Hardware(threads=1)
    hardware.prepare()
    module = ChildModule(build_child(space, genotype, scale, seed), data.num_outputs, recipe)
    trainer = hardware.trainer(epochs, limit_val_batches=0)
    trainer.fit(module, data.final())
    (figures,) = trainer.test(module, data.final(), verbose=False)
    accuracy = figures["child/test_accuracy"]
    cost = child_cost(space, genotype, scale)
    return {"child": number, "seed": seed, "test_accuracy": accuracy, "id": genotype.id, **cost}


def measure(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Trains what is missing of a data set's children, and returns all of them."""
    file, epochs = options.folder / f"{name}.jsonl", options.epochs
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = file.read_text().splitlines() if file.exists() else []
    rows = [row for row in map(json.loads, lines) if row["epochs"] == epochs]
    plan = [(number, 0) for number in range(options.children)]
    plan += [(number, 1) for number in range(options.repeats)]
    present, space = {(row["child"], row["seed"]) for row in rows}, DartsSpace()
    data = make(compose("search", [f"data={name}"]).data, "data", seed=0)
    for number, seed in plan:
        if (number, seed) not in present:
            data.seed = seed
            rows.append({"epochs": epochs, **trained(data, space, number, seed, epochs)})
            with file.open("a") as lines_of_file:
                lines_of_file.write(json.dumps(rows[-1]) + "\n")
    return rows


def printed(name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Prints one line of a data set; agreement is the rank correlation of both seeds."""
    first, second = (
        {row["child"]: row["test_accuracy"] for row in rows if row["seed"] == seed}
        for seed in (0, 1)
    )
    shares = list(first.values())
    low, middle, high = np.quantile(shares, (0.1, 0.5, 0.9))
    deviation = statistics.stdev(shares)
    noise = statistics.mean((second[child] - first[child]) ** 2 / 2 for child in second) ** 0.5
    both = [[ranked[child] for child in second] for ranked in (first, second)]
    agreement = spearmanr(*both).statistic
    print(
        f"| {name} | {len(shares)} | {min(shares):.1%} | {low:.1%} | {middle:.1%} | {high:.1%} | "
        f"{max(shares):.1%} | {deviation:.1%} | {noise:.1%} | "
        f"{deviation / noise:.1f} | {agreement:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=["digits", "mnist1d"])
    parser.add_argument("--children", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("outputs/spread"))
    options = parser.parse_args()
    schema.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        rows = {name: measure(name, options) for name in options.data}
    columns = ("data", "children", "worst", "10 %", "median", "90 %", "best", "std")
    columns += ("std of seeds", "ratio", "agreement")
    print("|", " | ".join(columns), "|")
    print("|", " | ".join("---" for _ in columns), "|")
    for name, of_data in rows.items():
        printed(name, of_data)


if __name__ == "__main__":
    main()
