"""Latency profiles: how long operations take on one device, as JSON.

`nas-measure what=latency` writes one of torch on this CPU, `deployment/profile_onnx.py` one of ONNX
Runtime on any device.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import torch

from nas_lightning.evaluation.timing import cpu_name, threads_in_words
from nas_lightning.files import CACHE, ProcessLock, cache_folder, write_text

__all__ = [
    "HERE",
    "LatencyProfile",
    "cache_file",
    "cache_lock",
    "profile_here",
    "read_cache",
    "read_profile",
    "run_profile",
    "waiting_lock",
]

FORMAT, VERSION = "nas-lightning/latency", 1
HERE, DTYPE, TORCH = "here", "float32", "torch"
MOST_CHARACTERS, MOST_THREADS, MOST_MS = 200, 1024, 1e9
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
    name = sha256(repr(values).encode()).hexdigest()[:12]
    return cache_folder("latency") / f"{name}.json"


def waiting_lock(path: Path) -> ProcessLock:
    """Takes the lock beside a profile once it is free, and returns it."""
    return ProcessLock(path.with_suffix(".lock")).wait("another process measures latencies")


def read_cache(path: Path, threads: int) -> LatencyProfile:
    """Returns what is kept for this machine; an empty profile where that is nothing, or broken."""
    if path.is_file():
        try:
            return read_profile(path, threads)
        except ValueError:
            print(f"{path} is broken: all is measured anew", file=sys.stderr, flush=True)
    return profile_here(threads)


def cache_lock(path: Path) -> ProcessLock:
    """Takes the lock of what is kept for this machine once it is free, and returns it.

    Raises: ValueError: its folder cannot be written.
    """
    try:
        return waiting_lock(path)
    except OSError as error:
        raise ValueError(
            f"hardware.latency={HERE} needs a folder to keep what it measures, but {path.parent} "
            f"cannot be written ({error.strerror}); set {CACHE} to a folder that can, e.g. "
            f"{CACHE}=/tmp/cache"
        ) from error


def read_profile(path: Path, threads: int | None) -> LatencyProfile:
    """Returns the profile in a file, checked against this machine where it is torch's.

    `threads` are those that are asked for; None takes the profile's.

    Raises: ValueError: the file is no profile, or of another device, version, dtype or threads.
    """
    profile = _parsed(path)
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


def run_profile(home: Path) -> LatencyProfile:
    """Returns what a run began with, of whatever device it is.

    Raises: ValueError: the file is broken.
    """
    return _parsed(home, "this is what the run began with: start a new run")


def _parsed(path: Path, cure: str = MEASURE) -> LatencyProfile:
    """Returns the profile in a file, of whatever device it is.

    Raises: ValueError: the file is no profile.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        _check(isinstance(content, dict), "it", "an object", content)
        kind = content["format"], content["version"]
        _check(kind == (FORMAT, VERSION), "format and version", "those", kind)
        rows = {part: _rows(part, content[part]) for part in ("operations", "networks")}
        _check_numbers(rows["operations"], "median_ms", "of at least 0", lambda ms: ms >= 0)
        _check_numbers(rows["networks"], "overhead_ms", "that is finite", lambda ms: True)
        scaled = {key: row for key, row in rows["networks"].items() if "factor" in row}
        _check_numbers(scaled, "factor", "above 0", lambda factor: factor > 0)
        return LatencyProfile(**_facts(content) | rows, path=path)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reasons = {KeyError: f"{error} is missing", RecursionError: "it is nested too deeply"}
        reason = reasons.get(type(error), str(error))
        raise ValueError(
            f"hardware.latency ({path}) must be {HERE}, or a file of format {FORMAT} {VERSION} "
            f"({reason}); {cure}"
        ) from error


def _check(is_right: bool, name: str, rule: str, value: object) -> None:
    if not is_right:
        raise ValueError(f"{name} must be {rule}, got {value!r:.60}")


def _is_plain(text: object) -> bool:
    """Returns whether a value is text that a terminal or a page may show."""
    return isinstance(text, str) and 0 < len(text) <= MOST_CHARACTERS and text.isprintable()


def _facts(content: Row) -> dict[str, Any]:
    """Returns what was measured on what."""
    versions, threads = content["versions"], content["threads"]
    _check(isinstance(versions, dict), "versions", "an object", versions)
    texts = {name: content[name] for name in ("device", "runtime", "dtype")}
    named = {f"versions {name!r:.60}": text for name, text in versions.items()}
    for name, text in [*texts.items(), *named.items(), *(("versions", key) for key in versions)]:
        _check(_is_plain(text), name, f"1 to {MOST_CHARACTERS} printable characters", text)
    is_number = type(threads) is int and 1 <= threads <= MOST_THREADS
    _check(is_number, "threads", f"a whole number from 1 to {MOST_THREADS}", threads)
    return {**texts, "versions": versions, "threads": threads}


def _rows(part: str, rows: object) -> dict[str, Row]:
    _check(isinstance(rows, list), part, "a list", rows)
    by_id = dict[str, Row]()
    for row in cast(list[object], rows):
        is_row = isinstance(row, dict) and _is_plain(row.get("id"))
        _check(is_row, f"each of {part}", "an object with an id", row)
        content = cast(Row, row)
        by_id[content["id"]] = {key: value for key, value in content.items() if key != "id"}
    return by_id


def _check_numbers(
    rows: Mapping[str, Row], name: str, rule: str, fits: Callable[[float], bool]
) -> None:
    for key, row in rows.items():
        value = row[name]
        is_finite = type(value) in (int, float) and abs(value) < MOST_MS  # no bool
        _check(is_finite and fits(value), f"{name} of {key}", f"a number {rule}", value)
