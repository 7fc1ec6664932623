"""How much faster several workers are: wall seconds of 1, 2 and 4, and the overhead of a child.

    python benchmarks/workers.py [CHILDREN] [STEPS]

Children are trained by one thread in worker processes, whose start is not counted. The overhead is
that of children that sleep, beside their sleep, one after another in one worker.
"""

import sys
import time
from statistics import median

import torch
from torch import nn

from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.executors import Job
from nas_lightning.evaluation.processes import ProcessExecutor
from nas_lightning.evaluation.serving import serve
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.random_search import RandomSearch
from nas_lightning.training.cost_meter import CostMeter

SPACE, WORKERS, SLEEP_S, SLEEPS = NasBench201Space(), (1, 2, 4), 0.05, 40


class Training(Evaluation):
    """Trains a small network for as many steps as the seed says, or sleeps where that is 0."""

    def measures(self) -> frozenset[str]:
        """Returns the name of what is measured."""
        return frozenset({"validation_accuracy"})

    def samples(self, budget: float = 1.0) -> int:
        """Returns 1, which nobody reads here."""
        return 1

    def evaluate(self, trial: Trial, seed: int) -> tuple[dict[str, float], CostMeter]:
        """Trains or sleeps."""
        if seed == 0:
            time.sleep(SLEEP_S)
        network = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 10))
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
        x, y = torch.randn(256, 256), torch.randint(10, (256,))
        for _ in range(seed):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x), y).backward()
            optimizer.step()
        return {"validation_accuracy": 0.0}, CostMeter()


def built() -> tuple[NasBench201Space, Training]:
    """Returns what a worker evaluates with, on one thread."""
    torch.set_num_threads(1)
    return SPACE, Training()


def started(workers: int) -> ProcessExecutor:
    """Returns an executor whose workers are all ready and free."""
    executor = ProcessExecutor([sys.executable, __file__, "worker"], workers)
    submit(executor, [0] * workers)
    left = workers
    while left or not all(worker is not None and worker.is_ready for worker in executor.workers):
        if not left:
            submit(executor, [0])
            left = 1
        executor.next_finished()
        left -= 1
    return executor


def submit(executor: ProcessExecutor, steps: list[int]) -> None:
    """Has a child of each number of steps evaluated."""
    genotype = RandomSearch(SPACE, 0).ask(0).genotype
    for number, seed in enumerate(steps):
        executor.submit(Job(Trial(number, genotype), seed))


def seconds(executor: ProcessExecutor, steps: list[int]) -> float:
    """Returns the wall seconds in which children of these numbers of steps are evaluated."""
    began = time.perf_counter()
    submit(executor, steps)
    for _ in steps:
        executor.next_finished()
    return time.perf_counter() - began


def main(children: int = 16, steps: int = 400) -> None:
    """Prints the seconds of each number of workers, and the overhead."""
    first = 0.0
    for workers in WORKERS:
        with started(workers) as executor:
            wall = seconds(executor, [steps] * children)
            first = first or wall
            print(f"{workers} workers  {wall:7.2f} s  {first / wall:.2f} times as fast", flush=True)
            if workers == 1:
                overhead = median(seconds(executor, [0]) for _ in range(SLEEPS)) - SLEEP_S
    print(f"overhead of a child  {1000 * overhead:.1f} ms (median of {SLEEPS})")


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        serve(built)
    main(*map(int, sys.argv[1:]))
