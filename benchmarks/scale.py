"""What a trial costs beside its evaluation: ask, tell and journal at several lengths of a search.

    python benchmarks/scale.py [--lengths 100 10000 1000000] [--replay 100000]

The children are looked up in the made-up table, and the processor time of the last trials before
every length is taken: if it does not grow, a trial costs the same whatever its number.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import torch
from process_memory import resident

from nas_lightning.evaluation.journal import Journal
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.evaluation.tabular import TabularEvaluation
from nas_lightning.evaluation.trials import run_trials
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.evolution import Evolution
from nas_lightning.strategies.random_search import RandomSearch

SPACE = NasBench201Space()
LAST = 100


def strategy_of(name, trials):
    if name == "random":
        return RandomSearch(SPACE, 0, trials)
    return Evolution(SPACE, 0, trials, population=min(100, trials - 1), sample=25)


class Clock:
    """Notes the processor time after trials that are asked for."""

    def __init__(self, lengths):
        self.wanted = {n for length in lengths for n in (length - LAST, length)}
        self.times, self.memory = {}, {}

    def start(self):
        self.times[0], self.memory[0] = time.process_time(), resident()

    def __call__(self, trials):
        if len(trials) in self.wanted:
            self.times[len(trials)] = time.process_time()
            self.memory[len(trials)] = resident()

    def cost_ms(self, length):
        first = max(length - LAST, 0)
        return 1000 * (self.times[length] - self.times[first]) / (length - first)

    def trial_kib(self):
        """Returns how much memory a trial adds, over the last nine tenths of the search."""
        last = max(self.memory)
        first = max(n for n in self.memory if n <= last / 10)
        return (self.memory[last] - self.memory[first]) / (last - first)


def search(name, trials, path, clock):
    evaluation = TabularEvaluation(SPACE, "cifar10", table="synthetic")
    parts = (strategy_of(name, trials), evaluation, Accuracy(), Journal(path))
    clock.start()
    run_trials(*parts, watch=clock)


def measure(name, lengths, folder):
    """Returns milliseconds per trial at every length, and the KiB that a trial adds."""
    clock = Clock(lengths)
    search(name, max(lengths), folder / f"{name}.jsonl", clock)
    return [clock.cost_ms(length) for length in lengths], clock.trial_kib()


def measure_replay(name, trials, folder):
    """Returns the seconds that reading a finished search takes."""
    path = folder / f"{name}_replay.jsonl"
    search(name, trials, path, Clock([]))
    started = time.process_time()
    search(name, trials, path, Clock([]))
    return time.process_time() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[100, 10_000, 1_000_000])
    parser.add_argument("--replay", type=int, default=100_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    columns = [f"ms at {n:,}" for n in options.lengths]
    print("| strategy |", " | ".join(columns), "| KiB per trial | replay s |")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("random", "evolution"):
            costs, kib = measure(name, options.lengths, Path(folder))
            replay = measure_replay(name, options.replay, Path(folder))
            row = [*(f"{cost:.3f}" for cost in costs), f"{kib:.2f}", f"{replay:.1f}"]
            print("|", name, "|", " | ".join(row), "|", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"replay of {options.replay:,} trials; peak memory {peak:.1f} GiB")


if __name__ == "__main__":
    main()
