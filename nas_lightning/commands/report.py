"""nas-report: compares runs in a table and on one page, or lists them."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from nas_lightning.reports.terminal import columns_of, wrapped
from nas_lightning.reports.text_table import text_table
from nas_lightning.run.compared import PAGE, compare
from nas_lightning.run.state import listed_runs

__all__ = ["main"]

OUTPUTS = Path("outputs")
AS_FLAG = ("out=", "output=")  # as nas-show is typed


def main(arguments: Sequence[str]) -> None:
    """Compares the runs that are named, or lists those under outputs/.

    Raises: SystemExit: 1 where a folder holds no run, 2 where an argument is unknown.
    """
    parser = ArgumentParser("nas-report", description="Compares runs: a table, and one page.")
    parser.add_argument("runs", nargs="*", metavar="RUN_DIR", help="a run's or a sweep's folder")
    parser.add_argument("--out", default=PAGE, metavar="FILE", help=f"the page ({PAGE})")
    parser.epilog = "Without RUN_DIR it lists the runs under outputs/, the newest first."
    typed = parser.parse_args([_as_flag(argument) for argument in arguments])
    if not typed.runs:
        _print_list()
        return
    try:
        comparison = compare(typed.runs, typed.out)
    except (ValueError, OSError) as error:
        _say(f"error: {error}", sys.stderr)
        raise SystemExit(1) from None
    print(comparison.text(columns_of(sys.stdout)))
    print(f"page: {typed.out}")


def _as_flag(argument: str) -> str:
    """Returns --out=FILE for output=FILE and out=FILE, as the other commands are typed."""
    is_flag = argument.startswith(AS_FLAG) and not Path(argument).exists()
    return f"--out={argument.partition('=')[2]}" if is_flag else argument


def _print_list() -> None:
    rows = listed_runs(OUTPUTS)
    if not rows:
        print(f"there is no run under {OUTPUTS}/; nas-search makes one")
        return
    heads = ("run", "started", "command", "strategy", "data", "test", "state")
    cells = [[str(row[head]) for head in heads] for row in rows]
    for line in cells:
        line[1] = line[1][:16]
    _print(heads, cells)
    for row in rows:
        if row["resume"]:
            print(f"{row['state']}: {row['resume']}")


def _print(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print(text_table(heads, rows, columns_of(sys.stdout)))


def _say(text: str, stream: TextIO) -> None:
    print(wrapped(text, columns_of(stream)), file=stream)
