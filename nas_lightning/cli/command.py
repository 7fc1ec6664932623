"""What every command shares: help, resume, sweeps, and one readable message for a mistake."""

import math
import os
import shlex
import sys
import traceback
import warnings
from contextlib import chdir
from functools import partial
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from nas_lightning import __version__
from nas_lightning.cli import launch
from nas_lightning.cli.command_line import (
    COMPLETION,
    MULTIRUN,
    check_groups,
    completed_line,
    new_sweep_folder,
    note_on_one_job,
    overrides_of,
    typed_folder,
    with_override,
)
from nas_lightning.cli.fork import Fork, fork_of
from nas_lightning.cli.interruption import RESUME, interruptible, interruption_of
from nas_lightning.cli.resume import (
    check_progress,
    check_unused,
    quoted,
    resume_arguments,
    resumed_folder,
    sweep_arguments,
    without_trust,
)
from nas_lightning.config import schema
from nas_lightning.config.help import help_text
from nas_lightning.config.messages import REFUSALS, message_of
from nas_lightning.config.paths import config_dir
from nas_lightning.config.sources import recorded_sources
from nas_lightning.config.trust import Trust
from nas_lightning.core.termination import Interruption
from nas_lightning.reports.terminal import say
from nas_lightning.run.folder import Before, RunFolder, RunLock
from nas_lightning.run.state import note_failure, resume_hint
from nas_lightning.run.sweep import ERROR_FILE, SweepJob, failed_jobs, overrides_of_jobs
from nas_lightning.run.sweep_table import summarise_sweep

__all__ = ["run"]

USAGE = 2  # as of argparse
PIPE_CLOSED = 141  # 128 + the signal's number
FULL_ERROR, SAFE_PATH = "HYDRA_FULL_ERROR", "PYTHONSAFEPATH"
OUTPUTS = "outputs"  # where runs land


