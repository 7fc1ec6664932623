"""A table as text that is never cut: folded heads, or several lines per row, if it is too wide."""

import textwrap
from collections.abc import Sequence

__all__ = ["text_table"]

GAP = "  "


def text_table(heads: Sequence[str], rows: Sequence[Sequence[str]], columns: int | None) -> str:
    """Returns rows below their heads; cells stay whole.

    Args:
        heads: the title of each column; the first column is the row's name.
        rows: the cells of each row.
        columns: the width of the terminal; None, that of a file, folds nothing. A table that is
            wider loses columns of "-" alone, and gets heads of several lines; if that is not
            enough, each row's name gets a line of its own, and then each cell.

    >>> print(text_table(["run", "test accuracy"], [["a", "91 %"], ["bcd", "9 %"]], None))
    run  test accuracy
    a             91 %
    bcd            9 %
    >>> print(text_table(["run", "test accuracy"], [["a", "91 %"], ["bcd", "9 %"]], 14))
             test
    run  accuracy
    a        91 %
    bcd       9 %
    >>> print(text_table(["run", "test accuracy"], [["a long name", "91 %"]], 14))
    run
      test
      accuracy
    a long name
      91 %
    >>> print(text_table(["run", "test accuracy"], [["a", "91 %"]], 8))
    a
      test accuracy  91 %
    """
    plain = _lines([list(heads)], rows)
    if columns is None or len(plain[0]) <= columns:
        return "\n".join(line.rstrip() for line in plain)
    heads, rows = _without_empty(heads, rows)
    folded = _lines(_folded(heads, rows), rows)
    if len(folded[0]) <= columns:
        return "\n".join(line.rstrip() for line in folded)
    cells = [row[1:] for row in rows]
    below = [GAP + line for line in _lines(_folded(heads[1:], cells), cells)]
    if len(below[0]) <= columns:
        start = len(below) - len(rows)
        lines = [heads[0], *below[:start]]
        for row, line in zip(rows, below[start:], strict=True):
            lines += [row[0], line]
        return "\n".join(line.rstrip() for line in lines if line)
    return _blocks(heads, rows)


def _blocks(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widest = max(map(len, heads[1:]), default=0)
    lines = []
    for name, *cells in rows:
        lines.append(name)
        lines += [
            f"{GAP}{head:{widest}}{GAP}{cell}" for head, cell in zip(heads[1:], cells, strict=True)
        ]
    return "\n".join(lines)


def _without_empty(
    heads: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """Returns a table without the columns, but for the first one, whose cells are all "-"."""
    places = [
        place for place in range(len(heads)) if not place or any(r[place] != "-" for r in rows)
    ]
    return [heads[place] for place in places], [[row[place] for place in places] for row in rows]


def _folded(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Returns the lines of the heads, each no wider than its longest word or cell."""
    folded = []
    for number, head in enumerate(heads):
        width = max(map(len, [*head.split(), *(row[number] for row in rows)]), default=1)
        folded.append(textwrap.wrap(head, max(1, width), break_on_hyphens=False))
    height = max(map(len, folded), default=0)
    padded = [[""] * (height - len(lines)) + lines for lines in folded]
    return [list(line) for line in zip(*padded, strict=True)]


def _lines(heads: Sequence[Sequence[str]], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns lines of one width: the first column to the left, the others to the right."""
    table = [*heads, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        GAP.join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in table
    ]
