"""Files that are never seen half-written, and disks that are full."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["NoRoomError", "naming_full_disk", "replacing", "write_text"]

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class NoRoomError(OSError):
    """A file that did not find room on its disk; the message names it."""


@contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Names the file where what is done inside finds no room for it.

    Args:
        path: the file.

    Raises:
        NoRoomError: the disk is full, a quota is used up, or torch could not write a checkpoint.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch raises the latter, whatever the reason
        if isinstance(error, OSError) and error.errno not in NO_ROOM:
            raise
        free = shutil.disk_usage(path.parent).free / 2**20
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise NoRoomError(
            f"{path} cannot be written ({reason}; {free:.1f} MiB are free there); make room, then "
            "go on with resume=RUN_DIR"
        ) from error


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

    def __exit__(self, kind: Any, error: Any, _: Any) -> None:
        try:
            with naming_full_disk(self.path):
                if error is not None:
                    raise error
                _flush(self.temporary)
                os.replace(self.temporary, self.path)
                _flush(self.path.parent)
        finally:
            self.temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
