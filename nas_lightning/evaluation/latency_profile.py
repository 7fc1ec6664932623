"""Latency profiles: how long operations take on one device, as JSON.

`nas-measure what=latency` writes one of torch on this CPU, `deployment/profile_onnx.py` one of ONNX
Runtime on any device.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from nas_lightning.evaluation.timing import cpu_name, threads_in_words
from nas_lightning.files import ProcessLock, write_text

__all__ = [
    "HERE",
    "LatencyProfile",
    "cache_file",
    "parse_profile",
    "profile_here",
    "read_profile",
    "waiting_lock",
]

FORMAT, VERSION = "nas-lightning/latency", 1
HERE, DTYPE, TORCH = "here", "float32", "torch"
CACHE = "XDG_CACHE_HOME"  # where programs keep what they can make again
MEASURE = "measure one with nas-measure what=latency"

Row = dict[str, Any]


@dataclass(frozen=True)
class LatencyProfile:
    """What was measured on one device.

    `operations` have, by the unit's id (see `networks.units`), operation, input, steps, median_ms,
    spread_ms and count; `networks`, by the id of a space at a scale, space, input, overhead_ms,
    maybe the factor by which its children's operations count (1 without it), and the number of
    children that told them.
    """

    device: str
    versions: Mapping[str, str]
    threads: int
    runtime: str = TORCH
    dtype: str = DTYPE
    operations: dict[str, Row] = field(default_factory=dict)
    networks: dict[str, Row] = field(default_factory=dict)
    path: Path | None = None  # where it comes from, or what is measured here is kept
    grows: bool = False  # whether what it lacks is measured here
    home: Path | None = None  # the run's own file, by which a resume goes

    @property
    def is_of_here(self) -> bool:
        """Whether it is torch's on this CPU, so that a child can be measured beside it."""
        return self.runtime == TORCH

    @property
    def subject(self) -> str:
        """What was measured, e.g. "torch, one thread, batch of 1, AMD EPYC"."""
        return f"{self.runtime}, {threads_in_words(self.threads)}, batch of 1, {self.device}"

    def lacks(self, units: Iterable[str], network: str | None) -> bool:
        """Returns whether it lacks one of these units, or the network unless that is None."""
        is_told = network is None or network in self.networks
        return not (is_told and self.operations.keys() >= set(units))

    def add(self, other: "LatencyProfile", units: Iterable[str], network: str | None) -> None:
        """Takes these units and the network from another profile, where it lacks them."""
        for key in units:
            if key in other.operations:
                self.operations.setdefault(key, other.operations[key])
        if network in other.networks:
            self.networks.setdefault(network, other.networks[network])

    def write(self, path: Path) -> None:
        """Writes the profile as JSON."""
        names = ("runtime", "device", "versions", "threads", "dtype")
        values = asdict(self)
        content = {"format": FORMAT, "version": VERSION} | {name: values[name] for name in names}
        for part in ("operations", "networks"):
            content[part] = [{"id": key} | row for key, row in values[part].items()]
        write_text(path, json.dumps(content, indent=1) + "\n")


def profile_here(threads: int) -> LatencyProfile:
    """Returns an empty profile of torch on this CPU."""
    return LatencyProfile(cpu_name(), {"torch": str(torch.__version__)}, threads)


def cache_file(profile: LatencyProfile) -> Path:
    """Returns where this user's measurements for a device, versions and threads are kept."""
    values = (profile.device, sorted(profile.versions.items()), profile.threads, profile.dtype)
    base = Path(os.environ.get(CACHE) or "~/.cache").expanduser()
    name = sha256(repr(values).encode()).hexdigest()[:12]
    return base / "nas_lightning" / "latency" / f"{name}.json"


def waiting_lock(path: Path) -> ProcessLock:
    """Takes the lock beside a profile once it is free, and returns it."""
    return ProcessLock(path.with_suffix(".lock")).wait("another process measures latencies")


def read_profile(path: Path, threads: int | None) -> LatencyProfile:
    """Returns the profile in a file, checked against this machine where it is torch's.

    `threads` are those that are asked for; None takes the profile's.

    Raises: ValueError: the file is no profile, or of another device, version, dtype or threads.
    """
    profile = parse_profile(path)
    wanted: dict[str, tuple[object, object]] = {"dtype": (profile.dtype, DTYPE)}
    wanted["version of torch"] = profile.versions.get("torch"), str(torch.__version__)
    if profile.is_of_here:
        wanted["device"] = profile.device, cpu_name()
        wanted["threads"] = profile.threads, profile.threads if threads is None else threads
    for name, (measured, here) in wanted.items():
        if measured != here:
            raise ValueError(
                f"hardware.latency ({path}) must be a profile of this run's {name} ({here}), got "
                f"{measured}; {MEASURE}, or use hardware.latency={HERE}"
            )
    return profile


def parse_profile(path: Path) -> LatencyProfile:
    """Returns the profile in a file, of whatever device it is.

    Raises: ValueError: the file is no profile.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kind = content["format"], content["version"]
        if kind != (FORMAT, VERSION):
            raise ValueError(f"it is {kind[0]} {kind[1]}")
        rows = {part: _rows(content[part]) for part in ("operations", "networks")}
        _check_numbers(rows["operations"], "median_ms", 0.0)
        _check_numbers(rows["networks"], "overhead_ms", -math.inf)
        names = ("device", "versions", "threads", "runtime", "dtype")
        values: dict[str, Any] = {name: content[name] for name in names} | rows
        return LatencyProfile(**values, path=path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ValueError(
            f"hardware.latency ({path}) must be {HERE}, or a file of format {FORMAT} {VERSION} "
            f"({reason}); {MEASURE}"
        ) from error


def _rows(rows: list[Row]) -> dict[str, Row]:
    return {row["id"]: {k: v for k, v in row.items() if k != "id"} for row in rows}


def _check_numbers(rows: Mapping[str, Row], name: str, least: float) -> None:
    for key, row in rows.items():
        if not (isinstance(row[name], (int, float)) and least <= row[name] < math.inf):
            raise ValueError(f"{name} of {key} is {row[name]}")
