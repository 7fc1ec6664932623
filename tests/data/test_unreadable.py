"""One unreadable image among many is named, and refused or left out as configured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.sources import folder

Paint = Callable[..., Path]


@pytest.fixture
def damaged(tmp_path: Path, paint: Paint) -> Path:
    """A folder with a training file that is no image, and a test file that is cut short."""
    for each in ("train/ant", "train/bee", "test/ant", "test/bee"):
        paint(tmp_path / each, 6, size=(40, 40))
    (tmp_path / "train/ant/L-40-1.png").write_bytes(b"no image")
    cut = tmp_path / "test/bee/L-40-2.png"
    cut.write_bytes(cut.read_bytes()[:300])
    return tmp_path


def made(path: Path, **options: Any) -> ImageDataModule:
    return ImageDataModule(folder, seed=0, path=str(path), batch_size=2, **options)


@pytest.mark.parametrize("limit", [1.0, 0.0])
def test_unreadable_images_are_left_out_and_named(damaged: Path, limit: float) -> None:
    data = made(damaged, unreadable="skip", memory_limit_gib=limit)
    data.load()
    (note,) = data.notes
    assert note.startswith("unreadable images left out: 2 (cannot read the image '")
    assert str(damaged / "train/ant/L-40-1.png") in note
    assert str(damaged / "test/bee/L-40-2.png") in note
    (images, labels), (test, _) = data.training_arrays(), data.test_arrays()
    assert (len(images), labels.tolist(), len(test)) == (11, [0] * 5 + [1] * 6, 11)


@pytest.mark.parametrize("limit", [1.0, 0.0])
def test_an_unreadable_image_is_refused_by_default(damaged: Path, limit: float) -> None:
    with pytest.raises(ValueError, match=r"'.*train/ant/L-40-1.png'.*; data.unreadable=skip leav"):
        made(damaged, memory_limit_gib=limit).load()


def test_the_message_tells_how_to_leave_an_image_out(damaged: Path) -> None:
    (damaged / "train/ant/L-40-1.png").unlink()
    with pytest.raises(ValueError, match=r"L-40-2.png'.*; data.unreadable=skip leaves such"):
        made(damaged).load()


def test_sound_images_leave_no_note(tmp_path: Path, paint: Paint) -> None:
    for name in ("ant", "bee"):
        paint(tmp_path / name, 10)
    data = made(tmp_path, unreadable="skip")
    data.load()
    assert data.notes == ()


def test_another_way_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown data.unreadable 'hide'; choose from: refuse, "):
        made(Path(), unreadable="hide")
