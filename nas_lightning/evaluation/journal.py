"""The journal of a black-box search: one line per event, safe against kill -9."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["Journal", "prepare_lines"]

ASKED = b'{"event": "asked"'  # as json writes it


class Journal:
    """trials.jsonl: what was asked and told, handed to the operating system line by line.

    Only the numbers of the asked trials stay in memory, so that an event costs the same at any
    length.

    Args:
        path: the file (see `prepare_lines`).

    Raises: ValueError: a line is no event.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        prepare_lines(path)
        self._asked = {e["trial"] for e in self.events() if e["event"] == "asked"}

    def append(self, event: dict[str, Any]) -> None:
        """Adds an event."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")
        if event["event"] == "asked":
            self._asked.add(event["trial"])

    def asked(self, number: int) -> bool:
        """Returns whether a trial was asked."""
        return number in self._asked

    def told(self) -> Iterator[dict[str, Any]]:
        """Yields the events that tell a result, in order; the others are not parsed again."""
        return (event for event in self.events(skipped=ASKED) if event["event"] == "told")

    def events(self, skipped: bytes | None = None) -> Iterator[dict[str, Any]]:
        """Yields the events in order, but for lines that begin with what is to be skipped."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if skipped is None or not line.startswith(skipped):
                    yield self._parsed(line, number)

    def _parsed(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            event = json.loads(line)
            if event["event"] in ("asked", "told") and type(event["trial"]) is int:
                return dict(event)
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        raise ValueError(
            f"{self.path}, line {number} is no event of a search: {line[:60]!r}; "
            "remove the file to begin anew"
        )


def prepare_lines(path: Path) -> None:
    """Makes a file that grows line by line, or drops its last line if that was cut short."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with path.open("rb+") as file:
        torn = sum(len(line) for line in file if not line.endswith(b"\n"))
        if torn:
            file.truncate(path.stat().st_size - torn)
