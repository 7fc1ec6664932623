"""A worker and a driver of searches whose children sleep; files in a folder say what befalls them.

`kill-N` holds how often the worker of trial N is killed, `error-N` has it raise, `hang-N` wait,
`stop-N` stop once (the whole process, as SIGSTOP does), `memory-N` want more memory than there is.
"""

import os
import signal
import sys
import time
from pathlib import Path

from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.journal import Journal
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.evaluation.processes import ProcessExecutor
from nas_lightning.evaluation.serving import serve
from nas_lightning.evaluation.trials import run_trials
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.evolution import Evolution
from nas_lightning.training.cost_meter import CostMeter

SPACE, TRIALS = NasBench201Space(), 20


class Sleeping(Evaluation):
    """An accuracy from genotype and seed, after a sleep that grows the earlier the trial."""

    def __init__(self, folder=None):
        self.folder = folder

    def measures(self):
        return frozenset({"validation_accuracy"})

    def samples(self, budget=1.0):
        return 1

    def work(self, trial):
        return 1 + trial.number % 3

    def worst(self, trial):
        return {"validation_accuracy": 0.0}

    def evaluate(self, trial, seed):
        if self.folder is not None:
            self.suffer(trial.number)
            time.sleep(0.03 * ((7 * trial.number) % 4) / 4)
        accuracy = (int(trial.genotype.id[:4], 16) + seed % 1000) / 70000
        return {"validation_accuracy": accuracy}, CostMeter(0.0, 0.0, 1, 1, 1, 1)

    def suffer(self, number):
        kills, hangs = self.folder / f"kill-{number}", self.folder / f"hang-{number}"
        if kills.exists() and (left := int(kills.read_text())):
            kills.write_text(str(left - 1))
            os.kill(os.getpid(), signal.SIGKILL)
        if (self.folder / f"error-{number}").exists():
            raise ValueError(f"trial {number} must not be evaluated")
        if (self.folder / f"memory-{number}").exists():
            raise MemoryError(f"{number} is too much. It says more.")
        if hangs.exists():
            time.sleep(600)
        if (stops := self.folder / f"stop-{number}").exists():
            stops.unlink()
            os.kill(os.getpid(), signal.SIGSTOP)


def command(folder, role="worker", *more):
    return [sys.executable, __file__, role, str(folder), *map(str, more)]


def search(journal, executor, in_flight=2, trials=TRIALS, watch=lambda trials: None):
    strategy = Evolution(SPACE, 0, trials=trials, population=5)
    parts = strategy, Sleeping(), Accuracy(), Journal(journal)
    arrived = journal.with_name("arrived.jsonl")
    more = {"executor": executor, "in_flight": in_flight, "arrived": arrived}
    return run_trials(*parts, watch=watch, **more)[0]


def drive(folder, trials=TRIALS):
    """Searches with two workers, and tells their numbers."""

    def show(trials):
        print(*(worker.process.pid for worker in executor.workers if worker), flush=True)

    with ProcessExecutor(command(folder), 2) as executor:
        search(folder / "trials.jsonl", executor, trials=trials, watch=show)


if __name__ == "__main__":
    place = Path(sys.argv[2])
    if sys.argv[1] == "worker":
        serve(lambda: (SPACE, Sleeping(place)))
    drive(place, *map(int, sys.argv[3:]))
