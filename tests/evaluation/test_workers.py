"""When workers count as dead, whatever they are: of many, and after the driver was elsewhere."""

import threading
import time

import pytest

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation import workers
from nas_lightning.evaluation.executors import Job
from nas_lightning.evaluation.workers import Worker, WorkerExecutor

JOB = Job(Trial(0, Genotype.of("none", {})), seed=0)


class Answering(Worker):
    """It lives where it is asked, and finishes its job after so many questions."""

    def __init__(self, messages, questions):
        super().__init__()
        self.messages, self.questions = messages, questions
        messages.put((self, {"ready": True}))

    def send(self, job):
        pass

    def poll(self):
        self.questions -= 1
        done = {"outcome": {"trial": 0}, "files": {}}
        self.messages.put((self, {"alive": True} if self.questions else done))

    def end(self):
        pass


class Talking(Answering):
    """One of many: their messages leave no pause."""

    def __init__(self, messages, questions):
        super().__init__(messages, questions)
        self.is_over = threading.Event()
        threading.Thread(target=self.talk, daemon=True).start()

    def talk(self):
        while not self.is_over.wait(0.005):
            self.messages.put((self, {"alive": True}))

    def poll(self):
        pass

    def end(self):
        self.is_over.set()


class Of(WorkerExecutor):
    def __init__(self, kind, questions=3, **more):
        super().__init__(1, **more)
        self.kind, self.questions, self.started = kind, questions, []

    def start_worker(self, place, messages):
        self.started.append(self.kind(messages, self.questions))
        return self.started[-1]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name, seconds in (("POLL_S", 0.02), ("SILENCE_S", 0.3), ("AWAY_S", 0.2)):
        monkeypatch.setattr(workers, name, seconds)


def test_a_job_that_takes_too_long_is_noticed_among_many_messages():
    with Of(Talking, child_seconds=0.1) as executor:
        executor.submit(JOB)
        assert "took longer than hardware.child_seconds" in executor.next_finished().failure


def test_workers_that_nobody_listened_to_are_not_silent():
    with Of(Answering) as executor:
        executor.submit(JOB)
        executor.next_finished()
        executor.submit(JOB)
        time.sleep(0.5)  # the strategy is asked
        executor.started[0].questions = 3
        assert not executor.next_finished().failure
        assert len(executor.started) == 1


class Mistaken(Answering):
    """One whose evaluation raises an error of the second job; it lives on, as an actor does."""

    def send(self, job):
        error = {"error": "no such file", "traceback": ""}
        self.messages.put((self, error if self.questions == 0 else {"outcome": {"trial": 0}}))
        self.questions = 0


def test_a_drain_does_not_wait_for_a_job_that_raised_an_error():
    with Of(Mistaken) as executor:
        executor.drain_seconds = 3.0
        executor.submit(JOB)
        executor.next_finished()
        executor.submit(JOB)
        began = time.monotonic()
        assert [*executor.drain()] == []
        assert time.monotonic() - began < executor.drain_seconds


class Stillborn(Answering):
    """One that ends before it is ready."""

    def __init__(self, messages, questions):
        Worker.__init__(self)
        self.reason = "found no library"
        messages.put((self, {"ended": True}))


def test_workers_that_do_not_start_are_tried_three_times_at_each_place():
    executor = Of(Stillborn)
    executor.workers = [None] * 2
    for _ in executor.workers:
        executor.submit(JOB)
    with pytest.raises(ChildProcessError, match="a worker found no library"):
        executor.next_finished()
    assert len(executor.started) == 2 * workers.TRIES
