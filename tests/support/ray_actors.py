"""Clusters of Ray for tests, and a search whose children sleep in their workers."""

import os
from contextlib import contextmanager
from pathlib import Path

import pytest
from sleeping_worker import SPACE, Sleeping

from nas_lightning.evaluation.ray_cluster import RayCluster
from nas_lightning.evaluation.ray_executor import RayExecutor
from nas_lightning.training.hardware import Hardware

__all__ = ["Build", "environment", "executor", "nodes"]


class Build:
    """Makes what evaluates in a worker; files in the folder say what befalls it."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, threads):
        return SPACE, Sleeping(self.folder), None


@contextmanager
def environment():
    """Has Ray ask for no token and tell nobody of its use, and finds this file in workers."""
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        yield


@contextmanager
def nodes(cpus):
    """Yields a cluster of a head without CPUs and nodes with so many each."""
    from ray.cluster_utils import Cluster

    with environment():
        quick = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}
        cluster = Cluster(True, head_node_args={"num_cpus": 0, "_system_config": quick})
        try:
            cluster.workers = [cluster.add_node(num_cpus=number) for number in cpus]
            cluster.wait_for_nodes()
            yield cluster
        finally:
            cluster.shutdown()


def executor(folder, workers=1, address=None, **more):
    """Returns an executor of actors whose children sleep."""
    hardware = Hardware(executor="ray", workers=workers, threads=1, address=address)
    return RayExecutor(RayCluster(hardware), Build(folder), **more)
