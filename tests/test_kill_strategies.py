"""Every strategy, its process killed at moments all over the run, ends with the same bits."""

import random
import signal
import subprocess
import sys
import time

import pytest
from command import bits

from nas_lightning.paths import config_dir

STRATEGIES = [path.stem for path in sorted((config_dir() / "strategy").glob("*.yaml"))]
SMALL = (
    "experiment=planted",
    "data.source.images=400",
    "search_space.scale.channels=2",
    "child.scale.channels=2",
    "child.epochs=2",
    "retrain=false",
    "callbacks=silent",
    "hardware.threads=1",
)
SETTINGS = {
    "enas": ["strategy.steps=5", "strategy.aggregate=3"],
    "pc_darts": ["strategy.partial=1"],
}


def start(*arguments):
    command = [sys.executable, "-m", "nas_lightning.search", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def written(folder):
    """Returns how much is in the files that grow while a search gets on."""
    files = [folder / name for name in ("alphas.csv", "trials.jsonl")]
    return [file.stat().st_size for file in files if file.exists()]


def wait_for_progress(process, folder):
    before = written(folder)
    while process.poll() is None and written(folder) == before:
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_process_killed_all_over_its_search_ends_with_the_same_bits(name, tmp_path):
    arguments = [*SMALL, f"strategy={name}", *SETTINGS.get(name, ())]
    whole, folder = tmp_path / "whole", tmp_path / "run"
    unbroken = start(f"hydra.run.dir={whole}", *arguments)
    wait_for_progress(unbroken, whole)
    since = time.monotonic()
    assert unbroken.wait() == 0
    seconds, draw, ends = time.monotonic() - since, random.Random(name), []
    typed = [f"hydra.run.dir={folder}", *arguments]
    for _ in range(3):
        killed = start(*typed)
        wait_for_progress(killed, folder)
        time.sleep(draw.uniform(0, seconds / 3))
        killed.kill()
        ends.append(killed.wait())
        typed = [f"resume={folder}"]
    assert ends[0] == -signal.SIGKILL
    assert start(*typed).wait() == 0
    assert bits(folder) == bits(whole)
