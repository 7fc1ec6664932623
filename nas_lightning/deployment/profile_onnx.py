"""Measures ONNX files on this device; needs only numpy and onnxruntime, and nothing else of ours.

    python profile_onnx.py model.onnx                      # prints the median milliseconds
    python profile_onnx.py onnx/*.onnx --out latency.json  # a profile for hardware.latency=...

The files of `nas-measure what=latency export=[onnx]` say in their metadata which operation or which
child of a space they are; all others are measured as whole models under their names. The batch is
one sample of float32. On one thread the clock is the thread's own CPU time, so that a run that
other processes interrupt is not taken for a slow one.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime

__all__ = ["main", "measure", "profile"]

FORMAT, VERSION = "nas-lightning/latency", 1
METADATA, NOTHING = "nas_lightning_latency", "nothing"
RUNS, WARM_UP = 50, 3
FINE_S = 1e-6

Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures the files that are named on the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", help="ONNX files")
    parser.add_argument("--out", help="where to write the profile, e.g. latency.json")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.add_argument("--seconds", type=float, default=20.0, help="most for all files together")
    options = parser.parse_args(arguments)
    try:
        rows = measure(options.files, options.threads, options.seconds)
    except Exception as error:  # of onnxruntime, which has many kinds
        print(f"files must be ONNX files that run here: {error}", file=sys.stderr)
        return 1
    for path, row in zip(options.files, rows, strict=True):
        print(f"{row['median_ms']:10.4f} ms (spread {row['spread_ms']:.4f}, {row['count']} runs)"
              f"  {row['operation']}  {path}")  # fmt: skip
    if options.out:
        content = json.dumps(profile(rows, options.threads), indent=1)
        Path(options.out).write_text(content + "\n", encoding="utf-8")
        print(f"profile {options.out}: hardware.latency={options.out}")
    return 0


def measure(files: Sequence[str | Path], threads: int = 1, most_s: float = 20.0) -> list[Row]:
    """Returns for each file its metadata, median_ms, spread_ms (between quartiles) and count.

    Each of up to 50 rounds runs every model once; after `most_s` seconds no round begins.
    """
    sessions = [_session(path, threads) for path in files]
    calls = [(session, _inputs(session)) for session in sessions]
    times: list[list[float]] = [[] for _ in calls]
    is_fine = threads == 1 and time.get_clock_info("thread_time").resolution <= FINE_S
    clock = time.thread_time if is_fine else time.perf_counter
    until, rounds = time.perf_counter() + most_s, -WARM_UP
    while rounds < RUNS and (rounds <= 0 or time.perf_counter() < until):
        for (session, inputs), taken in zip(calls, times, strict=True):
            started = clock()
            session.run(None, inputs)
            if rounds >= 0:
                taken.append(1000 * (clock() - started))
        rounds += 1
    return [_row(*each) for each in zip(files, sessions, times, strict=True)]


def profile(rows: Sequence[Row], threads: int) -> dict[str, Any]:
    """Returns a profile of the format that hardware.latency reads.

    An operation that runs alone also pays what each run of a model takes, which that of "nothing"
    tells and which is taken off. In a child ONNX Runtime fuses operations across their borders: the
    median of what children take of the sum of their operations is the space's `factor`.
    """
    floor = min([row["median_ms"] for row in rows if row["id"] == NOTHING], default=0.0)
    alone = [row for row in rows if "units" not in row and row["id"] != NOTHING]
    operations = [row | {"median_ms": max(0.0, row["median_ms"] - floor)} for row in alone]
    known = {row["id"]: row["median_ms"] for row in operations}
    shares: dict[str, list[float]] = {}
    networks: dict[str, Row] = {}
    for row in rows:
        if "units" in row:
            total = sum(times * known[unit] for unit, times in row["units"].items())
            shares.setdefault(row["network"], []).append((row["median_ms"] - floor) / total)
            facts = {"id": row["network"], "space": row["space"], "input": row["input"]}
            networks[row["network"]] = facts | {"overhead_ms": floor}
    for name, network in networks.items():
        network |= {"factor": median(shares[name]), "children": len(shares[name])}
    versions = {"onnxruntime": onnxruntime.__version__}
    versions |= dict([("torch", row["torch"]) for row in rows if "torch" in row][:1])
    kept = ("id", "operation", "input", "steps", "median_ms", "spread_ms", "count")
    return {
        "format": FORMAT,
        "version": VERSION,
        "runtime": "onnxruntime",
        "device": cpu_name(),
        "versions": versions,
        "threads": threads,
        "dtype": "float32",
        "operations": [{name: row[name] for name in kept if name in row} for row in operations],
        "networks": list(networks.values()),
    }


def _session(path: str | Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _inputs(session: Any) -> dict[str, Any]:
    """Returns inputs of zeros by name; a dimension without a number, the batch, is 1."""
    shapes = {each.name: [n if isinstance(n, int) else 1 for n in each.shape]
              for each in session.get_inputs()}  # fmt: skip
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def _row(path: str | Path, session: Any, times: Sequence[float]) -> Row:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA)
    name = Path(path).stem
    row: Row = json.loads(text) if text else {"id": name, "operation": name, "input": []}
    low, high = np.quantile(times, [0.25, 0.75])
    row |= {"median_ms": median(times), "spread_ms": float(high - low), "count": len(times)}
    return row


def cpu_name() -> str:
    """Returns the name of this machine's CPU."""
    facts = Path("/proc/cpuinfo")  # of Linux, where `platform` knows no more than the family
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), "") or platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
