"""How a user, or the system, ends a command before its time."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nas_lightning.core.termination import Interruption

__all__ = ["RESUME", "interruptible", "interruption_of"]

RESUME = 75  # exit status: the run is not done, start it again with resume=


@contextmanager
def interruptible() -> Iterator[None]:
    """Raises `Interruption` at the first SIGINT or SIGTERM; a second SIGINT ends the process.

    Lightning would exit with status 0 at a SIGTERM, and ignore every SIGINT after the first.
    """

    def interrupt(number: int, _: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Interruption(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(each, interrupt) for each in signals]
    try:
        yield
    finally:
        for each, handler in zip(signals, handlers, strict=True):
            signal.signal(each, handler)


def interruption_of(error: BaseException) -> Interruption | None:
    """Returns how a command was ended, if it was; Lightning makes a SystemExit of some."""
    cause = error.__context__ if isinstance(error, SystemExit) else error
    if isinstance(cause, KeyboardInterrupt):
        return Interruption(signal.SIGINT)
    return cause if isinstance(cause, Interruption) else None
