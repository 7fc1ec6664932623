"""How long a trained child takes for one input on this machine."""

import platform
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from nas_lightning.deployment.load import LoadedChild

__all__ = ["latency"]

RUNS, WARM_UP, MOST_S = 50, 3, 1.0


def latency(child: LoadedChild) -> dict[str, Any]:
    """Returns `latency_ms`, of one input on one thread of this CPU, and how it was measured.

    It is the median of 50 runs, or of those that a second has room for.
    """
    threads = torch.get_num_threads()
    x, times = torch.zeros(1, *child.input_shape), list[float]()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for _ in range(WARM_UP):
                child(x)
            until = time.perf_counter() + MOST_S
            while len(times) < RUNS and (not times or time.perf_counter() < until):
                started = time.perf_counter()
                child(x)
                times.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    how = f"median of {len(times)} runs, one thread, batch of 1, {_cpu()}"
    return {"latency_ms": 1000 * median(times), "latency_measured": how}


def _cpu() -> str:
    """Returns the name of this machine's CPU."""
    facts = Path("/proc/cpuinfo")  # of Linux, where `platform` knows no more than the family
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), "") or platform.processor() or platform.machine()
