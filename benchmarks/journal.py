"""A journal of cells that are measured one by one: a second start skips what is there."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["journaled", "parser_of", "read"]

Cell = Mapping[str, Any]


def journaled(
    file: Path, plan: Sequence[Cell], measure: Callable[..., Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Measures each cell of a plan that has no line in the file yet; returns the plan's rows.

    A row is a cell and what `measure(**cell)` returned; it is one line of the file, written when
    the cell is finished, so that an interruption loses the unfinished cell alone.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    for number, cell in enumerate(plan, start=1):
        if not _row_of(cell, read(file)):
            row = {**cell, **measure(**cell)}
            with file.open("a") as journal:
                journal.write(json.dumps(row) + "\n")
            print(f"{number} of {len(plan)}: {json.dumps(row)}", file=sys.stderr, flush=True)
    rows = read(file)
    return [_row_of(cell, rows)[0] for cell in plan]


def read(file: Path) -> list[dict[str, Any]]:
    """Returns the rows of a journal, none where there is no file."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def parser_of(
    file: str, doc: str | None, spaces: Sequence[str], seeds: int
) -> argparse.ArgumentParser:
    """Returns the parser of a benchmark, with what all of them take; rows are in results/FILE."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--spaces", nargs="+", default=list(spaces), choices=spaces)
    parser.add_argument("--seeds", type=int, default=seeds)
    results = Path(__file__).parent / "results" / file
    parser.add_argument("--results", type=Path, default=results)
    parser.add_argument("--table", action="store_true", help="print what is there, measure nothing")
    return parser


def _row_of(cell: Cell, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if cell.items() <= row.items()]
