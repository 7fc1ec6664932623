"""What all tests share."""

import fcntl
import gc
import io
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import quick_job
import torch
from command import PUBLISHED, RANDOM, TINY_RANDOM, run, search_into
from spared import (  # noqa: F401 - fixtures of all tests
    composed_for_both,
    composed_once,
    merged_once,
    read_once,
    scanned_once,
)

from nas_lightning.cli import command as cli
from nas_lightning.networks import native
from nas_lightning.reports import page

ROOT = Path(__file__).parent.parent
REPORT = "nas_lightning.run.outcome.write_report"


@pytest.fixture(autouse=True, scope="session")
def importable():
    """Lets the processes that tests start import what the tests import."""
    paths = [str(Path(__file__).with_name("support")), str(ROOT / "benchmarks")]
    paths += [path for path in [os.environ.get("PYTHONPATH")] if path]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        yield


@pytest.fixture(autouse=True, scope="session")
def own_state(tmp_path_factory):
    """Keeps what commands note of the user's own code out of the home of who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True, scope="session")
def unwrapped():
    """Leaves messages on one line, however wide the terminal is that runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        os.unsetenv("COLUMNS")  # for processes: readline sets it behind Python's back
        yield


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Small networks are faster on one thread, and tests beside others keep their pace."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="module")
def kernels_of_torch():
    """Lets a file's fixtures begin with torch's kernels, whatever another file's have chosen."""
    native.choose("torch")


@pytest.fixture(autouse=True)
def own_kernels():
    """Keeps the kernels that a test chooses to itself; without a choice they are torch's."""
    native.choose("torch")
    yield
    native.choose("torch")


@pytest.fixture(autouse=True, scope="session")
def collected_rarely():
    """Lets the garbage collector pass over what was imported, which takes a tenth of the time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Makes a folder once for all workers of the session: they read it and leave it as it is."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def once(name, make):
        folder = shared / "once" / name
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("a") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            if not (folder / "made").exists():
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(REPORT, page.write_report)  # also in a file that has none
                    make(folder / "run")
                (folder / "made").touch()
        return folder / "run"

    return once


@pytest.fixture(scope="module")
def unreported():
    """Lets the runs of a file write no report, which takes a fifth of the time of a small one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(REPORT, lambda *_: None)
        yield


@pytest.fixture
def reported(unreported, monkeypatch):
    """Lets the runs of a test write their report all the same."""
    monkeypatch.setattr(REPORT, page.write_report)


@pytest.fixture(scope="session")
def finished(once):
    """The folder of a finished one-shot search; what it printed is in printed.txt beside it."""

    def make(folder):
        printed = io.StringIO()
        with redirect_stdout(printed):
            search_into(folder)
        (folder.parent / "printed.txt").write_text(printed.getvalue())

    return once("finished", make)


@pytest.fixture(scope="session")
def searched(once):
    """The folder of the same search without retraining."""
    return once("searched", lambda folder: search_into(folder, "retrain=false"))


@pytest.fixture(scope="session")
def finished_random(once):
    """The folder of a finished black-box search."""
    arguments = (*TINY_RANDOM, *RANDOM)
    return once("random", lambda folder: run("search", f"hydra.run.dir={folder}", *arguments))


@pytest.fixture(scope="session")
def trained(once):
    """The folder of a child of a published genotype, trained with a part held out."""
    arguments = (*PUBLISHED, "child.validation_share=0.2")
    return once("trained", lambda folder: run("train", f"hydra.run.dir={folder}", *arguments))


@pytest.fixture
def protect():
    """Takes the right to write, or another one, off a path; skips where that has no effect."""
    protected = []

    def protect(path, mode=0o500, right=os.W_OK):
        protected.append((path, path.stat().st_mode))
        path.chmod(mode)
        if os.access(path, right):
            pytest.skip("permissions do not bind the user who runs the tests")

    yield protect
    for path, mode in protected:
        path.chmod(mode)


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Calls a command with a job that takes no time, in an empty folder; gives its exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def call(*arguments, command="search", job=quick_job.job):
        monkeypatch.setattr(sys, "argv", [f"nas-{command}", *arguments])
        try:
            cli.run(command, job)
        except SystemExit as stop:
            return stop.code
        return 0

    return call


@pytest.fixture(scope="session")
def offline(tmp_path_factory):
    """Lets Weights & Biases work without a network, and ends its service with the tests."""
    import wandb

    folder = tmp_path_factory.mktemp("wandb_home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        for name in ("CACHE", "CONFIG", "DATA"):
            patch.setenv(f"WANDB_{name}_DIR", str(folder))
        wandb.teardown()  # it reads the environment once
        yield
        wandb.teardown()


@pytest.fixture(scope="session")
def shown(tmp_path_factory, offline):
    """The folder of a finished search on both dashboards, beside a logger for every failure."""
    from failing_logger import METHODS, warnings_of

    folder = tmp_path_factory.mktemp("shown") / "run"
    failing = [
        f"+logger.{method}_fails={{_target_: failing_logger.FailingLogger, method: {method}}}"
        for method in METHODS
    ]
    with warnings_of("nas_lightning.loggers.dashboard") as told:
        search_into(folder, "logger=[wandb,tensorboard]", "logger.wandb.tags=[quick]", *failing)
    (folder.parent / "told.txt").write_text("\n".join(told))
    return folder


@pytest.fixture(scope="session")
def runs(shown):
    """The logged runs by job type."""
    from wandb_log import read_run

    found = [read_run(folder) for folder in sorted((shown / "wandb").glob("offline-run-*"))]
    assert len(found) == 2, "baselines have no runs"
    return {each.job_type: each for each in found}
