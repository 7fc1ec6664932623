"""A run knows its data: what was read stands in its result, and other data are refused."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nas_lightning as nl

pytestmark = pytest.mark.usefixtures("unreported")

SMALL = [
    "search_space.nodes=1",
    "data.batch_size=4",
    "strategy.epochs=1",
    "search_space.scale.cells=3",
]
BLACK_BOX = ["data.batch_size=4", "strategy.trials=1", "child.epochs=1", "child.scale.cells=3"]

Change = Callable[[Path], None]


def write(
    path: Path, number: int = 20, turned: int = 0, names: tuple[str, str] = ("cat", "dog")
) -> None:
    shutil.rmtree(path, ignore_errors=True)
    noise = np.random.default_rng(0)
    for kind, name in enumerate(names):
        (path / name).mkdir(parents=True)
        for place in range(number):
            grey = (60, 190)[kind ^ turned] + noise.integers(-20, 20, (8, 8))
            Image.fromarray(grey.astype(np.uint8)).save(path / name / f"{place}.png")
    (path / "cat.txt").write_text("no image")


@pytest.fixture(scope="module", params=["darts", "random"])
def stopped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped before it could write its result."""
    home = tmp_path_factory.mktemp(request.param)
    write(home / "images")
    searched(home, request.param)
    shutil.move(home / "run" / "result.json", home / "result.json")
    return home


def searched(home: Path, strategy: str, resume: bool = False) -> None:
    overrides = SMALL if strategy == "darts" else BLACK_BOX
    nl.search(
        home / "images",
        strategy=strategy,
        overrides=overrides,
        folder=home / "run",
        resume=resume,
        retrain=False,
    )


def test_the_result_and_the_checkpoints_tell_the_data(stopped: Path) -> None:
    result = json.loads((stopped / "result.json").read_text())
    assert result["data"] == "folder"
    assert result["data_read"] == {
        "read": {"training": 32, "test": 8},
        "shape": [1, 8, 8],
        "classes": ["cat", "dog"],
        "images_per_class": {"training": [16, 16], "test": [4, 4]},
        "passed_over": ["1 .txt files"],
    }
    known = result["data_identity"]
    assert set(known) == {"training images", "test images", "classes", "labels", "content"}
    for path in stopped.glob("run/checkpoints/last.ckpt"):
        states = torch.load(path, weights_only=True)["callbacks"].values()
        assert [state["data"] for state in states if "data" in state] == [known]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: write(path, turned=1), r"these changed: content \([0-9a-f]+ before, "),
        (lambda path: write(path, 19), "these changed: training images (32 before, 30 now), "),
        (lambda path: write(path, names=("cat", "wolf")), r"these changed: classes \("),
    ],
)
def test_other_data_are_refused_by_what_changed(
    stopped: Path, change: Change, message: str
) -> None:
    change(stopped / "images")
    wanted = message if "\\" in message else re.escape(message)
    with pytest.raises(ValueError, match=rf"the data must be those of the run in .*{wanted}"):
        searched(stopped, stopped.name.rstrip("0123456789"), resume=True)


def test_the_first_lines_tell_what_was_read(
    stopped: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(stopped / "images")
    searched(stopped, stopped.name.rstrip("0123456789"), resume=True)
    told = capfd.readouterr().out
    assert "data: 32 training and 8 test images 1x8x8; 2 classes: cat, dog; 16 training and" in told
    assert "; 16 training and 4 test images per class\n" in told
    assert "split of the training images: a search trains on 16 and validates on 16" in told
    assert "data passed over: 1 .txt files" in told
