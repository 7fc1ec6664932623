"""A Ray cluster: whether there is one, what a worker gets of it, and the connection."""

import os
import signal
import socket
import threading
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from nas_lightning.training.cores import usable_cores
from nas_lightning.training.hardware import Hardware

__all__ = ["RayCluster", "the_ray"]

AUTO = "auto"
CONNECT_S = 5.0
PRIVATE = "nas_lightning_private"  # resource by which a search marks the cluster that it starts
START_HINT = (
    "start one with ray start --head, join one with ray start --address=HOST:PORT, or use "
    "hardware.address=null for one on this machine alone"
)
PASSED = ("OMP_WAIT_POLICY", "KMP_BLOCKTIME", "GOMP_SPINCOUNT")  # how idle threads wait


class RayCluster:
    """The cluster on which workers live; one that is started here ends with the connection.

    Attributes:
        worker_threads: CPU threads of a worker, once connected.
        worker_cpus: the CPUs that are reserved for it, as many, or none where the workers have more
            threads than there are CPUs.
        worker_gpus: the share of a GPU that is reserved for a worker, once connected.
    """

    def __init__(self, hardware: Hardware) -> None:
        self.hardware, self.workers = hardware, hardware.workers
        self.worker_threads, self.worker_gpus, self.worker_cpus = 1, 0.0, 0

    def check(self) -> None:
        """Refuses before any work what cannot be had.

        Raises: ValueError: Ray is not installed, no cluster answers, or it is too small.
        """
        if find_spec("ray") is None:
            raise ValueError("hardware.executor=ray needs Ray; pip install 'nas-lightning[ray]'")
        address = self.hardware.address
        if address not in (None, AUTO):
            _check_answers(address)
        if address is not None:
            self.connect()
            self.leave()

    def connect(self) -> None:
        """Connects to the cluster, or starts one here, and shares it out.

        Raises: ValueError: it cannot be joined, or is too small.
        """
        ray = the_ray()
        if ray.is_initialized():
            raise ValueError(
                "hardware.executor=ray must make the connection itself; call ray.shutdown() "
                "before, and name a cluster by hardware.address=auto"
            )
        address, before = self.hardware.address, signal.getsignal(signal.SIGTERM)
        how: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
        if address is None:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            how |= {"num_cpus": usable_cores(), "include_dashboard": False}
            how |= {"resources": {PRIVATE: 1}}
        try:
            ray.init(address="local" if address is None else address, **how)
        except Exception as error:
            reason = str(error).strip().splitlines()[0].partition(". ")[0]
            raise ValueError(
                f"hardware.address ({address}) must be a Ray cluster that this machine is a node "
                f"of: {reason}; {START_HINT}"
            ) from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # which Ray replaces
        try:
            self.share_out(ray.cluster_resources())
        except ValueError:
            self.leave()
            raise

    def leave(self) -> None:
        """Ends the connection."""
        the_ray().shutdown()

    def actor(self, kind: type, *arguments: Any) -> Any:
        """Returns a new actor of a class, which answers beats beside its work."""
        ray = the_ray()
        variables = {name: os.environ[name] for name in PASSED if name in os.environ}
        options: dict[str, Any] = {
            "num_cpus": self.worker_cpus,
            "num_gpus": self.worker_gpus,
            "max_restarts": 0,
            "scheduling_strategy": "SPREAD",
            "runtime_env": {"env_vars": variables},
        }
        remote = ray.remote(concurrency_groups={"beat": 1})(kind)
        return remote.options(**options).remote(*arguments)

    def share_out(self, resources: Mapping[str, float]) -> None:
        """Shares out what the cluster has, by Ray's names, among the workers.

        Raises: ValueError: it is too small for them, or another search's own.
        """
        hardware, cpus = self.hardware, int(resources.get("CPU", 0))
        if hardware.address is not None and PRIVATE in resources:  # Ray's "auto" finds it too
            raise ValueError(
                f"hardware.address ({hardware.address}) must not be the cluster that another "
                f"search has started for itself, since it ends with that search; {START_HINT}"
            )
        if hardware.accelerator == "cpu" and self.workers > cpus and hardware.threads is None:
            raise ValueError(
                f"hardware.workers ({self.workers}) must not exceed the {cpus} CPUs of the Ray "
                f"cluster, unless hardware.threads says what they share; use e.g. "
                f"hardware.workers={max(1, cpus)}, or hardware.threads=1"
            )
        self.worker_threads = max(1, (hardware.threads or cpus) // self.workers)
        is_room = self.workers * self.worker_threads <= cpus
        self.worker_cpus = self.worker_threads if is_room else 0
        if hardware.accelerator in ("gpu", "cuda"):
            self.worker_gpus = self._gpu_share(int(resources.get("GPU", 0)))

    def _gpu_share(self, gpus: int) -> float:
        """Returns the share of a GPU that a worker gets."""
        typed = self.hardware.gpus_per_worker
        share = typed or 1 / max(1, -(-self.workers // max(1, gpus)))
        share = int(share * 10_000) / 10_000  # as finely as Ray counts
        if (room := gpus * int(1 / share)) < self.workers:
            raise ValueError(
                f"hardware.workers ({self.workers}) with hardware.gpus_per_worker ({typed}) must "
                f"fit on the {gpus} GPUs of the Ray cluster, which hold {room}; use fewer workers, "
                "or a smaller share"
            )
        return share


def _check_answers(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise ValueError(
            f"hardware.address ({address}) must be that of a running Ray cluster, and nothing "
            f"answers there: {error}; {START_HINT}"
        ) from error


def the_ray() -> Any:
    """Returns Ray, an extra that may not be installed."""
    return import_module("ray")
