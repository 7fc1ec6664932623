"""Reads the transaction log of an offline run of Weights & Biases, of which it has no reader.

The file is a log in the framing of LevelDB: a header of 7 bytes, then blocks of 32 KiB (the
header counts to the first one), in them records of a checksum (4 bytes), a length (2 bytes,
little-endian), a type (1 byte: whole, first, middle, last) and data. The data of a record is a
message `Record` of W&B's own protocol.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

HEADER, BLOCK, FRAME = b":W&B", 32 * 1024, 7
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def messages(content: bytes) -> Iterator[bytes]:
    """Yields the data of every record."""
    assert content[:4] in (HEADER, b"")
    place, parts = FRAME, []
    while place + FRAME <= len(content):
        if (left := BLOCK - place % BLOCK) < FRAME:  # too short for a record: zeros
            place += left
            continue
        length = int.from_bytes(content[place + 4 : place + 6], "little")
        kind = content[place + 6]
        parts.append(content[place + FRAME : place + FRAME + length])
        place += FRAME + length
        if kind in (WHOLE, LAST):
            yield b"".join(parts)
            parts = []


@dataclass
class LoggedRun:
    """What a run wrote into its log."""

    id: str = ""
    name: str = ""
    project: str = ""
    group: str = ""
    job_type: str = ""
    sweep: str = ""
    tags: tuple[str, ...] = ()
    exit_code: int | None = None
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, Any] = field(default_factory=dict)
    axes: set[str] = field(default_factory=set)

    def points(self, key: str) -> list[tuple[Any, Any]]:
        """Returns the (epoch or trial, value) of a metric."""
        rows = [row for row in self.history if key in row]
        return [(row.get("epoch", row.get("trial")), row[key]) for row in rows]


def read_run(folder: Path) -> LoggedRun:
    """Returns what the log in a finished run's folder holds; its end may come a moment later."""
    (path,) = folder.glob("*.wandb")
    for _ in range(200):
        if (found := _read(path)).exit_code is not None:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{path} does not end")


def _read(path: Path) -> LoggedRun:
    found = LoggedRun()
    for data in messages(path.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        _take(found, record)
    return found


def _take(found: LoggedRun, record: Record) -> None:
    match record.WhichOneof("record_type"):
        case "run":
            run = record.run
            found.id, found.name, found.project = run.run_id, run.display_name, run.project
            found.group, found.job_type, found.tags = run.run_group, run.job_type, tuple(run.tags)
            found.sweep = run.sweep_id
            found.config |= _values(run.config.update)
        case "config":
            found.config |= _values(record.config.update)
        case "summary":
            for key, value in _values(record.summary.update).items():
                known = found.summary.get(key)
                nested = isinstance(known, dict) and isinstance(value, dict)
                found.summary[key] = known | value if nested else value
        case "history":
            found.history.append(_values(record.history.item))
        case "artifact":
            found.artifacts[record.artifact.name] = record.artifact
        case "metric":
            found.axes.add(record.metric.step_metric)
        case "exit":
            found.exit_code = record.exit.exit_code


def _values(items: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        *outer, name = item.nested_key or [item.key]
        node = found
        for key in outer:
            node = node.setdefault(key, {})
        node[name] = json.loads(item.value_json)
    return found
