"""Workers of a Ray cluster: whatever dies, a search leaves the journal of the serial one."""

import time
from statistics import median

import pytest
from ray_actors import environment, executor
from sleeping_worker import SPACE, Sleeping, search

from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.executors import Job, SerialExecutor
from nas_lightning.strategies.random_search import RandomSearch

pytest.importorskip("ray", reason="Ray is not installed: pip install 'nas-lightning[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::Warning:ray")]

CHILDREN = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("actors")


@pytest.fixture(scope="module")
def two(folder):
    """Two workers of a cluster that is started here."""
    with environment(), executor(folder, 2) as ray:
        yield ray


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The journal of a search in this process."""
    path = tmp_path_factory.mktemp("serial") / "trials.jsonl"
    search(path, SerialExecutor(Sleeping()))
    return path.read_text()


def job(number):
    return Job(Trial(number, RandomSearch(SPACE, 0).ask(number).genotype), seed=number)


def test_actors_leave_the_journal_of_the_serial_search(two, whole, tmp_path):
    search(tmp_path / "trials.jsonl", two)
    assert (tmp_path / "trials.jsonl").read_text() == whole


def test_a_job_whose_actor_is_killed_twice_is_repeated(two, whole, folder, tmp_path):
    (folder / "kill-3").write_text("2")
    search(tmp_path / "trials.jsonl", two)
    assert (folder / "kill-3").read_text() == "0"
    assert (tmp_path / "trials.jsonl").read_text() == whole


def test_a_job_that_kills_every_actor_fails_with_the_reason(two, folder):
    (folder / "kill-31").write_text("9")
    two.submit(job(31))
    outcome = two.next_finished()
    assert outcome.failure == "its worker ended unexpectedly, or was killed, 3 times in all"


def test_a_job_without_memory_fails_with_the_reason(two, folder):
    (folder / "memory-33").touch()
    two.submit(job(33))
    outcome = two.next_finished()
    assert outcome.failure == "its worker ran out of memory (33 is too much), 3 times in all"


def test_an_error_of_the_evaluation_ends_the_search_with_its_message(two, folder):
    (folder / "error-51").touch()
    two.submit(job(51))
    with pytest.raises(ChildProcessError, match="trial 51 must not be evaluated") as error:
        two.next_finished()
    assert "in suffer" in error.value.__notes__[0]
    two.workers = [None] * 2


def test_a_child_costs_less_than_20_ms_beside_its_evaluation(two):
    seconds = []
    for number in range(100, 100 + 4 * CHILDREN, 4):  # whose sleep is none
        began = time.perf_counter()
        two.submit(job(number))
        two.next_finished()
        seconds.append(time.perf_counter() - began)
    print(f"median {1000 * median(seconds):.2f} ms per child")
    assert median(seconds) < 0.02
