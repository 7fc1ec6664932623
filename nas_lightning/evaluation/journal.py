"""The journal of a black-box search: one line an event, safe against kill -9."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["Journal", "drop_torn_line"]

ASKED = b'{"event": "asked"'  # as json writes it


class Journal:
    """trials.jsonl: what was asked and told, handed to the operating system line by line.

    A last line that an interruption cut short is dropped on opening. Of the events only the
    numbers that were asked stay in memory, so that an event costs the same at any length.

    Args:
        path: the file; it is created if missing.

    Raises:
        ValueError: a line is no event.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        drop_torn_line(path)
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

    def events(self) -> Iterator[dict[str, Any]]:
        """Reads the events in order."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield self._parse(line, number)

    def told(self) -> Iterator[dict[str, Any]]:
        """Reads the events that tell a result, in order; others are not parsed again."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.startswith(ASKED):
                    event = self._parse(line, number)
                    if event["event"] == "told":
                        yield event

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
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


def drop_torn_line(path: Path) -> None:
    """Takes off a file's last line if an interruption cut it short."""
    size = path.stat().st_size
    with path.open("rb") as file:
        torn = sum(len(line) for line in file if not line.endswith(b"\n"))
    if torn:
        with path.open("r+b") as file:
            file.truncate(size - torn)
