"""Times DARTS's search step with each `hardware.kernels`, in CPU seconds of one thread.

    OMP_NUM_THREADS=1 python benchmarks/kernels.py [--rounds 9] [--order first] [--batch 16]

16 channels, 8 cells, images of CIFAR-10's shape. The papers' plain arrangement, which is always of
first order, takes turns with the kernels in each round; medians and ratios to it are printed.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from bench import fast_step, machine, slow_step

from nas_lightning.networks import native


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--order", choices=["first", "second"], default="first")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    step, updates = fast_step(arguments.order, arguments.batch)
    contenders: dict[str, Callable[[], object]] = {
        "plain arrangement, first order": slow_step(updates, arguments.batch)
    }
    for kernels in ("torch", "native"):
        contenders[f"kernels={kernels}, {arguments.order} order"] = lambda kernels=kernels: (
            native.choose(kernels),
            step(),
        )
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(arguments.rounds + 1):
        for name, run in contenders.items():
            start = time.process_time()
            run()
            if number:  # the first round warms up
                seconds[name].append(time.process_time() - start)
    plain, *_ = seconds.values()
    print(machine())
    print("| arrangement | CPU seconds | min to max | speed to plain (median of rounds) |")
    print("| --- | --- | --- | --- |")
    for name, times in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(plain, times, strict=True))
        middle = statistics.median(times)
        print(f"| {name} | {middle:.2f} | {min(times):.2f} to {max(times):.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
