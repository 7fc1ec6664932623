"""What may be set of the workers of a black-box search."""

import re
from typing import Any

from nas_lightning.core.checks import at_least, in_range, one_of, positive
from nas_lightning.training.cores import usable_cores

__all__ = ["OF_WORKERS", "SERIAL", "check_workers"]

ALL = "auto"
SERIAL, PROCESSES, RAY = EXECUTORS = ("serial", "processes", "ray")
ORDERS = ("virtual", "arrival")
OF_WORKERS = {  # by key: its default, and the executors with which another value has an effect
    "workers": (1, (PROCESSES, RAY)),
    "child_seconds": (None, (PROCESSES, RAY)),
    "drain_seconds": (20.0, (PROCESSES, RAY)),
    "order": ("virtual", (PROCESSES, RAY)),
    "address": (None, (RAY,)),
    "gpus_per_worker": (None, (RAY,)),
}


def check_workers(hardware: Any) -> None:
    """Refuses impossible settings of the workers of a `Hardware`.

    Raises: ValueError: a value is out of range, has no effect, or asks for more than there is.
    """
    one_of("hardware.executor", hardware.executor, EXECUTORS)
    at_least("hardware.workers", hardware.workers, 1, use=2)
    at_least("hardware.in_flight", hardware.in_flight, 1, use=2)
    positive("hardware.child_seconds", hardware.child_seconds, use=3600)
    at_least("hardware.drain_seconds", hardware.drain_seconds, 0, use=20)
    in_range("hardware.gpus_per_worker", hardware.gpus_per_worker, "[0.01, 1]", use=0.5)
    one_of("hardware.order", hardware.order, ORDERS)
    for key, (default, executors) in OF_WORKERS.items():
        if hardware.executor not in executors and (value := getattr(hardware, key)) != default:
            raise ValueError(
                f"hardware.{key} ({value}) has no effect with hardware.executor="
                f"{hardware.executor}; use hardware.executor={executors[0]}, or leave it out"
            )
    if hardware.order == "arrival" and hardware.num_in_flight == 1:
        raise ValueError(
            "hardware.order (arrival) has no effect with one child in flight; raise "
            "hardware.workers, or leave it out"
        )
    if hardware.gpus_per_worker is not None and hardware.accelerator == "cpu":
        raise ValueError(
            f"hardware.gpus_per_worker ({hardware.gpus_per_worker}) has no effect on the CPU; use "
            "hardware=gpu, or leave it out"
        )
    _check_cluster(hardware)


def _check_cluster(hardware: Any) -> None:
    if hardware.address is not None:  # whose CPUs count, not those here
        if hardware.address != ALL and not re.fullmatch(r"[^\s:/]+:\d{1,5}", hardware.address):
            raise ValueError(
                f"hardware.address ({hardware.address}) must be auto or HOST:PORT of a Ray "
                "cluster; null starts one on this machine"
            )
        return
    cores = usable_cores()
    if hardware.accelerator == "cpu" and hardware.workers > cores and hardware.threads is None:
        raise ValueError(
            f"hardware.workers ({hardware.workers}) must not exceed the {cores} cores found here, "
            "unless hardware.threads says what they share; use e.g. "
            f"hardware.workers={cores}, or hardware.threads=1"
        )
