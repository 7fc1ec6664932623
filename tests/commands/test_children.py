"""Searches among really trained children, their processes killed, end with the same bits."""

import subprocess
import sys
import time

import pytest
from command import bits

TINY = (
    "strategy.trials=6",
    "child.epochs=2",
    "child.scale.channels=4",
    "child.scale.cells=3",
    "data.batch_size=256",
    "callbacks=silent",
    "hardware.threads=1",
)
ARRANGEMENTS = {
    "reinforce": ("search_space=chain", "evaluation=full", "search_space.depths=[2,3]"),
    "ppo": (
        "search_space=nasnet",
        "search_space.blocks=2",
        "evaluation=low_fidelity",
        "evaluation.epochs=1",
        "evaluation.channels=2",
        "strategy.children=2",  # the policy has moved before the kill
    ),
    "evolution": ("search_space=custom",),
    "annealing": ("objective=mdl", "search_space.nodes=2"),
}


def start(*arguments):
    command = [sys.executable, "-m", "nas_lightning", "search", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def kill_once(process, is_time):
    """Kills a process, no signal to be caught, as soon as it is time."""
    while process.poll() is None and not is_time():
        time.sleep(0.005)
    process.kill()
    process.wait()


def told(folder):
    path = folder / "trials.jsonl"
    return path.read_text().count('"told"') if path.exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ARRANGEMENTS)
def test_a_process_killed_among_real_children_and_in_the_last_one_ends_the_same(strategy, tmp_path):
    arguments = (f"strategy={strategy}", *TINY, *ARRANGEMENTS[strategy])
    whole, folder = tmp_path / "whole", tmp_path / "run"
    assert start(f"hydra.run.dir={whole}", *arguments).wait() == 0
    kill_once(start(f"hydra.run.dir={folder}", *arguments), lambda: told(folder) >= 4)
    assert 4 <= told(folder) < 6
    kill_once(start(f"resume={folder}"), (folder / "child" / "last.ckpt").exists)
    assert told(folder) == 6
    assert not (folder / "result.json").exists()
    assert start(f"resume={folder}").wait() == 0
    assert bits(folder) == bits(whole)
