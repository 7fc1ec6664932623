"""Speed of the DARTS search step on a GPU, in float32 and in bf16; prints a table.

python benchmarks/gpu_step.py [--batch 64] [--rounds 20] [--device cuda]
"""

import argparse
import statistics
from collections.abc import Callable
from functools import partial

import torch
from bench import fast_step, interleaved, slow_step


def timed(step: Callable[[], object], device: str, dtype: torch.dtype | None) -> None:
    """Takes a step to its end on the device, in bf16 where a type is given, as bf16-mixed does."""
    with torch.autocast(torch.device(device).type, dtype, enabled=dtype is not None):
        step()
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--device", default="cuda")
    given = parser.parse_args()
    first, updates = fast_step("first", given.batch, given.device)
    steps = {
        "plain arrangement, first order": slow_step(updates, given.batch, given.device),
        "nas_lightning, first order": first,
        "nas_lightning, second order": fast_step("second", given.batch, given.device)[0],
    }
    contenders = {
        f"{name}, {kind}": partial(timed, step, given.device, dtype)
        for name, step in steps.items()
        for kind, dtype in (("float32", None), ("bf16", torch.bfloat16))
    }
    is_cuda = torch.device(given.device).type == "cuda"
    name = torch.cuda.get_device_name() if is_cuda else given.device
    print(f"\n{name}, torch {torch.__version__}; 16 channels, 8 cells, 3x32x32,")
    print(f"batch {given.batch} + {given.batch}, {given.rounds} interleaved rounds\n")
    print("| arrangement | median ms | images/s |\n| --- | --- | --- |")
    for name, seconds in interleaved(contenders, given.rounds).items():
        middle = statistics.median(seconds)
        print(f"| {name} | {1000 * middle:.1f} | {2 * given.batch / middle:.0f} |")


if __name__ == "__main__":
    main()
