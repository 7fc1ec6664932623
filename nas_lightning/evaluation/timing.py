"""How long calls take on this CPU: medians of interleaved rounds.

On one thread the clock is the thread's own CPU time, so that a call that other processes interrupt
is not taken for a slow one; where that clock is coarse, and on several threads, it is wall time.
"""

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch

__all__ = ["Timing", "cpu_name", "interleaved", "threads_in_words"]

RUNS, WARM_UP, MOST_S = 50, 3, 1.0
FINE_S = 1e-6


@dataclass(frozen=True)
class Timing:
    """How long one of several calls took."""

    median_ms: float
    spread_ms: float  # between the quartiles
    count: int


@torch.inference_mode()
def interleaved(
    calls: Sequence[Callable[[], object]], threads: int = 1, most_s: float = MOST_S
) -> list[Timing]:
    """Returns how long each call takes with a number of CPU threads, given back afterwards.

    Each of up to 50 rounds makes every call once, so that whatever slows the machine for a while
    slows all of them; after `most_s` seconds no round begins, but one always runs.
    """
    before, times = torch.get_num_threads(), [list[float]() for _ in calls]
    is_fine = threads == 1 and time.get_clock_info("thread_time").resolution <= FINE_S
    clock = time.thread_time if is_fine else time.perf_counter
    torch.set_num_threads(threads)
    try:
        for call in calls:
            for _ in range(WARM_UP):
                call()
        until, rounds = time.perf_counter() + most_s, 0
        while rounds < RUNS and (not rounds or time.perf_counter() < until):
            for call, taken in zip(calls, times, strict=True):
                started = clock()
                call()
                taken.append(clock() - started)
            rounds += 1
    finally:
        torch.set_num_threads(before)
    return [_timing(taken) for taken in times]


def _timing(seconds: Sequence[float]) -> Timing:
    low, high = np.quantile(seconds, [0.25, 0.75])
    return Timing(1000 * median(seconds), 1000 * float(high - low), len(seconds))


def threads_in_words(threads: int) -> str:
    """Returns "one thread" or e.g. "2 threads"."""
    return "one thread" if threads == 1 else f"{threads} threads"


def cpu_name() -> str:
    """Returns the name of this machine's CPU."""
    facts = Path("/proc/cpuinfo")  # of Linux, where `platform` knows no more than the family
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), "") or platform.processor() or platform.machine()
