"""Runs the recipes for NAS-Bench-201 as far as time allows, and looks up what they find.

    python benchmarks/nasbench201.py --data DIR [--minutes 15] [--images 4000] [STRATEGY ...]

Each search is the published recipe with fewer images, channels, cells and epochs, as told by the
first line; the number of epochs is what fits into the minutes, by a short trial run. ENAS's has 10
updates of 10 samples an epoch instead of 50 of 20. What is found is looked up in the packaged
table: the test accuracy of its full training of 200 epochs. The minutes are those of the epochs;
the CPU's are those of the whole command, a final ranking included.
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from nas_lightning.cli.entry import main as command
from nas_lightning.config.making import make
from nas_lightning.config.paths import config_dir
from nas_lightning.core.genotype import Genotype
from nas_lightning.evaluation.table_file import read_table

STRATEGIES = ("darts", "gdas", "snas", "pc_darts", "drnas", "enas", "random_sharing")
LEAST = {"drnas": 4, "pc_darts": 2}  # epochs of a trial run that has every stage


def recipe(strategy: str) -> list[str]:
    """Returns the overrides of a strategy's recipe: DARTS's where none is published."""
    if (config_dir() / "experiment" / "nasbench201" / f"{strategy}.yaml").exists():
        return [f"experiment=nasbench201/{strategy}"]
    return ["experiment=nasbench201/darts", f"strategy={strategy}", "~strategy.order"]


def run(
    strategy: str,
    epochs: int,
    arguments: argparse.Namespace,
    folder: Path,
    more: Sequence[str] = (),
) -> dict:
    """Runs a shortened recipe, with more settings; returns its result."""
    sys.argv = [
        "nas-search",
        *recipe(strategy),
        f"data.path={arguments.data}",
        f"data.max_images={arguments.images}",
        f"data.image_size={arguments.size}",
        f"search_space.scale.channels={arguments.channels}",
        f"search_space.scale.cells={arguments.cells}",
        f"strategy.epochs={epochs}",
        f"seed={arguments.seed}",
        "retrain=false",
        "callbacks=silent",
        "hardware.threads=1",
        f"hydra.run.dir={folder}",
        *more,
    ]
    if strategy == "enas":
        sys.argv += ["strategy.steps=10", "strategy.aggregate=10"]
    with contextlib.redirect_stdout(io.StringIO()):
        command()
    return dict(json.loads((folder / "result.json").read_text()))


def main() -> None:
    """Prints a row of a Markdown table for each strategy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("strategies", nargs="*", default=STRATEGIES)
    parser.add_argument("--data", required=True)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    space = make(OmegaConf.load(config_dir() / "search_space" / "nasbench201.yaml"), "search_space")
    table = read_table("nasbench201", space)
    accuracy = table.column("cifar10_test_200")
    print(f"{arguments.images} images, {arguments.channels} channels, {arguments.cells} cells")
    print("| strategy | epochs | minutes | CPU minutes | found | test (%) | share of space below |")
    print(f"|{' --- |' * 7}")
    for strategy in arguments.strategies:
        with tempfile.TemporaryDirectory() as folder:
            least = LEAST.get(strategy, 1)
            cost = run(strategy, least, arguments, Path(folder) / "trial")["search"]["cost"]
            epochs = max(least, int(60 * arguments.minutes / (cost["wall_s"] / least)))
            before = time.process_time()
            result = run(strategy, epochs, arguments, Path(folder) / "run")
            cpu = (time.process_time() - before) / 60
            text = (Path(folder) / "run" / "genotype.json").read_text()
        genotype = Genotype.from_json(text)
        minutes = result["search"]["cost"]["wall_s"] / 60
        test = accuracy[table.row(genotype)]
        found = space.write_text(genotype).replace("|", "\\|")
        below = sum(float(other) < test for other in accuracy) / len(accuracy)
        cells = [strategy, f"{epochs}", f"{minutes:.1f}", f"{cpu:.1f}", f"`{found}`"]
        print(f"| {' | '.join([*cells, f'{test:.2f}', f'{below:.2f}'])} |", flush=True)


if __name__ == "__main__":
    main()
