"""What a worker on another machine is sent, and what it builds of it."""

import pickle
import subprocess
import sys

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


def test_a_worker_builds_the_search_without_its_folders(sent, tmp_path):
    assert sent.code == {"my_evaluation.py": SOURCE}
    (tmp_path / "sent").write_bytes(pickle.dumps(sent))
    command = [sys.executable, "-P", "-c", THERE, str(tmp_path / "sent")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    name, kind, batches, place = done.stdout.split()
    assert (name, kind, batches) == ("darts", "Mine", "1")
    assert not (RunFolder(tmp_path / place).hydra).exists()


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
