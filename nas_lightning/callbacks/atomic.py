"""Files that are never seen half-written."""

import os
from pathlib import Path
from typing import Any

__all__ = ["replacing", "write_text"]


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically: it appears whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


class replacing:  # noqa: N801 - a context manager used as a verb
    """Gives a path beside a file's own to write to; without an error it takes the file's place.

    Args:
        path: the file; its folder is made if missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = path.with_name(f".{path.name}.tmp")  # a kill leaves one, overwritten next

    def __enter__(self) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.temporary

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is not None:
            self.temporary.unlink(missing_ok=True)
            return
        _flush(self.temporary)
        os.replace(self.temporary, self.path)
        _flush(self.path.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
