"""Which class is taken for which: a table whose colours show where a network errs."""

import csv
from pathlib import Path

from nas_lightning.reports.markup import element, safe, section, table

__all__ = ["confusion_section"]

MOST_CLASSES = 20
MOST_PAIRS = 10

Matrix = list[list[int]]


def confusion_section(path: Path) -> str:
    """Returns the confusion matrix of confusion.csv, of many classes the commonest confusions.

    Raises:
        ValueError: the file is no table of counts.
    """
    if not path.exists():
        return ""
    names, counts = _read(path)
    if not names:
        return ""
    words = "Of each class of the test set (a row), how many images were taken for which (a column)"
    if len(names) <= MOST_CLASSES:
        content = element("p", f"{words}.", "pale") + _matrix(names, counts)
    else:
        content = element("p", f"The commonest confusions; {safe(path.name)} has all.", "pale")
    return section("Which class is taken for which", content + _pairs(names, counts))


def _read(path: Path) -> tuple[list[str], Matrix]:
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file)) or [[]]
    try:
        counts = [[int(cell) for cell in row[1:]] for row in rows]
    except ValueError as error:
        raise ValueError(f"{path} must hold counts ({error}); remove it") from None
    if any(len(row) != len(head) - 1 for row in counts) or len(counts) != len(head) - 1:
        raise ValueError(f"{path} must hold a row and a column for each class; remove it")
    return head[1:], counts


def _matrix(names: list[str], counts: Matrix) -> str:
    head = "<th></th>" + "".join(element("th", safe(name)) for name in names)
    rows = [element("tr", head)]
    for name, row in zip(names, counts, strict=True):
        whole = max(1, sum(row))
        cells = "".join(
            _cell(count, count / whole, is_right=other == name)
            for other, count in zip(names, row, strict=True)
        )
        rows.append(element("tr", element("th", safe(name)) + cells))
    return element("div", element("table", "".join(rows), "confusion"), "table")


def _cell(count: int, share: float, is_right: bool) -> str:
    colour = "0,104,168" if is_right else "204,79,10"
    strength = share if is_right else min(1.0, 3 * share)
    return f'<td style="background:rgba({colour},{0.75 * strength:.2f})">{count or ""}</td>'


def _pairs(names: list[str], counts: Matrix) -> str:
    pairs = [
        (count, names[i], names[j], sum(row))
        for i, row in enumerate(counts)
        for j, count in enumerate(row)
        if i != j and count
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    rows = [
        (f"{true} taken for {other}", f"{count} of {whole}")
        for count, true, other, whole in pairs[:MOST_PAIRS]
    ]
    return table(rows)
