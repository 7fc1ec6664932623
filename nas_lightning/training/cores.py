"""How many CPU cores this process may use, which is often fewer than the machine has."""

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["quota_of", "usable_cores"]

FILES = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
SLURM = "SLURM_CPUS_PER_TASK"


def usable_cores(env: Mapping[str, str] = os.environ) -> int:
    """Returns the smallest of affinity, the control groups' quota and SLURM's cores of a task.

    Load is not looked at: the last bits of a result depend on the number of threads, and one seed
    must not give other bits because something else was running.
    """
    has_affinity = hasattr(os, "sched_getaffinity")  # on Linux
    bounds = [len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1]
    if (quota := quota_of(FILES, MEMBERSHIP)) is not None:
        bounds.append(int(quota))  # a thread on part of a core holds up the others
    if (cores := env.get(SLURM, "")).isdecimal():
        bounds.append(int(cores))
    return max(1, min(bounds))


def quota_of(files: Path, membership: Path) -> float | None:
    """Returns the cores that the control groups of this process allow; None without a quota.

    Args:
        files: where the control groups are mounted, of version 1 or 2.
        membership: the file that names this process's groups, one per line.
    """
    if not membership.is_file():
        return None
    quotas = list[float]()
    for line in membership.read_text("utf-8").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = files / controllers if controllers else files
        for place in _upwards(root, group):  # a group above may allow less
            quota = _version_1(place) if controllers else _version_2(place)
            quotas += [] if quota is None else [quota]
    return min(quotas, default=None)


def _upwards(root: Path, group: str) -> list[Path]:
    """Returns the folders of a group and of those above it, up to the mount itself.

    In a container the group may be named as its host does, and the mount is the group itself.
    """
    place = root / group.strip("/")
    above = [each for each in place.parents if each.is_relative_to(root)]
    return [place, *above] if group.strip("/") else [root]


def _version_2(place: Path) -> float | None:
    file = place / "cpu.max"
    if not file.is_file():
        return None
    quota, period = file.read_text("utf-8").split()
    return None if quota == "max" else int(quota) / int(period)


def _version_1(place: Path) -> float | None:
    files = place / "cpu.cfs_quota_us", place / "cpu.cfs_period_us"
    if not all(file.is_file() for file in files):
        return None
    quota, period = (int(file.read_text("utf-8")) for file in files)
    return None if quota < 0 else quota / period
