"""What Ray could not do is refused before any work; none of these tests needs Ray."""

import socket

import pytest
from lightning.pytorch.accelerators import CUDAAccelerator

from nas_lightning.evaluation import ray_cluster
from nas_lightning.evaluation.ray_cluster import RayCluster
from nas_lightning.training.cores import usable_cores
from nas_lightning.training.hardware import Hardware


def cluster_of(monkeypatch, **values):
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: name)
    return RayCluster(Hardware(executor="ray", **values))


def test_a_missing_ray_names_the_extra(monkeypatch):
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"executor=ray needs Ray; pip install 'nas-lightning\[ray"
    ):
        RayCluster(Hardware(executor="ray")).check()


def test_an_address_at_which_nothing_answers_is_refused(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        message = rf"hardware\.address \({address}\) must be that of a running Ray cluster"
        with pytest.raises(ValueError, match=message):
            cluster_of(monkeypatch, address=address).check()


def test_more_workers_than_cpus_of_the_cluster_are_refused(monkeypatch):
    cluster = cluster_of(monkeypatch, workers=6, address="auto")
    with pytest.raises(
        ValueError, match=r"workers \(6\) must not exceed the 4 CPUs of the Ray clu"
    ):
        cluster.share_out({"CPU": 4.0})


def test_a_cluster_that_another_search_started_for_itself_is_refused(monkeypatch):
    resources = {"CPU": 4.0, ray_cluster.PRIVATE: 1.0}
    message = r"hardware\.address \(auto\) must not be the cluster that another search has started"
    with pytest.raises(ValueError, match=message):
        cluster_of(monkeypatch, address="auto").share_out(resources)
    cluster_of(monkeypatch).share_out(resources)  # its own


@pytest.mark.parametrize(
    ("workers", "threads", "cpus", "shares"),
    [(2, None, 8, (4, 4)), (3, 6, 8, (2, 2)), (4, 1, 2, (1, 0)), (2, 8, 4, (4, 0))],
)
def test_workers_share_the_cpus(workers, threads, cpus, shares, monkeypatch):
    cluster = cluster_of(monkeypatch, workers=workers, threads=threads, address="auto")
    cluster.share_out({"CPU": cpus})
    assert (cluster.worker_threads, cluster.worker_cpus) == shares


@pytest.mark.parametrize(
    ("workers", "gpus", "typed", "share"),
    [
        (2, 4, None, 1.0),
        (3, 2, None, 0.5),
        (4, 1, None, 0.25),
        (3, 1, None, 0.3333),
        (2, 1, 0.4, 0.4),
    ],
)
def test_workers_share_the_gpus(workers, gpus, typed, share, monkeypatch):
    monkeypatch.setattr(CUDAAccelerator, "is_available", staticmethod(lambda: True))
    monkeypatch.setattr(CUDAAccelerator, "auto_device_count", staticmethod(lambda: 1))
    more = {"accelerator": "cuda", "gpus_per_worker": typed, "address": "auto"}
    cluster = cluster_of(monkeypatch, workers=workers, **more)
    cluster.share_out({"CPU": 16.0, "GPU": gpus})
    assert cluster.worker_gpus == share


def test_a_share_of_a_gpu_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(CUDAAccelerator, "is_available", staticmethod(lambda: True))
    monkeypatch.setattr(CUDAAccelerator, "auto_device_count", staticmethod(lambda: 1))
    more = {"accelerator": "cuda", "gpus_per_worker": 0.6, "address": "auto"}
    cluster = cluster_of(monkeypatch, workers=3, **more)
    with pytest.raises(
        ValueError, match=r"must fit on the 2 GPUs of the Ray cluster, which hold 2"
    ):
        cluster.share_out({"CPU": 16.0, "GPU": 2.0})


def test_the_cores_here_do_not_bound_the_workers_of_a_cluster_elsewhere():
    workers = usable_cores() + 1
    assert Hardware(executor="ray", workers=workers, address="head:6379").workers == workers
