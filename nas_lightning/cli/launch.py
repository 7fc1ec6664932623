"""Several processes for one run, which the command starts and watches."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from omegaconf import DictConfig

from nas_lightning.cli.idle_threads import sleeping
from nas_lightning.cli.interruption import RESUME
from nas_lightning.config.making import make
from nas_lightning.core.termination import Interruption, signal_name
from nas_lightning.run.state import resume_hint

__all__ = ["REPORT", "Job", "RankError", "Ranks", "begun", "job_of", "num_processes", "run"]

Job = Callable[..., float | None]  # of a configuration and the run's folder

GRACE_S = 10.0  # for the ranks to end by themselves once one of them has ended badly
POLL_S = 0.1
PORTS = range(20000, 30000)  # below those that systems give away for outgoing connections
REPORT = "NAS_LIGHTNING_REPORT"  # names the file in which a rank says how it ended


class RankError(ChildProcessError):
    """A rank has ended badly; the message says which one and how."""


def job_of(command: str) -> Job:
    """Returns the job of a command, whose module is imported now."""
    job: Job = import_module(f"nas_lightning.commands.{command}").job
    return job


def begun(command: str, *arguments: Any) -> DictConfig:
    """Returns the configuration of a run that begins: `run.origin.begun`, imported now."""
    if command == "benchmark":  # trains nothing, and needs no Lightning
        return cast(DictConfig, arguments[0])
    cfg: DictConfig = import_module("nas_lightning.run.origin").begun(command, *arguments)
    return cfg


def run(command: str, job: Job, cfg: DictConfig, folder: Path) -> float | None:
    """Runs a command's job here, or in as many processes as its hardware asks for.

    Ranks read the configuration in the run's folder. Returns what the job returns in rank 0.

    Raises:
        RankError: a rank has ended badly.
        ValueError: the job refuses a value.
    """
    number = num_processes(cfg)
    if number == 1 or (folder / "result.json").is_file():
        return job(cfg, folder)
    # -P: the current folder stands where it does here, not before the standard library
    start = [sys.executable, "-P", "-m", "nas_lightning.cli.rank", command, str(folder)]
    with TemporaryDirectory(prefix="nas-ranks-") as scratch:
        try:
            value = Ranks(start, number, Path(scratch)).wait()
        except RankError as error:
            error.args = (f"{error}; {resume_hint(command, folder)}",)
            raise
    return None if value is None else float(value)


def num_processes(cfg: DictConfig) -> int:
    """Returns how many processes the hardware of a configuration asks for."""
    if "hardware" not in cfg or cfg.hardware.get("devices", 1) == 1:
        return 1
    return int(make(cfg.hardware, "hardware").num_processes)


class Ranks:
    """The processes of one run.

    A rank's standard input is a pipe that ends with this process, however that ends; a rank that
    reads its end must end too (see `cli.rank`). Ranks have sessions of their own, so that Control-C
    reaches this process alone. What rank 0 prints is seen; the last lines of another rank are
    shown where it ends badly. `start` is the command line of a rank, `scratch` an empty folder.
    """

    def __init__(self, start: Sequence[str], number: int, scratch: Path) -> None:
        self.scratch = scratch
        self.stopped: set[int] = set()  # by this process
        self.early: list[int] = []  # those that were seen to have ended badly before all others
        self.processes: list[subprocess.Popen[bytes]] = []
        port = _free_port()
        for rank in range(number):
            self.processes.append(self._start(start, rank, number, port))

    def wait(self) -> Any:
        """Waits until all ranks are done; returns what rank 0 reports.

        Raises:
            RankError: one of them has ended badly; the others are ended.
            ValueError: the ranks refuse a value, all of them alike.
            Interruption: this process or a rank was interrupted; all ranks are ended.
        """
        try:
            while None in (statuses := [process.poll() for process in self.processes]):
                if any(statuses):
                    self.early = [rank for rank, status in enumerate(statuses) if status]
                    self._end(GRACE_S)
                time.sleep(POLL_S)
        except BaseException:
            for process in self.processes:
                process.terminate()
            self._end(GRACE_S)
            raise
        finally:
            self._end(0.0)
        if any(process.returncode for process in self.processes):
            raise self._failure()
        return self._reports()[0]["value"]

    def _start(
        self, start: Sequence[str], rank: int, number: int, port: int
    ) -> subprocess.Popen[bytes]:
        env = os.environ | sleeping(os.environ)
        env |= {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "WORLD_SIZE": str(number),
            "NODE_RANK": "0",
            "LOCAL_RANK": str(rank),
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
            REPORT: str(self.scratch / f"rank-{rank}.json"),
        }
        options: dict[str, Any] = {"env": env, "stdin": subprocess.PIPE, "start_new_session": True}
        if rank == 0:
            return subprocess.Popen(start, **options)
        with self._printed(rank).open("wb") as printed:
            return subprocess.Popen(start, stdout=printed, stderr=subprocess.STDOUT, **options)

    def _end(self, grace_s: float) -> None:
        """Gives the ranks some time to end by themselves, then ends them."""
        limit = time.monotonic() + grace_s
        while time.monotonic() < limit and None in [p.poll() for p in self.processes]:
            time.sleep(POLL_S)
        for rank, process in enumerate(self.processes):
            if process.poll() is None:
                self.stopped.add(rank)
                os.killpg(process.pid, signal.SIGKILL)  # with the workers that it has started
                process.wait()
            assert process.stdin is not None
            process.stdin.close()

    def _failure(self) -> BaseException:
        """Returns what to raise for the rank whose end was the first."""
        reports = self._reports()
        for rank in sorted(range(len(self.processes)), key=lambda rank: rank not in self.early):
            process = self.processes[rank]
            if process.returncode < 0 and rank not in self.stopped:
                how = signal_name(-process.returncode)
                return RankError(f"{self._name(rank)} (process {process.pid}) was killed ({how})")
            if process.returncode == RESUME:
                return Interruption(signal.SIGTERM)
        if not (failed := [r for r in reports if "message" in reports[r]]):
            return self._unexplained()
        first = min(failed, key=lambda rank: float(reports[rank]["time"]))
        message = reports[first]["message"]
        if reports[first]["is_mistake"] and all(
            reports[rank]["message"] == message for rank in failed
        ):
            return ValueError(message)
        error = RankError(f"{self._name(first)}: {message}")
        error.add_note(reports[first]["traceback"])
        return error

    def _unexplained(self) -> RankError:
        rank = next(r for r, p in enumerate(self.processes) if p.returncode)
        printed = self._printed(rank)
        lines = printed.read_text(errors="replace").splitlines()[-5:] if printed.exists() else []
        status = self.processes[rank].returncode
        return RankError("\n".join([f"{self._name(rank)} ended with status {status}", *lines]))

    def _name(self, rank: int) -> str:
        return f"rank {rank} of {len(self.processes)}"

    def _printed(self, rank: int) -> Path:
        return self.scratch / f"rank-{rank}.txt"

    def _reports(self) -> dict[int, dict[str, Any]]:
        paths = {r: self.scratch / f"rank-{r}.json" for r in range(len(self.processes))}
        return {r: json.loads(path.read_text()) for r, path in paths.items() if path.exists()}


def _free_port() -> int:
    """Returns a port that nobody listens on; others may start ranks in the same moment."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as attempt:
            try:
                attempt.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no port between {PORTS[0]} and {PORTS[-1]} is free for the ranks")
