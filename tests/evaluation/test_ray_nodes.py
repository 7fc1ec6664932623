"""Several nodes of a Ray cluster, on this machine."""

import pytest
from ray_actors import executor, nodes
from sleeping_worker import Sleeping, search

from nas_lightning.evaluation.executors import SerialExecutor

pytest.importorskip("ray", reason="Ray is not installed: pip install 'nas-lightning[ray]'")
pytestmark = pytest.mark.slow


def test_a_search_outlives_a_node_and_leaves_the_same_journal(tmp_path):
    search(tmp_path / "serial.jsonl", SerialExecutor(Sleeping()))
    whole = (tmp_path / "serial.jsonl").read_text()
    with nodes([1, 1]) as cluster:
        told = []

        def kill_a_node(trials):
            told.append(len(trials))
            if len(trials) == 6:
                cluster.remove_node(cluster.workers.pop(), allow_graceful=False)

        (tmp_path / "arrived.jsonl").unlink()
        with executor(tmp_path, 2, address=cluster.address) as ray:
            search(tmp_path / "trials.jsonl", ray, watch=kill_a_node)
            alive = [worker for worker in ray.workers if worker is not None and worker.is_ready]
        assert len(alive) == 1
    assert (tmp_path / "trials.jsonl").read_text() == whole
