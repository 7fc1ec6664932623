"""The folder of a worker on another machine, which goes with its process."""

import atexit
import shutil
from pathlib import Path
from tempfile import gettempdir, mkdtemp

from nas_lightning.files import ProcessLock, is_locked

__all__ = ["new_folder"]

PREFIX = "nas_lightning_"  # of the folders of workers
LOCK = "lock"  # in each of them


def new_folder() -> Path:
    """Returns a new folder that goes with this process, once those of killed ones are removed."""
    for lock in Path(gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        if not is_locked(lock):
            shutil.rmtree(lock.parent, ignore_errors=True)
    folder = Path(mkdtemp(prefix=PREFIX))
    own = ProcessLock(folder / f"new_{LOCK}").take()
    (folder / f"new_{LOCK}").rename(folder / LOCK)  # seen once it is taken
    atexit.register(own.release)  # till then it is referred to
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
