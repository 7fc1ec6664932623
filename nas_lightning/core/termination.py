"""How a process is told to end before its time, by its user or the system."""

import signal

__all__ = ["Interruption", "signal_name"]


class Interruption(BaseException):
    """A SIGINT or SIGTERM; no Exception, so that no handler of errors takes it for a failure."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__("terminated" if number == signal.SIGTERM else "interrupted")
        self.number = number


def signal_name(number: int) -> str:
    """Returns the name of a signal, e.g. "SIGKILL", or "signal 35" where it has none."""
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time signals
        return f"signal {number}"
