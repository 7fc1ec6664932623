"""A command in several processes: what it leaves, and every way to end it."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from command import PLANTED, TINY, bits, rows
from plain_context import ONE_SHOT

from nas_lightning.run.black_box import BlackBoxSearch
from nas_lightning.run.run import Run
from nas_lightning.strategies.random_search import RandomSearch

LONG = tuple("strategy.epochs=6" if o.startswith("strategy") else o for o in TINY)
TWO = (*LONG, "hardware=ddp_cpu", "hardware.threads=1", "retrain=false")

EXACT = (
    *PLANTED,
    "data.source.images=400",
    "strategy.epochs=3",
    "search_space.scale.channels=2",
    "search_space.scale.batch_norm=fixed",
    "hardware.precision=64-true",
    "callbacks=silent",
    "retrain=false",
)
FEW = {
    "enas": ["strategy.steps=5"],
    "pc_darts": ["strategy.partial=1"],
    "tangle": ["search_space=chain", "search_space.depths=[2]"],  # it needs elastic sizes
}
FOLDERS = ("cpu", "ddp_cpu")


def start(*arguments):
    command = [sys.executable, "-m", "nas_lightning", "search", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def end_of(process):
    """Returns a process's exit status and the last line of what it said."""
    said = process.communicate(timeout=300)[1].strip().splitlines()
    return process.returncode, said[-1] if said else ""


def ranks_of(parent):
    """Returns the process ids of a command's ranks, in their order."""
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    return sorted(map(int, children))


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, seconds=120.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it took too long"
        time.sleep(0.02)


def has_told(folder, epoch):
    """Returns whether a search has written what it prefers after an epoch."""
    told = folder / "alphas.csv"
    return told.exists() and f"\n{epoch}," in told.read_text()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of an unbroken search in two processes."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert end_of(start(f"hydra.run.dir={folder}", *TWO))[0] == 0
    return folder


@pytest.fixture
def running(tmp_path):
    """A search in two processes that has saved its first epoch, and its folder."""
    folder = tmp_path / "run"
    with start(f"hydra.run.dir={folder}", *TWO) as process:
        wait_for((folder / "checkpoints" / "last.ckpt").exists)
        yield process, folder
        process.kill()


@pytest.mark.slow
@pytest.mark.ddp
def test_a_killed_rank_ends_the_run_with_its_name_and_the_run_resumes(running, whole):
    process, folder = running
    os.kill(ranks_of(process)[1], signal.SIGKILL)
    status, said = end_of(process)
    assert status == 1
    assert said.startswith("error: rank 1 of 2 (process ")
    assert said.endswith(f"nas-search resume={folder} resumes it")
    assert end_of(start(f"resume={folder}"))[0] == 0
    assert bits(folder) == bits(whole)


@pytest.mark.slow
@pytest.mark.ddp
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_resume_and_resumes(running, whole, number):
    process, folder = running
    ranks = ranks_of(process)
    process.send_signal(number)
    status, said = end_of(process)
    assert status == 75
    assert said.endswith(f"ed; nas-search resume={folder} resumes it")
    assert not any(map(is_alive, ranks))
    assert end_of(start(f"resume={folder}"))[0] == 0
    assert bits(folder) == bits(whole)


@pytest.mark.slow
@pytest.mark.ddp
def test_a_killed_command_leaves_no_ranks_and_no_lock(running, whole):
    process, folder = running
    ranks = ranks_of(process)
    process.kill()
    wait_for(lambda: not any(map(is_alive, ranks)), 5.0)
    assert end_of(start(f"resume={folder}"))[0] == 0
    assert bits(folder) == bits(whole)


@pytest.mark.slow
@pytest.mark.ddp
def test_a_second_command_in_the_folder_is_refused_while_the_first_one_works(running):
    _, folder = running
    for arguments in ([f"resume={folder}"], [f"hydra.run.dir={folder}", *TWO]):
        status, said = end_of(start(*arguments))
        assert status == 1
        assert said.startswith(f"error: the folder {folder} must not be used by two runs at once")


@pytest.mark.slow
@pytest.mark.ddp
@pytest.mark.parametrize("order", ["first", "second"])
def test_ddp_cpu_writes_the_alphas_of_cpu(tmp_path, order):
    exact = (f"strategy.order={order}", "hardware.precision=64-true", "retrain=false")
    for hardware in ("cpu", "ddp_cpu"):
        folder = tmp_path / hardware
        typed = (*TINY, *exact, "search_space.scale.batch_norm=fixed", f"hardware={hardware}")
        assert end_of(start(f"hydra.run.dir={folder}", *typed))[0] == 0
    one, two = (rows(tmp_path / name / "alphas.csv") for name in ("cpu", "ddp_cpu"))
    expected = [float(row["weight"]) for row in one]
    assert [float(row["weight"]) for row in two] == pytest.approx(expected, rel=0, abs=1e-9)


@pytest.mark.slow
@pytest.mark.ddp
@pytest.mark.parametrize("name", ONE_SHOT)
def test_ddp_cpu_finds_what_cpu_finds_with_every_strategy(tmp_path, name):
    typed = (*EXACT, f"strategy={name}", *FEW.get(name, ()))
    for hardware in FOLDERS:
        folder = tmp_path / hardware
        assert end_of(start(f"hydra.run.dir={folder}", *typed, f"hardware={hardware}"))[0] == 0
    one, two = (rows(tmp_path / each / "alphas.csv") for each in FOLDERS)
    expected = [float(row.pop("weight")) for row in one]
    assert [float(row.pop("weight")) for row in two] == pytest.approx(expected, rel=0, abs=1e-9)
    assert two == one
    found = [json.loads((tmp_path / each / "result.json").read_text()) for each in FOLDERS]
    assert found[0]["genotype_id"] == found[1]["genotype_id"]


@pytest.mark.slow
@pytest.mark.ddp
@pytest.mark.parametrize("name", ONE_SHOT)
def test_a_pair_killed_in_every_epoch_ends_with_the_same_bits(tmp_path, name):
    typed = (*EXACT, "hardware=ddp_cpu", f"strategy={name}", *FEW.get(name, ()))
    assert end_of(start(f"hydra.run.dir={tmp_path / 'whole'}", *typed))[0] == 0
    folder = tmp_path / "run"
    typed = (f"hydra.run.dir={folder}", *typed)
    for epoch in range(2):
        with start(*typed) as process:
            wait_for(partial(has_told, folder, epoch))
            os.kill(ranks_of(process)[epoch], signal.SIGKILL)
            assert end_of(process)[0] == 1
        typed = (f"resume={folder}",)
    assert end_of(start(*typed))[0] == 0
    assert bits(folder) == bits(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.ddp
def test_the_jobs_of_a_sweep_may_have_several_processes_each(tmp_path):
    two = (*TINY, "hardware=ddp_cpu", "hardware.threads=1")
    status, _ = end_of(start("-m", f"hydra.sweep.dir={tmp_path}", *two, "seed=0,1"))
    assert status == 0
    assert (tmp_path / "1" / "result.json").is_file()


def test_a_black_box_search_in_several_processes_is_refused_with_the_cure():
    parts = SimpleNamespace(hardware=SimpleNamespace(num_processes=2))
    strategy = object.__new__(RandomSearch)
    message = (
        r"hardware.devices \(2\) must be 1 for strategy RandomSearch, which trains small "
        r"children one after another: use hardware=cpu or hardware=gpu with retrain=false, then "
    )
    with pytest.raises(ValueError, match=message):
        BlackBoxSearch.of(Run({}, None, parts), strategy, None)
