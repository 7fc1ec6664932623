"""How a search keeps its pace beside busy processes, which the script starts itself.

    python benchmarks/busy.py [--rounds 3] [--loads 0 1 2] [--threads 1 2]

Every search runs as the command sets it (idle threads sleep) and with OpenMP's own way (they
spin). A search of t threads beside n busy processes has t / (t + n) of the cores, but no more than
it uses where the script adds no load: its processor time there, divided by that share, is the wall
time that the share explains. Other work on the machine counts as no load: mind the load average.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from itertools import product

SEARCH = [
    *("-m", "nas_lightning", "search", "strategy.epochs=1", "data.max_images=300"),
    *("retrain=false", "callbacks=silent", "seed=0"),
]
NAMES = ("OMP_WAIT_POLICY", "KMP_BLOCKTIME", "GOMP_SPINCOUNT", "KMP_LIBRARY")
# The last is LLVM's own default and means nothing to GNU's OpenMP: the command then sets nothing.
WAITING = {"sleep": {}, "spin": {"KMP_LIBRARY": "throughput"}}


@contextmanager
def busy(number):
    """Keeps a number of processes busy, one thread each."""
    processes = [subprocess.Popen([sys.executable, "-c", "while 1: 0"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def seconds_of(threads, waiting):
    """Returns the wall and the processor time of one search."""
    env = {name: value for name, value in os.environ.items() if name not in NAMES}
    env |= WAITING[waiting] | {"OMP_NUM_THREADS": str(threads)}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        call = [sys.executable, *SEARCH, f"hydra.run.dir={folder}/run"]
        subprocess.run(call, env=env, check=True, capture_output=True)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured(rounds, loads, settings):
    """Returns the runs of each setting and load; settings take turns in every round."""
    runs = {(*setting, load): [] for setting in settings for load in loads}
    for _, load, setting in product(range(rounds), loads, settings):
        with busy(load):
            average = os.getloadavg()[0]
            wall, cpu = seconds_of(*setting)
        runs[(*setting, load)].append((wall, cpu, average))
        print(f"{setting} load {load}: {wall:.1f} s", file=sys.stderr, flush=True)
    columns = {key: zip(*each, strict=True) for key, each in runs.items()}
    return {key: [statistics.median(column) for column in each] for key, each in columns.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loads", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    loads = sorted({0, *options.loads})
    medians = measured(options.rounds, loads, list(product(options.threads, WAITING)))
    print("| threads | idle threads | busy beside | load average | CPU s | wall s | to its share |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for (threads, waiting, load), (wall, cpu, average) in medians.items():
        quiet_wall, quiet_cpu, _ = medians[threads, waiting, 0]
        share = min(quiet_cpu / quiet_wall, cores * threads / (threads + load))
        row = [threads, waiting, load, f"{average:.1f}", f"{cpu:.1f}", f"{wall:.1f}"]
        print(f"| {' | '.join(map(str, row))} | {wall * share / quiet_cpu:.2f} |", flush=True)


if __name__ == "__main__":
    main()
