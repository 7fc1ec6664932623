"""Workers: whatever their number and whoever dies, a search leaves the same journal."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from random import Random
from statistics import median

import pytest
from sleeping_worker import SPACE, TRIALS, Sleeping, command, search

from nas_lightning.core.strategy import Trial
from nas_lightning.core.termination import Interruption
from nas_lightning.evaluation import workers
from nas_lightning.evaluation.executors import Job, SerialExecutor
from nas_lightning.evaluation.processes import ProcessExecutor
from nas_lightning.strategies.random_search import RandomSearch

CHILDREN = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where what befalls the workers is written."""
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def one(folder):
    with ProcessExecutor(command(folder), 1) as executor:
        yield executor


@pytest.fixture(scope="module")
def two(folder):
    with ProcessExecutor(command(folder), 2) as executor:
        yield executor


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The journal of a search in this process."""
    path = tmp_path_factory.mktemp("serial") / "trials.jsonl"
    search(path, SerialExecutor(Sleeping()))
    return path.read_text()


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def job(number):
    return Job(Trial(number, RandomSearch(SPACE, 0).ask(number).genotype), seed=number)


@pytest.mark.parametrize("executor", [pytest.param("one", marks=pytest.mark.slow), "two"])
def test_workers_of_any_number_leave_the_journal_of_the_serial_search(
    executor, whole, tmp_path, request
):
    search(tmp_path / "trials.jsonl", request.getfixturevalue(executor))
    assert (tmp_path / "trials.jsonl").read_text() == whole


def test_a_job_whose_worker_is_killed_twice_is_repeated(one, whole, folder, tmp_path):
    (folder / "kill-3").write_text("2")
    search(tmp_path / "trials.jsonl", one)
    assert (folder / "kill-3").read_text() == "0"
    assert (tmp_path / "trials.jsonl").read_text() == whole


@pytest.mark.slow
def test_a_job_that_kills_every_worker_fails_with_the_reason(folder, tmp_path):
    (folder / "kill-31").write_text("9")
    with ProcessExecutor(command(folder), 1) as executor:
        executor.submit(job(31))
        outcome = executor.next_finished()
        assert outcome.failure == (
            "its worker was killed (SIGKILL), as the system does where memory runs out, "
            "3 times in all"
        )
        executor.submit(job(32))
        assert executor.next_finished().measurements


@pytest.mark.slow
def test_a_job_that_takes_too_long_fails_with_the_reason(folder):
    (folder / "hang-41").touch()
    with ProcessExecutor(command(folder), 1, child_seconds=0.2) as executor:
        executor.submit(job(41))
        assert executor.next_finished().failure == (
            "its worker took longer than hardware.child_seconds (0.2), 3 times in all"
        )


@pytest.mark.slow
def test_a_job_that_runs_out_of_memory_fails_with_the_reason(folder):
    (folder / "memory-71").touch()
    with ProcessExecutor(command(folder), 1) as executor:
        executor.submit(job(71))
        assert executor.next_finished().failure == (
            "its worker ran out of memory (71 is too much), 3 times in all"
        )


@pytest.mark.slow
def test_a_worker_that_is_stopped_is_replaced_and_its_job_repeated(folder, monkeypatch):
    monkeypatch.setattr(workers, "SILENCE_S", 8.0)  # above what passes between two messages
    with ProcessExecutor(command(folder), 1) as executor:
        executor.submit(job(81))
        executor.next_finished()
        (folder / "stop-82").touch()
        stopped = executor.workers[0].process
        executor.submit(job(82))
        assert executor.next_finished().measurements
        assert stopped.returncode == -signal.SIGKILL


def test_workers_that_cannot_start_end_the_search_with_what_they_print():
    start = [sys.executable, "-c", "raise SystemExit('no such library')"]
    with ProcessExecutor(start, 2) as executor:
        executor.submit(job(0))
        with pytest.raises(ChildProcessError, match=r"ended with status 1\nno such library"):
            executor.next_finished()


def test_a_killed_driver_leaves_no_workers_and_a_replay_ends_with_the_same_journal(
    two, whole, tmp_path
):
    driver = subprocess.Popen(command(tmp_path, "driver"), stdout=subprocess.PIPE, text=True)
    for _ in range(TRIALS // 3):
        workers = [int(word) for word in driver.stdout.readline().split()]
    driver.kill()
    driver.wait()
    driver.stdout.close()
    limit = time.monotonic() + 20
    while any(map(is_alive, workers)) and time.monotonic() < limit:
        time.sleep(0.05)
    assert len(workers) == 2
    assert not any(map(is_alive, workers))
    begun = (tmp_path / "trials.jsonl").read_text()
    search(tmp_path / "trials.jsonl", two)
    assert whole.startswith(begun[: begun.rfind("\n") + 1])
    assert (tmp_path / "trials.jsonl").read_text() == whole


@pytest.mark.slow
def test_a_search_whose_processes_are_killed_20_times_at_random_leaves_the_same_journal(tmp_path):
    trials, draw, killed, kinds = 120, Random(0), set(), Counter()
    search(tmp_path / "whole" / "trials.jsonl", SerialExecutor(Sleeping()), trials=trials)
    folder, alive = tmp_path / "run", {}
    driver = None
    while True:
        if driver is None:
            words = command(folder, "driver", trials)
            driver = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        for _ in range(draw.randint(1, 4)):
            alive = driver.stdout.readline().split()
        if not alive:
            break
        time.sleep(draw.uniform(0, 0.03))  # somewhere in a child
        victim = draw.choice([driver.pid, *map(int, alive)])
        kinds["driver" if victim == driver.pid else "worker"] += victim not in killed
        killed.add(victim)
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        if victim == driver.pid:
            driver.wait()
            driver.stdout.close()
            driver = None
    assert driver.wait() == 0
    driver.stdout.close()
    assert kinds["driver"] + kinds["worker"] >= 20
    assert min(kinds["driver"], kinds["worker"]) >= 5
    whole = (tmp_path / "whole" / "trials.jsonl").read_text()
    assert (folder / "trials.jsonl").read_text() == whole
    assert not any(map(is_alive, killed))


def test_a_child_costs_less_than_20_ms_beside_its_evaluation(one, record_property):
    seconds = []
    for number in range(100, 100 + 4 * CHILDREN, 4):  # whose sleep is none
        began = time.perf_counter()
        one.submit(job(number))
        one.next_finished()
        seconds.append(time.perf_counter() - began)
    record_property("seconds_per_child", median(seconds))
    print(f"median {1000 * median(seconds):.2f} ms per child")
    assert median(seconds) < 0.02


def test_an_executor_tells_what_its_workers_do(one):
    one.submit(job(2))
    ((worker, trial),) = [(running.worker, running.trial) for running in one.running()]
    assert (worker, trial) == (1, job(2).trial)
    one.next_finished()
    assert one.running() == []


def test_a_search_told_to_end_keeps_what_its_workers_finish(two, whole, tmp_path):
    two.drain_seconds = 20.0

    def terminate(trials):
        if len(trials) == 5:
            raise Interruption(signal.SIGTERM)

    with pytest.raises(Interruption, match="terminated"):
        search(tmp_path / "trials.jsonl", two, watch=terminate)
    arrived = [*map(json.loads, (tmp_path / "arrived.jsonl").read_text().splitlines())]
    asked = (tmp_path / "trials.jsonl").read_text().count('"asked"')
    assert {outcome["trial"] for outcome in arrived} == {*range(asked)}  # those in flight too
    submitted = []
    serial = SerialExecutor(Sleeping())
    serial.submit = lambda job: submitted.append(job.trial.number) or serial._jobs.append(job)
    search(tmp_path / "trials.jsonl", serial)
    assert (tmp_path / "trials.jsonl").read_text() == whole
    assert submitted == [*range(asked, TRIALS)]


@pytest.mark.slow
def test_a_worker_that_takes_longer_than_the_grace_is_not_awaited(folder):
    (folder / "hang-91").touch()
    with ProcessExecutor(command(folder), 1) as executor:
        executor.drain_seconds = 0.1
        executor.submit(job(90))
        executor.next_finished()
        executor.submit(job(91))
        executor.submit(job(92))
        assert [*executor.drain()] == []
        assert [running.trial.number for running in executor.running()] == [91]


@pytest.mark.slow
def test_a_worker_outlives_a_sigterm_of_its_own_even_as_it_starts(folder):
    with ProcessExecutor(command(folder), 1) as own:
        for number in (63, 64):  # it starts with the first
            own.submit(job(number))
            process = own.workers[0].process
            os.kill(process.pid, signal.SIGTERM)
            assert own.next_finished().measurements
            assert process.poll() is None


@pytest.mark.slow
def test_a_dead_worker_is_replaced_where_its_group_must_not_be_killed_as_on_macos(
    folder, monkeypatch
):
    def refuse(group, number):
        raise PermissionError(1, "Operation not permitted")

    (folder / "kill-65").write_text("1")
    with ProcessExecutor(command(folder), 1) as own:
        own.submit(job(65))
        with monkeypatch.context() as patch:
            patch.setattr(os, "killpg", refuse)
            assert own.next_finished().measurements


def test_an_error_of_the_evaluation_ends_the_search_with_its_message(one, folder):
    (folder / "error-51").touch()
    one.submit(job(51))
    with pytest.raises(ChildProcessError, match="trial 51 must not be evaluated") as error:
        one.next_finished()
    assert "in suffer" in error.value.__notes__[0]


def test_close_ends_the_workers(folder):
    executor = ProcessExecutor(command(folder), 1)
    executor.submit(job(61))
    process = executor.workers[0].process
    executor.close()
    assert process.returncode == -signal.SIGKILL
