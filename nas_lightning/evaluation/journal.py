"""The journal of a black-box search: one line an event, safe against kill -9."""

import json
from pathlib import Path
from typing import Any

__all__ = ["Journal"]


class Journal:
    """trials.jsonl: what was asked and told, handed to the operating system line by line.

    A last line that an interruption cut short is dropped on opening.

    Args:
        path: the file; it is created if missing.

    Raises:
        ValueError: a line is no event.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_bytes() if path.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]
        if len(whole) < len(text):
            with path.open("r+b") as file:
                file.truncate(len(whole))
        self.events = [self._parse(line, n) for n, line in enumerate(whole.splitlines(), 1)]

    def append(self, event: dict[str, Any]) -> None:
        """Adds an event."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")
        self.events.append(event)

    def asked(self, number: int) -> bool:
        """Returns whether a trial was asked."""
        return any(e["event"] == "asked" and e["trial"] == number for e in self.events)

    def told(self) -> list[dict[str, Any]]:
        """Returns the events that tell a result, in order."""
        return [event for event in self.events if event["event"] == "told"]

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
