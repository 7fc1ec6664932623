"""An executor of worker processes on this machine, over pipes; `evaluation.serving` is their side.

A worker builds its data once and lives on. One that dies is replaced and its job repeated; a job
whose worker dies again and again fails with the reason. What a worker does is seen by its
messages: it sends one every few seconds, so that nobody waits for one that stands still.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from tempfile import TemporaryFile
from typing import Any

from nas_lightning.evaluation.executors import Executor, Job, Outcome

__all__ = ["ProcessExecutor"]

TRIES = 3  # of a job, and of starting a worker
SILENCE_S = 120.0  # without a message after which a worker counts as dead; one comes every 5 s
START_S = 900.0  # the same before it is ready: until it has imported everything it says nothing
POLL_S = 0.5
LINES = 5  # of what a worker printed last, shown where it ends badly


class ProcessExecutor(Executor):
    """Up to `workers` processes, started when there are jobs for them.

    Args:
        start: the command line of a worker; what it prints is shown only where it ends badly.
        child_seconds: most seconds of one job; None sets no limit.
        devices: the GPUs that workers take in turn, as CUDA_VISIBLE_DEVICES names them.
    """

    def __init__(
        self,
        start: Sequence[str],
        workers: int,
        child_seconds: float | None = None,
        devices: Sequence[str] = (),
    ) -> None:
        self.start, self.child_seconds, self.devices = start, child_seconds, devices
        self.workers: list[_Worker | None] = [None] * workers
        self._jobs: deque[Job] = deque()
        self._failed: deque[Outcome] = deque()
        self._messages: SimpleQueue[tuple[_Worker, Mapping[str, Any]]] = SimpleQueue()
        self._deaths: Counter[int] = Counter()  # by trial
        self._false_starts = 0  # in a row

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
            try:
                worker, message = self._messages.get(timeout=POLL_S)
            except Empty:
                self._end_the_silent()
                continue
            if worker in self.workers and (outcome := self._heard(worker, message)) is not None:
                return outcome

    def close(self) -> None:
        """Ends the workers."""
        for worker in filter(None, self.workers):
            worker.end()
        self.workers = [None] * len(self.workers)
        self._jobs.clear()

    def _hand_out(self) -> None:
        for index, worker in enumerate(self.workers):
            if self._jobs and (worker is None or worker.job is None):
                if worker is None:
                    devices = self.devices
                    env = {"CUDA_VISIBLE_DEVICES": devices[index % len(devices)]} if devices else {}
                    worker = self.workers[index] = _Worker(self.start, env, self._messages)
                worker.take(self._jobs.popleft())

    def _heard(self, worker: "_Worker", message: Mapping[str, Any]) -> Outcome | None:
        """Notes a worker's message; returns the outcome that it tells, if it does."""
        worker.heard = time.monotonic()
        if "ready" in message:
            worker.is_ready, worker.began, self._false_starts = True, worker.heard, 0
        elif "reason" in message:
            worker.reason = message["reason"]
        elif "error" in message:
            error = ChildProcessError(message["error"])
            error.add_note(message["traceback"])
            raise error
        elif "ended" in message:
            self._bury(worker)
        elif "outcome" in message:
            worker.job = None
            return Outcome(**message["outcome"])
        return None

    def _bury(self, worker: "_Worker") -> None:
        """Frees the place of a worker that died, and repeats its job or gives it up."""
        worker.end()
        self.workers[self.workers.index(worker)] = None
        if not worker.is_ready:
            self._false_starts += 1
            if self._false_starts == TRIES:
                raise ChildProcessError("\n".join([f"a worker {worker.how}", *worker.printed]))
        if (job := worker.job) is None:
            return
        number = job.trial.number
        self._deaths[number] += worker.is_ready
        if self._deaths[number] < TRIES:
            self._jobs.appendleft(job)
            return
        reason = f"its worker {worker.how}, {TRIES} times in all"
        self._failed.append(Outcome(number, failure=reason))

    def _end_the_silent(self) -> None:
        now = time.monotonic()
        for worker in filter(None, list(self.workers)):
            silence = SILENCE_S if worker.is_ready else START_S
            if now - worker.heard > silence:
                worker.reason = f"was silent for {silence:.0f} s"
            elif worker.is_late(self.child_seconds, now):
                worker.reason = f"took longer than hardware.child_seconds ({self.child_seconds:g})"
            else:
                continue
            self._bury(worker)


class _Worker:
    """One process; its messages come with it into a queue."""

    def __init__(
        self,
        start: Sequence[str],
        env: Mapping[str, str],
        messages: "SimpleQueue[tuple[_Worker, Mapping[str, Any]]]",
    ) -> None:
        self.job: Job | None = None
        self.is_ready, self.reason = False, ""
        self.printed: list[str] = []
        self.began = self.heard = time.monotonic()
        self._errors = TemporaryFile()  # noqa: SIM115 - it is the process's as well
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self.process = subprocess.Popen(
            start,
            env=os.environ | {"PYTHONPATH": path} | dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # Control-C reaches the driver alone
        )
        threading.Thread(target=self._read, args=(messages,), daemon=True).start()

    @property
    def how(self) -> str:
        """How it ended."""
        if self.reason:
            return self.reason
        status = self.process.returncode
        if status >= 0:
            return f"ended with status {status}"
        return f"was killed ({signal.Signals(-status).name})"

    def take(self, job: Job) -> None:
        """Gives it a job; if it is dead already, its end tells."""
        self.job, self.began = job, time.monotonic()
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # the thread that reads sees its end
            self.process.stdin.write(json.dumps(job.as_dict()).encode() + b"\n")
            self.process.stdin.flush()

    def is_late(self, child_seconds: float | None, now: float) -> bool:
        """Returns whether its job takes longer than one may."""
        is_busy = child_seconds is not None and self.is_ready and self.job is not None
        return is_busy and now - self.began > (child_seconds or 0.0)

    def end(self) -> None:
        """Ends it, with what it has started, and reads the last lines that it `printed`."""
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # of a job that it has not read
            self.process.stdin.close()
        with self._errors as errors:
            errors.seek(0)
            self.printed = errors.read().decode(errors="replace").splitlines()[-LINES:]

    def _read(self, messages: "SimpleQueue[tuple[_Worker, Mapping[str, Any]]]") -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                if line.endswith(b"\n"):  # else it died while it wrote
                    messages.put((self, json.loads(line)))
        messages.put((self, {"ended": True}))