def run(name: str, job: launch.Job | None = None) -> None:
    """Runs a command: parses sys.argv, composes the configuration, calls the job.

    A mistake ends in one message on standard error and exit status 1, without a traceback
    unless HYDRA_FULL_ERROR=1. An interruption (SIGINT, SIGTERM) of a run ends in exit status 75,
    which asks to resume it; before there is a run, in 128 + the signal's number. When a job of a
    sweep fails, the others run on.

    The job gets the configuration and the run's folder, and returns a value to a sweeper; None
    takes that of the command's module, imported when its work begins.

    Raises: SystemExit: the command failed.
    """
    try:
        _run(name, job, sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on, as with | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(PIPE_CLOSED) from None


def _run(name: str, job: launch.Job | None, arguments: list[str]) -> None:
    if not arguments and name in ("benchmark", "derive", "measure"):
        arguments = ["--help"]
    if "--version" in arguments:
        print(f"nas_lightning {__version__}")
        return
    try:
        if {"--help", "-h"} & set(arguments):
            print(help_text(name, arguments))
            return
        arguments = overrides_of(name, arguments)
    except ValueError as error:
        say(f"error: {error}", sys.stderr)
        raise SystemExit(USAGE) from None
    is_completion = bool(COMPLETION & set(arguments))
    if is_completion and "COMP_LINE" in os.environ:
        os.environ["COMP_LINE"] = completed_line(name, os.environ["COMP_LINE"])
    argv, before = sys.argv, {key: os.environ.get(key) for key in (FULL_ERROR, SAFE_PATH)}
    command = _Command(name, job, before[FULL_ERROR] not in (None, "", "0"))
    os.environ[FULL_ERROR] = "1"  # Hydra then raises, and leaves printing to us
    os.environ[SAFE_PATH] = "1"  # for a launcher's processes: no random.py of here before Python's
    try:
        with interruptible():
            command.run(arguments)
    except (Exception, Interruption, KeyboardInterrupt, SystemExit) as error:
        if is_completion:  # nothing is said in the middle of typing
            raise SystemExit(1) from None
        command.stop(error)
    finally:
        command.lock.release()
        sys.argv = argv
        for key in before:
            os.environ.pop(key, None)
        os.environ.update({key: value for key, value in before.items() if value is not None})


class _Command:
    """One call of a command; `wants_traceback` says where an error arose."""

    def __init__(self, name: str, job: launch.Job | None, wants_traceback: bool) -> None:
        self.name, self.job, self.wants_traceback = name, job, wants_traceback
        self.folder: Path | None = None
        self.failure: Exception | None = None
        self.jobs: dict[str, SweepJob] = {}  # of a resumed sweep
        self.is_resumed, self.trust = False, Trust()
        self.lock = RunLock()

    def run(self, arguments: list[str]) -> None:
        """Runs the job or, with -m, all of them and their summary."""
        schema.register()
        check_groups(arguments)
        resumed = resumed_folder(arguments)
        self.is_resumed = resumed is not None
        arguments, self.trust = without_trust(arguments, self.name)
        fork = fork_of(arguments, self.name, self.trust)
        if resumed is not None and resumed.is_sweep:
            self.jobs = SweepJob.by_folder(resumed.path)
            again = sweep_arguments(resumed, arguments, self.name, self.trust)
            with chdir(resumed.started_in):
                self._run_sweep(again, resumed.path)
            return
        if resumed is None and MULTIRUN & set(arguments):
            folder = new_sweep_folder(self.name, arguments)
            if note := note_on_one_job(arguments):
                say(note, sys.stderr)
            self._run_sweep(with_override(arguments, f"hydra.sweep.dir={quoted(folder)}"), folder)
            return
        if fork is not None:
            self._run_fork(fork)
        elif resumed is None:
            self._run_new(arguments)
        else:
            again = resume_arguments(resumed, arguments, self.name, self.trust)
            with chdir(resumed.started_in):
                self._start(again, self._run_one, resumed.path)
        if self.failure is not None:
            if self.folder is not None and self.lock.has(self.folder):
                note_failure(RunFolder(self.folder), message_of(self.failure))
            raise self.failure

    def _run_new(self, arguments: list[str]) -> None:
        """Runs a new run; one that is refused leaves no folder."""
        folder = typed_folder(self.name, arguments)
        before = Before.of(folder or Path(OUTPUTS, "new"))
        self._start(arguments, self._run_one, folder)
        is_unknown = folder is None and any("hydra.run.dir=" in each for each in arguments)
        if self.folder and isinstance(self.failure, REFUSALS) and not is_unknown:
            self.lock.forget(self.folder, before)

    def _run_fork(self, fork: Fork) -> None:
        """Prepares the folder of a fork and resumes it; one that is refused leaves no folder."""
        folder, self.is_resumed = fork.new_folder(), True
        before = Before.of(folder)
        self.lock.take(folder)
        try:
            again = resume_arguments(fork.begin(folder), [], self.name, self.trust)
            with chdir(fork.parent.started_in):
                self._start(again, self._run_one, folder)
        finally:
            if isinstance(self.failure or sys.exception(), REFUSALS):
                fork.forget()
                self.lock.forget(folder, before)

    def stop(self, error: BaseException) -> None:
        """Tells the user about an error and ends the command."""
        if interruption := interruption_of(error):
            hint = "" if self.folder is None else f"; {resume_hint(self.name, self.folder)}"
            say(f"error: {interruption}{hint}", sys.stderr)
            raise SystemExit(RESUME if self.folder else 128 + interruption.number)
        if isinstance(error, SystemExit | BrokenPipeError):
            raise error
        self._say(error, "error")
        raise SystemExit(1)

    def _start(self, arguments: list[str], task: launch.Job, folder: Path | None = None) -> None:
        """Has Hydra compose the configuration and call the task.

        A run's folder, where it is known by now, is locked before Hydra writes to it.
        """
        sys.argv = [sys.argv[0], *arguments]
        command = hydra.main(str(config_dir()), self.name, version_base="1.3")
        try:
            if folder is not None:
                self.lock.take(folder)
                if "--config-path" not in arguments:
                    check_unused(RunFolder(folder), f"resume={shlex.quote(str(folder))}")
            with warnings.catch_warnings():
                warnings.filterwarnings("error", "provider=hydra.searchpath", UserWarning)
                command(task)()
        except UserWarning as warning:
            raise ValueError(f"hydra.searchpath must name folders: {warning}") from None
        except OSError as error:  # a job's own errors do not come this way
            if isinstance(error, HydraException | BrokenPipeError):
                raise
            raise ValueError(
                f"the run's folder must be writable: {message_of(error)}; "
                "choose another one: hydra.run.dir=FOLDER"
            ) from error

    def _run_one(self, cfg: DictConfig) -> float | None:
        self.folder = Path(HydraConfig.get().runtime.output_dir)
        if self.is_resumed or HydraConfig.get().output_subdir is not None:
            (self.folder / ERROR_FILE).unlink(missing_ok=True)  # of the run before this one
        try:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise ValueError("a sweep must be typed as -m: it then gets its summary")
            return self._do(cfg, self.folder)
        except Exception as error:  # raised again outside of Hydra, which would print it
            self.failure = error
            return None

    def _run_sweep(self, arguments: list[str], folder: Path) -> None:
        self.folder, before = folder, Before.of(folder)
        lock = RunLock()  # beside that of the jobs, which goes with them to other processes
        lock.take(folder)
        try:
            self._start(arguments, self._run_job)
        except Exception as error:  # a launcher's own, as when the system kills one of its workers
            if not overrides_of_jobs(folder):
                lock.forget(folder, before)
                raise
            message = (
                f"the sweep ended early: {message_of(error)}; {resume_hint(self.name, folder)}"
            )
            raise ValueError(message) from error
        finally:
            summarise_sweep(folder)
            lock.release()
        if failed := failed_jobs(folder):
            names = ", ".join(failed)
            raise ValueError(
                f"{len(failed)} of the sweep's jobs failed: {names}; "
                f"{resume_hint(self.name, folder)}"
            )

    def _run_job(self, cfg: DictConfig) -> float | None:
        """Runs one job of a sweep; a failure is noted in its folder and is NaN to a sweeper."""
        folder = Path(HydraConfig.get().runtime.output_dir)
        (folder / ERROR_FILE).unlink(missing_ok=True)
        try:
            if job := self.jobs.get(os.path.relpath(folder, HydraConfig.get().sweep.dir)):
                cfg = job.restored(folder, list(HydraConfig.get().overrides.task))
                check_progress(RunFolder(folder))
            if self.is_resumed:
                self.trust.check(cfg, f"the run {folder}", recorded_sources(folder))
            return self._do(cfg, folder)
        except (Exception, SystemExit) as error:
            if interruption := interruption_of(error):
                raise interruption from None
            (folder / ERROR_FILE).write_text(message_of(error) + "\n", encoding="utf-8")
            self._say(error, f"error in {folder}")
            return math.nan
        finally:
            self.lock.release()

    def _do(self, cfg: DictConfig, folder: Path) -> float | None:
        """Does the job, in one process or several; no other command may write there meanwhile."""
        is_new = HydraConfig.get().output_subdir is not None
        if is_new:
            self.lock.take(folder)
        checked = schema.typed(cfg, self.name)
        job, home = self.job or launch.job_of(self.name), RunFolder(folder)
        if self.name == "show":
            job = partial(job, trust=self.trust)
        if is_new and not home.has_progress:
            home.begin()
            checked = launch.begun(self.name, checked, home, self.trust)
        return launch.run(self.name, job, checked, folder)

    def _say(self, error: BaseException, start: str) -> None:
        if self.wants_traceback:
            traceback.print_exception(error)
        say(f"{start}: {message_of(error)}", sys.stderr)
