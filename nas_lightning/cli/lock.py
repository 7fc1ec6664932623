"""One run per folder: a lock that ends with its process, however that ends."""

from pathlib import Path

from nas_lightning.files import LockedError, ProcessLock
from nas_lightning.run.folder import HYDRA

__all__ = ["RunLock"]


class RunLock:
    """Keeps other commands out of the folders of runs while this process lives."""

    def __init__(self) -> None:
        self._locks: dict[Path, ProcessLock] = {}

    def take(self, folder: Path) -> None:
        """Takes the lock of a folder, unless this has it or the run is complete.

        Raises: ValueError: another process has it.
        """
        if (home := folder.resolve()) in self._locks or (folder / "result.json").is_file():
            return
        try:
            self._locks[home] = ProcessLock(folder / HYDRA / "lock").take()
        except LockedError as owner:
            raise ValueError(
                f"the folder {folder} must not be used by two runs at once: {owner} is at work "
                "there; wait for it or stop it, or choose another folder"
            ) from owner

    def release(self) -> None:
        """Gives up all locks."""
        while self._locks:
            self._locks.popitem()[1].release()
