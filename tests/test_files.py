"""Files appear whole or not at all; locks end with their process, however it ends."""

import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
import time

import pytest

from nas_lightning.files import (
    LockedError,
    NoRoomError,
    ProcessLock,
    append_text,
    is_locked,
    replacing,
    write_json,
    write_text,
)

HOLD = """
import os, sys, time
from pathlib import Path
from nas_lightning.files import ProcessLock

lock = ProcessLock(Path(sys.argv[1])).take()
child = os.fork() if "fork" in sys.argv else 0
if not child:  # the fork, once it has closed what it inherited
    print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.fixture
def hold():
    """Starts a process that holds the lock of a path; gives it and the line that it printed."""
    processes = []

    def hold(path, *arguments):
        command = [sys.executable, "-c", HOLD, str(path), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process, process.stdout.readline().strip()

    yield hold
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_text_is_written_with_its_folders(tmp_path):
    write_text(tmp_path / "a" / "b.txt", "gr\u00fcn")
    assert (tmp_path / "a" / "b.txt").read_text(encoding="utf-8") == "gr\u00fcn"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_json_has_no_nan_and_no_infinity(tmp_path):
    write_json(tmp_path / "a.json", {"r2": math.nan, "all": [1.5, (-math.inf, 2, "NaN", True)]})
    content = json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)
    assert content == {"r2": None, "all": [1.5, [None, 2, "NaN", True]]}


def test_a_file_that_grows_is_named_where_its_disk_is_full(tmp_path):
    path, (before, most) = tmp_path / "rows.csv", resource.getrlimit(resource.RLIMIT_FSIZE)
    append_text(path, "1\n")
    resource.setrlimit(resource.RLIMIT_FSIZE, (3, most))
    try:
        with pytest.raises(NoRoomError, match=r"rows\.csv cannot be written \(File too large; "):
            append_text(path, "2\n3\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def test_a_file_that_may_not_be_written_is_no_full_disk(tmp_path):
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path, "text")


def test_an_error_that_is_not_of_writing_is_no_full_disk(tmp_path):
    with pytest.raises(RuntimeError, match="shared"), replacing(tmp_path / "a"):
        raise RuntimeError("shared")


def test_an_error_while_a_file_is_written_leaves_the_old_one_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(TypeError), replacing(path) as temporary:
        temporary.write_bytes("half")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_that_another_process_has_names_it(hold, tmp_path):
    path = tmp_path / "folder" / "lock"
    process, _ = hold(path)
    with pytest.raises(LockedError, match=rf"^process {process.pid} on \S+$"):
        ProcessLock(path).take()


def test_a_lock_is_looked_at_without_being_taken(hold, tmp_path):
    path = tmp_path / "lock"
    assert not is_locked(path)
    hold(path)
    assert is_locked(path)
    with ProcessLock(tmp_path / "mine").take():
        assert is_locked(tmp_path / "mine")
    assert not is_locked(tmp_path / "mine")


def test_a_lock_may_be_taken_again_once_it_is_released(tmp_path):
    path = tmp_path / "lock"
    with ProcessLock(path).take(), pytest.raises(LockedError, match=rf"process {os.getpid()} on"):
        ProcessLock(path).take()
    with ProcessLock(path).take():
        assert path.read_text().startswith(f"process {os.getpid()} on ")


def test_a_killed_process_gives_its_lock_up_though_a_fork_of_it_lives(hold, tmp_path):
    process, child = hold(tmp_path / "lock", "fork")
    process.kill()
    process.wait()
    try:
        os.kill(int(child), 0)  # it lives
        ProcessLock(tmp_path / "lock").take().release()
    finally:
        os.kill(int(child), signal.SIGKILL)


def test_a_fork_that_ends_does_not_release_the_lock_of_its_process(hold, tmp_path):
    process, child = hold(tmp_path / "lock", "fork")
    os.kill(int(child), signal.SIGKILL)
    time.sleep(0.2)
    with pytest.raises(LockedError, match=rf"process {process.pid} on"):
        ProcessLock(tmp_path / "lock").take()


def test_waiting_for_a_lock_says_so_once_and_ends_when_it_is_free(hold, tmp_path, capsys):
    process, _ = hold(tmp_path / "lock")
    threading.Timer(0.3, process.kill).start()
    started = time.monotonic()
    with ProcessLock(tmp_path / "lock").wait("waiting for the other"):
        assert time.monotonic() - started > 0.2
    assert capsys.readouterr().err == "waiting for the other\n"


def test_a_free_lock_is_taken_without_a_word(tmp_path, capsys):
    ProcessLock(tmp_path / "lock").wait("waiting").release()
    assert capsys.readouterr().err == ""
