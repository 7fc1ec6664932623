"""Idle CPU threads sleep instead of spinning, so that a run keeps its pace beside others."""

from collections.abc import Mapping

__all__ = ["sleeping"]

SLEEP = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "KMP_BLOCKTIME": "0",
}  # of GNU's and LLVM's (or Intel's) OpenMP
SETTINGS = (*SLEEP, "GOMP_SPINCOUNT", "KMP_LIBRARY")  # what a user may have set


def sleeping(env: Mapping[str, str]) -> dict[str, str]:
    """Returns what an environment lacks for idle threads to sleep; nothing where the user chose.

    OpenMP reads it once, when torch is imported: it must be set before.

    >>> sleeping({})
    {'OMP_WAIT_POLICY': 'PASSIVE', 'KMP_BLOCKTIME': '0'}
    >>> sleeping({"OMP_WAIT_POLICY": "ACTIVE"})
    {}
    """
    return {} if any(name in env for name in SETTINGS) else dict(SLEEP)
