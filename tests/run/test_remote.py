"""What a worker on another machine is sent, and what it builds of it."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from command import TINY_RANDOM, run

from nas_lightning.run.folder import RunFolder
from nas_lightning.run.remote import Sent, own_code

SOURCE = """
from nas_lightning.evaluation.by_training import FullTraining

class Mine(FullTraining):
    pass
"""
THERE = """
import pickle, sys
sent = pickle.load(open(sys.argv[1], "rb"))
space, evaluation, folder = sent.build(1)
print(space.name, type(evaluation).__name__, len(evaluation.stage.train_dataloader()))
print(folder.parent)
"""


@pytest.fixture
def sent(tmp_path, monkeypatch):
    """A search with an evaluation of the user's own, which then lies elsewhere."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "my_evaluation.py").write_text(SOURCE)
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_evaluation", raising=False)
    more = (
        "strategy=random",
        "strategy.trials=1",
        "retrain=false",
        "data.max_images=64",
        "data.batch_size=32",
    )
    mine = "evaluation._target_=my_evaluation.Mine"
    run("search", "hydra.run.dir=run", *TINY_RANDOM, "child.epochs=1", *more, mine)
    sent = Sent.of(RunFolder(here / "run"))
    del sys.modules["my_evaluation"]
    here.rename(tmp_path / "gone")
    monkeypatch.chdir(tmp_path)
    return sent


def test_a_worker_builds_the_search_without_its_folders(sent):
    assert sent.code == {"my_evaluation.py": SOURCE}
    space, evaluation, folder = pickle.loads(pickle.dumps(sent)).build(1)
    place = folder.parent
    assert (space.name, type(evaluation).__name__) == ("darts", "Mine")
    assert sys.modules["my_evaluation"].__file__ == str(place / "code" / "my_evaluation.py")
    assert len(evaluation.stage.train_dataloader()) == 1
    assert not (RunFolder(place).hydra).exists()


@pytest.mark.slow
def test_a_process_of_its_own_builds_it_too(sent, tmp_path):
    (tmp_path / "sent").write_bytes(pickle.dumps(sent))
    command = [sys.executable, "-P", "-c", THERE, str(tmp_path / "sent")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:3] == ["darts", "Mine", "1"]


FOLDER = """
import sys
from nas_lightning.run.worker_folder import new_folder
print(new_folder(), flush=True)
sys.stdin.read()
"""


def start(folder):
    """Returns a process that has a folder of its own, and that folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", FOLDER],
        env=os.environ | {"TMPDIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, Path(process.stdout.readline().strip())


def test_folders_of_killed_workers_are_removed_and_those_of_others_stay(tmp_path):
    (killed, lost), (living, kept) = start(tmp_path), start(tmp_path)
    killed.kill()
    killed.communicate()
    (lost / "children").mkdir()
    (tmp_path / "nas_lightning_of_another_kind").mkdir()
    next_one, new = start(tmp_path)
    try:
        assert not lost.exists()
        assert {kept.name, new.name, "nas_lightning_of_another_kind"} == {
            path.name for path in tmp_path.iterdir()
        }
    finally:
        living.communicate("")
        next_one.communicate("")
    assert [path.name for path in tmp_path.iterdir()] == ["nas_lightning_of_another_kind"]


def test_another_version_is_refused():
    with pytest.raises(ValueError, match=r"a worker has nas_lightning .*, and the search 9\.9\.9"):
        Sent("9.9.9", {}, {}).build(1)


def test_a_package_is_sent_whole(tmp_path, monkeypatch):
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "later.py").write_text("x = 1")
    (tmp_path / "other.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("my_package")
    assert own_code(tmp_path) == {"my_package/__init__.py": "", "my_package/later.py": "x = 1"}
    del sys.modules["my_package"]
