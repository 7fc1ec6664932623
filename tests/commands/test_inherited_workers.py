"""Workers whose children inherit from one bank: any number, on any executor, through kills."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from command import events, run
from ray_actors import environment

SEARCH = (
    "strategy=evolution",
    "strategy.population=3",
    "strategy.trials=10",
    "evaluation=inherited",
    "evaluation.steps=3",
    "evaluation.warmup=2",
    "evaluation.warmup_steps=3",
    "child.scale.channels=4",
    "child.scale.cells=3",
    "data.max_images=200",
    "retrain=false",
    "callbacks=silent",
    "hardware.in_flight=3",
)
PROCESSES = ("hardware.executor=processes", "hardware.workers=2", "hardware.threads=2")
KILLS = 4

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The journal of a search in one process."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run("search", f"hydra.run.dir={folder}", *SEARCH, "hardware.threads=1")
    return events(folder)


def test_actors_leave_the_journal_of_one_process(whole, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'nas-lightning[ray]'")
    folder = tmp_path / "run"
    ray = ("hardware.executor=ray", "hardware.workers=2", "hardware.threads=2")
    with environment():
        run("search", f"hydra.run.dir={folder}", *SEARCH, *ray)
    assert events(folder) == whole


def test_kills_of_search_and_workers_leave_the_journal_of_one_process(whole, tmp_path):
    folder, draw, killed = tmp_path / "run", random.Random(0), 0
    journal, typed = folder / "trials.jsonl", [f"hydra.run.dir={folder}", *SEARCH, *PROCESSES]
    for _ in range(KILLS):
        lines, one = count(journal), start(*typed)
        while one.poll() is None and count(journal) <= lines + 3:
            time.sleep(0.01)
        for victim in (draw.choice(workers_of(folder) or [0]), one.pid):
            time.sleep(draw.uniform(0, 0.3))  # somewhere in a training
            if victim:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    killed += 1
        one.wait()
        typed = [f"resume={folder}"]
    if not (folder / "result.json").exists():
        run("search", *typed)
    assert killed >= KILLS
    assert events(folder) == whole
    assert not (folder / "children").exists()


def start(*arguments):
    command = [sys.executable, "-m", "nas_lightning", "search", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def workers_of(folder):
    found = subprocess.run(
        ["pgrep", "-f", f"nas_lightning.run.worker {folder}"], capture_output=True, check=False
    )
    return [*map(int, found.stdout.split())]


def count(journal):
    return journal.read_bytes().count(b"\n") if journal.exists() else 0
