"""An executor of workers that build their data once, live on, and are replaced where they die.

A job whose worker dies again and again fails with the reason. What a worker does is seen by its
messages: nobody waits for one that is silent. Where workers live, the subclasses know.
"""

import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from nas_lightning.evaluation.executors import Executor, Job, Outcome, Running

__all__ = ["Messages", "Worker", "WorkerExecutor"]

TRIES = 3  # of a job, and of starting a worker
SILENCE_S = 120.0  # without a message after which a worker counts as dead; one comes every 5 s
START_S = 900.0  # the same before it is ready: until it has imported everything it says nothing
POLL_S = 0.5
AWAY_S = 10.0  # after which nobody has listened: silence is counted anew

Messages = SimpleQueue[tuple["Worker", Mapping[str, Any]]]


class Worker(ABC):
    """One worker, which puts its messages beside itself into a queue.

    A message is "ready" once everything is built, "alive" now and then, "outcome" of a job,
    "error" where the evaluation raised one, "reason" before it "ended".

    Attributes:
        printed: the last lines that it wrote, once it has ended.
    """

    def __init__(self) -> None:
        self.job: Job | None = None
        self.is_ready, self.reason = False, ""
        self.printed: list[str] = []
        self.began = self.heard = time.monotonic()

    @property
    def how(self) -> str:
        """How it ended; a hook."""
        return self.reason

    def take(self, job: Job) -> None:
        """Gives it a job; if it is dead already, its end tells."""
        self.job, self.began = job, time.monotonic()
        self.send(job)

    @abstractmethod
    def send(self, job: Job) -> None:
        """Sends it a job."""

    @abstractmethod
    def end(self) -> None:
        """Ends it, with what it has started."""

    def poll(self) -> None:  # noqa: B027 - most need none
        """Has it tell that it lives, where it does not do so by itself; a hook."""

    def keep(self, message: Mapping[str, Any]) -> None:  # noqa: B027 - nor this
        """Keeps what came with an outcome before that is told; a hook."""

    def is_late(self, child_seconds: float | None, now: float) -> bool:
        """Returns whether its job takes longer than one may."""
        return (
            child_seconds is not None and self.job is not None and now - self.began > child_seconds
        )


class WorkerExecutor(Executor):
    """Up to `workers` workers, started when there are jobs for them.

    A job goes to a worker that is ready, so that none waits for one that cannot start.

    Args:
        child_seconds: most seconds of one job; None sets no limit.
    """

    def __init__(self, workers: int, child_seconds: float | None = None) -> None:
        self.child_seconds = child_seconds
        self.workers: list[Worker | None] = [None] * workers
        self._jobs: deque[Job] = deque()
        self._failed: deque[Outcome] = deque()
        self._messages: Messages = SimpleQueue()
        self._deaths: Counter[int] = Counter()  # by trial
        self._false_starts: Counter[int] = Counter()  # by place, in a row
        self._looked = time.monotonic()  # for the silent, while somebody waits

    @abstractmethod
    def start_worker(self, place: int, messages: Messages) -> Worker:
        """Returns a new worker for one of the places, without waiting until it is ready."""

    def submit(self, job: Job) -> None:
        """Takes a job, and hands it to a worker that is free."""
        self._jobs.append(job)
        self._hand_out()

    def next_finished(self) -> Outcome:
        """Returns the next outcome.

        Raises: ChildProcessError: an evaluation raised an error, or workers cannot be started.
        """
        while True:
            self._hand_out()
            if self._failed:
                return self._failed.popleft()
            # once all that was said is heard; many workers leave no pause to wait for
            if self._messages.empty() and time.monotonic() - self._looked >= POLL_S:
                self._end_the_silent()
            try:
                worker, message = self._messages.get(timeout=POLL_S)
            except Empty:
                continue
            if worker in self.workers and (outcome := self._heard(worker, message)) is not None:
                return outcome

    def drain(self) -> Iterator[Outcome]:
        """Yields the outcomes of jobs that workers finish in `drain_seconds`; begins no other.

        An error of the evaluation ends its job alone: the search that resumes meets it again.
        """
        limit = time.monotonic() + self.drain_seconds
        while self.running() and (left := limit - time.monotonic()) > 0:
            outcome = None
            with suppress(Empty, ChildProcessError):
                worker, message = self._messages.get(timeout=left)
                outcome = self._heard(worker, message) if worker in self.workers else None
            if outcome is not None:
                yield outcome

    def close(self) -> None:
        """Ends the workers."""
        for worker in filter(None, self.workers):
            worker.end()
        self.workers = [None] * len(self.workers)
        self._jobs.clear()

    def running(self) -> list[Running]:
        """Returns the jobs of all workers."""
        now, jobs = time.monotonic(), list[Running]()
        for number, worker in enumerate([*self.workers], 1):
            job = None if worker is None else worker.job
            if worker is not None and job is not None:
                jobs.append(Running(number, job.trial, max(0.0, now - worker.began)))
        return jobs

    def _hand_out(self) -> None:
        present = [*filter(None, self.workers)]
        for worker in present:
            if self._jobs and worker.is_ready and worker.job is None:
                worker.take(self._jobs.popleft())
        starting = sum(not worker.is_ready for worker in present)
        for place, resident in enumerate(self.workers):
            if resident is None and starting < len(self._jobs):
                self.workers[place] = self.start_worker(place, self._messages)
                starting += 1

    def _heard(self, worker: Worker, message: Mapping[str, Any]) -> Outcome | None:
        """Notes a worker's message; returns the outcome that it tells, if it does."""
        worker.heard = time.monotonic()
        if "ready" in message:
            worker.is_ready = True
            del self._false_starts[self.workers.index(worker)]
        elif "reason" in message:
            worker.reason = message["reason"]
        elif "error" in message:
            worker.job = None
            error = ChildProcessError(message["error"])
            error.add_note(message["traceback"])
            raise error
        elif "ended" in message:
            self._bury(worker)
        elif "outcome" in message:
            worker.job = None
            worker.keep(message)
            return Outcome(**message["outcome"])
        return None

    def _bury(self, worker: Worker) -> None:
        """Frees the place of a worker that died, and repeats its job or gives it up."""
        worker.end()
        place = self.workers.index(worker)
        self.workers[place] = None
        if not worker.is_ready:
            self._false_starts[place] += 1
            if self._false_starts[place] == TRIES:
                raise ChildProcessError("\n".join([f"a worker {worker.how}", *worker.printed]))
        if (job := worker.job) is None:
            return
        number = job.trial.number
        self._deaths[number] += 1
        if self._deaths[number] < TRIES:
            self._jobs.appendleft(job)
            return
        reason = f"its worker {worker.how}, {TRIES} times in all"
        self._failed.append(Outcome(number, failure=reason))

    def _end_the_silent(self) -> None:
        now, workers = time.monotonic(), [*filter(None, self.workers)]
        is_back, self._looked = now - self._looked > AWAY_S, now
        for worker in workers if is_back else ():  # nobody has asked it whether it lives
            worker.heard = now
        can_wait = any(worker.is_ready for worker in workers)  # for those that start
        for worker in workers:
            silence = SILENCE_S if worker.is_ready else START_S
            if now - worker.heard > silence and (worker.is_ready or not can_wait):
                worker.reason = f"was silent for {silence:.0f} s"
            elif worker.is_late(self.child_seconds, now):
                worker.reason = f"took longer than hardware.child_seconds ({self.child_seconds:g})"
            else:
                worker.poll()
                continue
            self._bury(worker)
