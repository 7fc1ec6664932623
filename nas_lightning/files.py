"""Files that are never seen half-written, full disks, and locks that end with their process."""

import errno
import fcntl
import json
import math
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

__all__ = [
    "CACHE",
    "LockedError",
    "NoRoomError",
    "ProcessLock",
    "append_text",
    "cache_folder",
    "is_locked",
    "naming_full_disk",
    "prepare_lines",
    "replacing",
    "write_json",
    "write_text",
]

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CACHE = "XDG_CACHE_HOME"  # where programs keep what they can make again
TORCH_WRITER = re.compile("unexpected pos|PytorchStreamWriter|iostream error")  # no errno


class NoRoomError(OSError):
    """A file that did not find room on its disk; the message names it."""


class LockedError(Exception):
    """Another process has the lock; the message names that process."""


def cache_folder(name: str) -> Path:
    """Returns the folder of this user where things of a kind are kept that can be made again.

    Raises: OSError: the user has no home folder, as in some containers.
    """
    try:
        base = Path(os.environ.get(CACHE) or "~/.cache").expanduser()
    except RuntimeError as error:
        raise OSError(f"this user has no home folder; set {CACHE} to one for caches") from error
    return base / "nas_lightning" / name


@contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Raises NoRoomError where the block finds no room for a file, or torch's writer fails."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        is_writer = isinstance(error, RuntimeError) and TORCH_WRITER.search(str(error))
        if not is_writer and getattr(error, "errno", None) not in NO_ROOM:
            raise
        free = shutil.disk_usage(path.parent).free / 2**20
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise NoRoomError(
            f"{path} cannot be written ({reason}; {free:.1f} MiB are free there); make room, then "
            "resume with resume=RUN_DIR"
        ) from error


def prepare_lines(path: Path) -> None:
    """Makes a file that grows line by line, or drops its last line if that was cut short."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with path.open("rb+") as file:
        torn = sum(len(line) for line in file if not line.endswith(b"\n"))
        if torn:
            file.truncate(path.stat().st_size - torn)


def append_text(path: Path, text: str) -> None:
    """Adds a text to a file, and hands it to the operating system."""
    with naming_full_disk(path), path.open("a", encoding="utf-8", newline="") as file:
        file.write(text)


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically: it appears whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: object) -> None:
    """Writes plain data as JSON, atomically; NaN and infinity, which JSON lacks, become null."""
    write_text(path, json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a path to write to, which then takes the file's place; makes a missing folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")  # a kill leaves one, overwritten next
    try:
        with naming_full_disk(path):
            yield temporary
            _flush(temporary)
            os.replace(temporary, path)
            _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class ProcessLock:
    """A lock on a file that ends with its process, however that ends.

    Forked children, such as a DataLoader's workers, do not hold it though they may outlive the
    process: filelock closes the file in them (since 3.30). The file stays, and names the process
    that had the lock last; it and its folder are made if missing.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._lock = path, FileLock(path, thread_local=False)

    def take(self) -> "ProcessLock":
        """Takes the lock now, and returns it; raises LockedError where another process has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(blocking=False)
        except Timeout as error:
            owner = self.path.read_text(encoding="utf-8").strip()
            raise LockedError(owner or "another process") from error
        return self._signed()

    def wait(self, message: str) -> "ProcessLock":
        """Takes the lock once it is free, and returns it; prints the message if it has to wait."""
        try:
            return self.take()
        except LockedError:
            print(message, file=sys.stderr, flush=True)
        self._lock.acquire(poll_interval=0.5)
        return self._signed()

    def release(self) -> None:
        """Gives the lock up."""
        self._lock.release(force=True)

    def _signed(self) -> "ProcessLock":
        self.path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        return self

    def __enter__(self) -> "ProcessLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_locked(path: Path) -> bool:
    """Returns whether a living process has the lock on a file; nothing is written or left locked.

    Where the file may not be read, it counts as free.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)  # gives up what it took
    return False
