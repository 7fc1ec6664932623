"""Times a search step of each one-shot strategy on DARTS's space, in CPU seconds of one thread.

    python benchmarks/steps.py [--rounds 5]

16 channels, 8 cells, batches of 16 images of CIFAR-10's shape for params and for alphas, as many
for each strategy; rounds are interleaved, medians and ratios to DARTS's first order are printed.
"""

import argparse
import statistics
import time

import torch
from omegaconf import OmegaConf

from nas_lightning.config.making import make
from nas_lightning.config.paths import config_dir
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.training.updates import SearchUpdates

NAMES = ("darts", "gdas", "snas", "pc_darts", "drnas", "p_darts", "enas", "random_sharing",
         "proxyless")  # fmt: skip
LAST = 5  # every strategy is past its warm-up in its last epoch


def searching(name: str) -> SearchUpdates:
    """Returns the updates of a search, ready for steps."""
    space = DartsSpace(scale=Scale(16, 8))
    node = OmegaConf.load(config_dir() / "strategy" / f"{name}.yaml")
    strategy = make(node, "strategy", space=space, seed=0)
    updates = SearchUpdates(space, strategy, (3, 32, 32), 10, steps=300)
    strategy.start_epoch(0 if name in ("p_darts", "drnas") else LAST)
    if hasattr(strategy, "is_warm"):
        strategy.is_warm = True  # the first stage with alphas moving: all candidates
    return updates


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    batch = torch.randn(16, 3, 32, 32), torch.randint(10, (16,))
    searches = {name: searching(name) for name in NAMES}
    seconds: dict[str, list[float]] = {name: [] for name in NAMES}
    for number in range(arguments.rounds + 1):
        for name, updates in searches.items():
            start = time.process_time()
            updates.strategy.search_step(batch, batch, updates)
            if number:  # the first round warms up
                seconds[name].append(time.process_time() - start)
    darts = statistics.median(seconds["darts"])
    print("| strategy | CPU seconds a step | of DARTS's |")
    print("| --- | --- | --- |")
    for name in NAMES:
        median = statistics.median(seconds[name])
        print(f"| {name} | {median:.3f} | {median / darts:.2f} |")


if __name__ == "__main__":
    main()
