"""A CSV file that grows row by row, safe against kill -9: what a long measurement has so far."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from nas_lightning.evaluation.journal import prepare_lines

__all__ = ["Row", "RowFile"]

Row = dict[str, float | str]


class RowFile:
    """Rows of a name and numbers, handed to the operating system one by one.

    Numbers are written in full, so that they are read again to the bit.

    Args:
        path: the file (see `prepare_lines`); its rows are read first.
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
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(values)

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
                f"{self.path}, line {number} is no row of a name and "
                f"{len(self.columns) - 1} numbers: {','.join(line)[:60]!r}; remove the file to "
                "begin anew"
            ) from None
