"""Several nodes of a Ray cluster, on this machine."""

import pytest
from ray_actors import executor, nodes
from sleeping_worker import SPACE, Sleeping, search

from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.executors import Job, SerialExecutor

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
            for number in (100, 101):  # one for each worker, so that a death is noticed
                ray.submit(Job(Trial(number, SPACE.sample(number)), seed=number))
            outcomes = {ray.next_finished().trial for _ in range(2)}
            alive = [worker for worker in ray.workers if worker is not None and worker.is_ready]
        assert outcomes == {100, 101}
        assert len(alive) == 1
    assert (tmp_path / "trials.jsonl").read_text() == whole
