"""Text for a terminal: wrapped at words, but for what is to be pasted."""

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable
from typing import TextIO

__all__ = ["columns_of", "say", "tenths", "wrapped"]

WIDEST = 100
ROW = re.compile(r"\s*\S+(?: \S+)*  +(?=\S)")  # the name in a row of a table
LEAST = 20  # columns beside a row's name; with fewer its value goes on below the name
GLUE = "\0"  # in place of a space that no line ends at
TO_PASTE = re.compile(
    r"""(?<!\w)'[^']*'|"[^"]*"|nas-[a-z]+(?: [\w.+~/]+=(?:'[^']*'|\S)+)+|\w+  +/.*"""
)  # the last is a row's path


def columns_of(stream: TextIO) -> int | None:
    """Returns the columns of a terminal, or of COLUMNS; None where nothing is to be wrapped."""
    if not (os.environ.get("COLUMNS", "").isdigit() or stream.isatty()):
        return None
    return min(max(20, shutil.get_terminal_size().columns), WIDEST)


def tenths(children: int) -> Callable[[int], None]:
    """Returns what prints, called with the number of children so far, where a tenth is done."""

    def progress(number: int) -> None:
        if number % max(1, children // 10) == 0:
            print(f"{number}/{children} children", file=sys.stderr, flush=True)

    return progress


def say(text: str, stream: TextIO) -> None:
    """Prints a text at once, wrapped at the width of a terminal."""
    print(wrapped(text, columns_of(stream)), file=stream, flush=True)


def wrapped(text: str, columns: int | None) -> str:
    r"""Returns a text with its long lines broken between words; None breaks none.

    A row of a table goes on below its value. What is quoted, a command such as
    `nas-search resume=DIR` and a row of a table that ends in a path stay on one line.

    >>> print(wrapped("note: a path stays whole\n  /very/long/path", 14))
    note: a path
      stays whole
      /very/long/path
    >>> print(wrapped("size  some words on the size of it", 26))
    size  some words on the
          size of it
    >>> print(wrapped("the run's own settings are kept: 'a path' is one word", 26))
    the run's own settings are
      kept: 'a path' is one
      word
    """
    if columns is None:
        return text
    return "\n".join(_broken(line, columns) for line in text.split("\n"))


def _broken(line: str, columns: int) -> str:
    if len(line) <= columns:
        return line
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    row = ROW.match(line)
    hanging = " " * row.end() if row and columns - row.end() >= LEAST else indent
    glued = TO_PASTE.sub(lambda found: found[0].replace(" ", GLUE), line.lstrip())
    lines = textwrap.wrap(
        glued,
        columns,
        initial_indent=indent[2:],
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace(GLUE, " ")
