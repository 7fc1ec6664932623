"""One run a folder: a lock that ends with its process, however that ends."""

import fcntl
import os
import socket
from pathlib import Path
from typing import IO

__all__ = ["RunLock"]

NAME = ".hydra/lock"


class RunLock:
    """Keeps other commands out of a run's folder while this process lives.

    The system gives the lock up when its process ends, so that what a killed run leaves of it
    stops nobody. The file stays; it names the process that had the lock last.
    """

    def __init__(self) -> None:
        self._files: dict[Path, IO[str]] = {}

    def take(self, folder: Path) -> None:
        """Takes the lock of a folder, which is made if missing; idempotent.

        Args:
            folder: the run's folder. A complete run is not written any more and needs no lock.

        Raises:
            ValueError: another process has it.
        """
        if folder.resolve() in self._files or (folder / "result.json").is_file():
            return
        path = folder / NAME
        folder.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(exist_ok=True)
        file = path.open("a+", encoding="utf-8")
        try:
            # belongs to the process alone: reading workers do not inherit it and outlive it
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            owner = file.read().strip() or "another process"
            file.close()
            raise ValueError(
                f"the folder {folder} must not be used by two runs at once: {owner} is at work "
                "there; wait for it or stop it, or choose another folder"
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        self._files[folder.resolve()] = file

    def release(self) -> None:
        """Gives up all locks."""
        for file in self._files.values():
            file.close()
        self._files.clear()
