"""How a user, or the system, ends a command before its time."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Termination", "interruption_of", "terminable"]


class Termination(KeyboardInterrupt):
    """A SIGTERM: it ends a command as Control-C does."""


@contextmanager
def terminable() -> Iterator[None]:
    """Raises `Termination` at a SIGTERM; left to itself, Lightning ends with exit status 0."""

    def terminate(*_: object) -> None:
        raise Termination

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, kept)


def interruption_of(error: BaseException) -> KeyboardInterrupt | None:
    """Returns how a command was ended, if it was; Lightning makes a SystemExit of it."""
    cause = error.__context__ if isinstance(error, SystemExit) else error
    return cause if isinstance(cause, KeyboardInterrupt) else None
