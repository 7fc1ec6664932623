"""How a run is told to end before its time, by its user or the system."""

import signal

__all__ = ["Interruption"]


class Interruption(BaseException):
    """A SIGINT or SIGTERM; no Exception, so that no handler of errors takes it for a failure."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__("terminated" if number == signal.SIGTERM else "interrupted")
        self.number = number
