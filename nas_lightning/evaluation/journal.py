"""Files that grow line by line, safe against kill -9: a search's journal, a study's rows."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nas_lightning.files import append_text, prepare_lines

__all__ = ["Journal", "Row", "RowFile"]

Row = dict[str, float | str]
ASKED = b'{"event": "asked"'  # as json writes it


class Journal:
    """trials.jsonl: what was asked and told, handed to the operating system line by line.

    Only the numbers of the trials stay in memory, so that an event costs the same at any length.
    A last line that was cut short is dropped.

    Raises: ValueError: a line is no event.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        prepare_lines(path)
        self._asked, self._told = set[int](), set[int]()
        for event in self.events():
            self._note(event)

    def append(self, event: dict[str, Any]) -> None:
        """Adds an event."""
        append_text(self.path, json.dumps(event) + "\n")
        self._note(event)

    def asked(self, number: int) -> bool:
        """Returns whether a trial was asked."""
        return number in self._asked

    def has_told(self, number: int) -> bool:
        """Returns whether the result of a trial was told."""
        return number in self._told

    @property
    def num_told(self) -> int:
        """The number of trials whose result was told."""
        return len(self._told)

    def told(self) -> Iterator[dict[str, Any]]:
        """Yields the events that tell a result, in order; the others are not parsed again."""
        return (event for event in self.events(skipped=ASKED) if event["event"] == "told")

    def events(self, skipped: bytes | None = None) -> Iterator[dict[str, Any]]:
        """Yields the events in order, except lines that begin with `skipped`."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if skipped is None or not line.startswith(skipped):
                    yield self._parsed(line, number)

    def _note(self, event: dict[str, Any]) -> None:
        (self._asked if event["event"] == "asked" else self._told).add(event["trial"])

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


class RowFile:
    """A CSV file of rows, each a name and numbers, handed to the operating system one by one.

    Numbers are written in full, so that they are read again to the bit. A last line that was cut
    short is dropped.

    Args:
        path: the file, whose rows are read first.
        columns: the column of the names, then those of the numbers.

    Raises: ValueError: the file has other columns, or a row does not have a number in each.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path, self.columns = path, tuple(columns)
        prepare_lines(path)
        self.rows = self._read()
        if path.stat().st_size == 0:
            self._write(self.columns)

    def append(self, row: Row) -> None:
        """Adds a row, which has exactly the columns."""
        assert tuple(row) == self.columns, "a row has the file's columns"
        self._write(row.values())
        self.rows.append(row)

    def _write(self, values: Iterable[object]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(values)
        append_text(self.path, text.getvalue())

    def _read(self) -> list[Row]:
        with self.path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))
        if lines and tuple(lines[0]) != self.columns:
            raise ValueError(
                f"{self.path} must have the columns {', '.join(self.columns)}, it has "
                f"{', '.join(lines[0])}: remove the file to begin anew"
            )
        return [self._parsed(line, number) for number, line in enumerate(lines[1:], 2)]

    def _parsed(self, line: list[str], number: int) -> Row:
        try:
            values = [float(value) for value in line[1:]]
            return dict(zip(self.columns, [line[0], *values], strict=True))
        except (ValueError, IndexError):
            raise ValueError(
                f"{self.path}, line {number} is no row of a name and {len(self.columns) - 1} "
                f"numbers: {','.join(line)[:60]!r}; remove the file to begin anew"
            ) from None
