"""One run a folder at a time."""

import subprocess
import sys

import pytest

from nas_lightning.run.folder import RunLock

HOLDER = """
import sys, time
from pathlib import Path
from nas_lightning.run.folder import RunLock
lock = RunLock()
lock.take(Path(sys.argv[1]))
print("taken", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of a folder."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "taken\n"
        yield process
        process.kill()


def test_a_folder_in_use_is_refused_and_the_process_named(holder, tmp_path):
    message = (
        rf"the folder {tmp_path} must not be used by two runs at once: process {holder.pid} on "
        r".+ is at work there; wait for it or stop it, or choose another folder"
    )
    with pytest.raises(ValueError, match=message):
        RunLock().take(tmp_path)


def test_what_a_killed_run_left_of_its_lock_stops_nobody(holder, tmp_path):
    holder.kill()
    holder.wait()
    lock = RunLock()
    lock.take(tmp_path)
    lock.release()
    assert (tmp_path / ".hydra" / "lock").read_text().startswith("process ")


def test_a_complete_run_needs_no_lock(holder, tmp_path):
    (tmp_path / "result.json").touch()
    RunLock().take(tmp_path)


def test_a_command_refuses_a_folder_in_use_and_leaves_its_configuration(
    holder, call, tmp_path, capsys
):
    (tmp_path / ".hydra" / "config.yaml").write_text("seed: 3\n")
    assert call(f"hydra.run.dir={tmp_path}", "seed=4") == 1
    assert "must not be used by two runs at once" in capsys.readouterr().err
    assert (tmp_path / ".hydra" / "config.yaml").read_text() == "seed: 3\n"
