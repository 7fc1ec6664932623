"""One of several processes of a run; started by `nas_lightning.cli.launch`, never by a user."""

import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from omegaconf import DictConfig

from nas_lightning.cli.interruption import RESUME, interruptible
from nas_lightning.cli.launch import REPORT, job_of
from nas_lightning.config import schema
from nas_lightning.config.messages import MISTAKES, message_of
from nas_lightning.core.termination import Interruption
from nas_lightning.files import write_text
from nas_lightning.run.folder import RunFolder

__all__ = ["main"]


def main(command: str, folder: Path) -> int:
    """Runs the job of a command, e.g. "search", by the configuration in the run's folder.

    Reports how it ended, and returns the exit status.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with interruptible():
            _report(value=job_of(command)(_configuration(folder, command), folder))
            _leave_group()
    except Interruption:
        return RESUME
    except Exception as error:
        _report(
            message=message_of(error),
            is_mistake=isinstance(error, MISTAKES),
            traceback=traceback.format_exc(),
            time=time.time(),
        )
        return 1
    return 0


def _configuration(folder: Path, command: str) -> DictConfig:
    """Returns the configuration that the parent composed; Hydra's own answers as it does there."""
    run = RunFolder(folder)
    setup_globals()
    HydraConfig.instance().cfg = run.settings  # type: ignore[assignment]
    cfg = run.config
    if os.environ["LOCAL_RANK"] != "0":
        cfg.logger = {}  # what a run shows is shown once
    return schema.typed(cfg, command)


def _leave_group() -> None:
    from torch import distributed  # only what has started a group has imported torch

    if distributed.is_initialized():
        distributed.destroy_process_group()


def _end_with_parent() -> None:
    """Ends this process, and the workers that it has started, once its parent is gone."""
    # A signal that this thread took would not wake the main thread, which alone may handle it.
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    os.read(0, 1)  # not sys.stdin's, whose lock would be held at this process's own end
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _report(**content: object) -> None:
    write_text(Path(os.environ[REPORT]), json.dumps(content))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
