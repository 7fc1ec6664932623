"""What commands take before they do anything: CPU seconds and wall seconds, medians.

    python benchmarks/start.py [--rounds 3] [--json FILE]

`nas-search --help`, `nas-show genotype=darts_v2`, and the default search until its first step is
done: data, supernet, cost trace and Trainer, with the native kernels built before.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from result_file import add_to

STEP = """
import os, sys
import torch
step = torch.optim.SGD.step
def first(*arguments, **more):
    step(*arguments, **more)
    os._exit(0)
torch.optim.SGD.step = first
from nas_lightning.cli.entry import main
main(["search", *sys.argv[1:]])
"""
MODULE = ["-m", "nas_lightning"]
CALLS = {
    "`nas-search --help`": [*MODULE, "search", "--help"],
    "`nas-show genotype=darts_v2`": [*MODULE, "show", "genotype=darts_v2"],
    "`nas-search` until its first step is done": ["-c", STEP, "hardware.threads=1"],
}


def seconds_of(call):
    """Returns the CPU and wall seconds of a process that Python runs in an empty folder."""
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *call]
        subprocess.run(command, env=env, cwd=folder, check=True, capture_output=True)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="a file of results that the seconds are added to")
    options = parser.parse_args()
    rows = {}
    print("| command | CPU s | wall s |")
    print("| --- | --- | --- |")
    for name, call in CALLS.items():
        columns = zip(*(seconds_of(call) for _ in range(options.rounds)), strict=True)
        cpu, wall = map(statistics.median, columns)
        rows[name.replace("`", "")] = {"cpu_s": cpu, "wall_s": wall}
        print(f"| {name} | {cpu:.2f} | {wall:.2f} |", flush=True)
    if options.json:
        add_to(options.json, {"start": rows})


if __name__ == "__main__":
    main()
