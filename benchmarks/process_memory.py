"""The memory of this process, as Linux tells it."""

from pathlib import Path

__all__ = ["high_water", "resident"]


def high_water() -> float:
    """Returns the peak memory so far, in kB; a process's usage would count its parent's."""
    return _line("VmHWM")


def resident() -> float:
    """Returns the memory that the process holds, in kB."""
    return _line("VmRSS")


def _line(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(name)))
