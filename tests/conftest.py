"""What all tests share."""

import io
import os
import sys
from contextlib import redirect_stdout

import pytest
import quick_job
import torch
from command import PUBLISHED, RANDOM, TINY_RANDOM, run, search_into

from nas_lightning import cli


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Small networks are faster on one thread, and tests beside others keep their pace."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of a finished one-shot search; what it printed is in printed.txt beside it."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    printed = io.StringIO()
    with redirect_stdout(printed):
        search_into(folder)
    (folder.parent / "printed.txt").write_text(printed.getvalue())
    return folder


@pytest.fixture(scope="session")
def searched(tmp_path_factory):
    """The folder of the same search without retraining."""
    folder = tmp_path_factory.mktemp("searched") / "run"
    search_into(folder, "retrain=false")
    return folder


@pytest.fixture(scope="session")
def finished_random(tmp_path_factory):
    """The folder of a finished black-box search."""
    folder = tmp_path_factory.mktemp("random") / "run"
    run("search", f"hydra.run.dir={folder}", *TINY_RANDOM, *RANDOM)
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The folder of a child of a published genotype, trained with a part held out."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    run("train", f"hydra.run.dir={folder}", *PUBLISHED, "child.validation_share=0.2")
    return folder


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
