"""A search among really trained children of a Ray cluster leaves the journal of a serial one."""

from pathlib import Path
from tempfile import gettempdir

import pytest
from command import events, run
from ray_actors import environment

pytest.importorskip("ray", reason="Ray is not installed: pip install 'nas-lightning[ray]'")

SEARCH = (
    "strategy=successive_halving",  # whose children continue from checkpoints of others
    "child.epochs=9",
    "child.scale.channels=2",
    "child.scale.cells=3",
    "data.max_images=200",
    "retrain=false",
    "callbacks=silent",
    "hardware.threads=1",
    "hardware.in_flight=2",
)


@pytest.mark.slow
def test_actors_that_share_no_folder_leave_the_journal_of_the_serial_search(tmp_path):
    journals, before = [], folders()
    for executor in ([], ["hardware.executor=ray", "hardware.workers=2"]):
        folder = tmp_path / f"run{len(executor)}"
        with environment():
            run("search", f"hydra.run.dir={folder}", *SEARCH, *executor)
        journals.append(events(folder))
    assert sum("parent" in event for event in journals[0]) == 4
    assert journals[1] == journals[0]
    assert folders() == before  # what a worker keeps of its own is removed


def folders():
    return {*Path(gettempdir()).glob("nas_lightning_*")}
