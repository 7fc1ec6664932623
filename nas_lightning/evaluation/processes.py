"""An executor of processes on this machine, over pipes; their side is `evaluation.serving`."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from tempfile import TemporaryFile

from nas_lightning.core.termination import signal_name
from nas_lightning.evaluation.executors import Job
from nas_lightning.evaluation.workers import Messages, Worker, WorkerExecutor

__all__ = ["ProcessExecutor"]

OUT_OF_MEMORY = ", as the system does where memory runs out"
LINES = 5  # of what a worker printed last, shown where it ends badly


class ProcessExecutor(WorkerExecutor):
    """Up to `workers` processes, started when there are jobs for them.

    Args:
        start: the command line of a worker; what it prints is shown only where it ends badly.
        child_seconds: most seconds of one job; None sets no limit.
        devices: the GPUs that workers take in turn, as CUDA_VISIBLE_DEVICES names them.
        threads: CPU threads of a worker; None as many as here.
    """

    def __init__(
        self,
        start: Sequence[str],
        workers: int,
        child_seconds: float | None = None,
        devices: Sequence[str] = (),
        threads: int | None = None,
    ) -> None:
        super().__init__(workers, child_seconds)
        self.start, self.devices, self.threads = start, devices, threads

    def start_worker(self, place: int, messages: Messages) -> Worker:
        """Returns a process that has the GPU of its place."""
        devices = self.devices
        env = {"CUDA_VISIBLE_DEVICES": devices[place % len(devices)]} if devices else {}
        return _Process(self.start, env, messages)


class _Process(Worker):
    """One process, whose messages are lines of its standard output."""

    def __init__(self, start: Sequence[str], env: Mapping[str, str], messages: Messages) -> None:
        super().__init__()
        self._errors = TemporaryFile()  # noqa: SIM115 - it is the process's as well
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        # a SIGTERM is the driver's to answer: the process inherits that it is blocked (see `serve`)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            self.process = subprocess.Popen(
                start,
                env=os.environ | {"PYTHONPATH": path} | dict(env),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,  # Control-C reaches the driver alone
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        threading.Thread(target=self._read, args=(messages,), daemon=True).start()

    @property
    def how(self) -> str:
        """How it ended."""
        if self.reason:
            return self.reason
        status = self.process.returncode
        if status >= 0:
            return f"ended with status {status}"
        killed = f"was killed ({signal_name(-status)})"
        return killed + (OUT_OF_MEMORY if -status == signal.SIGKILL else "")

    def send(self, job: Job) -> None:
        """Writes a job to its standard input."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # the thread that reads sees its end
            self.process.stdin.write(json.dumps(job.as_dict()).encode() + b"\n")
            self.process.stdin.flush()

    def end(self) -> None:
        """Ends it, with what it has started, and reads the last lines that it `printed`."""
        with suppress(ProcessLookupError, PermissionError):  # it has ended; the latter: on macOS
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # of a job that it has not read
            self.process.stdin.close()
        with self._errors as errors:
            errors.seek(0)
            self.printed = errors.read().decode(errors="replace").splitlines()[-LINES:]

    def _read(self, messages: Messages) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                if line.endswith(b"\n"):  # else it died while it wrote
                    messages.put((self, json.loads(line)))
        messages.put((self, {"ended": True}))
