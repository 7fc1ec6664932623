"""A table as text that is never cut: folded heads, or a block per row, where it is too wide."""

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
            wider gets heads of several lines; if that is not enough, a block of lines per row.

    >>> print(text_table(["run", "test accuracy"], [["a", "91 %"], ["bcd", "9 %"]], None))
    run  test accuracy
    a             91 %
    bcd            9 %
    >>> print(text_table(["run", "test accuracy"], [["a", "91 %"], ["bcd", "9 %"]], 14))
             test
    run  accuracy
    a        91 %
    bcd       9 %
    >>> print(text_table(["run", "test accuracy"], [["a", "91 %"]], 10))
    a
      test accuracy  91 %
    """
    plain = _lines([list(heads)], rows)
    if columns is None or len(plain[0]) <= columns:
        return "\n".join(line.rstrip() for line in plain)
    folded = _lines(_folded(heads, rows), rows)
    if len(folded[0]) <= columns:
        return "\n".join(line.rstrip() for line in folded)
    widest = max(map(len, heads[1:]), default=0)
    lines = []
    for name, *cells in rows:
        lines.append(name)
        lines += [
            f"{GAP}{head:{widest}}{GAP}{cell}" for head, cell in zip(heads[1:], cells, strict=True)
        ]
    return "\n".join(lines)


def _folded(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Returns the lines of the heads, each no wider than its longest word or cell."""
    folded = []
    for number, head in enumerate(heads):
        width = max(map(len, [*head.split(), *(row[number] for row in rows)]), default=1)
        folded.append(textwrap.wrap(head, max(1, width), break_on_hyphens=False))
    height = max(map(len, folded))
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
