"""Images by class are found, and folders that hold none are named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas_lightning.data.formats.image_folder import read_image_folder
from nas_lightning.data.raw_parts import ReadOptions
from nas_lightning.data.sources import folder

Paint = Callable[..., Path]


def by_role(path: Path) -> dict[str, dict[Any, list[Any]]]:
    images: dict[str, dict[Any, list[Any]]] = {}
    for part in read_image_folder(path, ReadOptions()).parts:
        of_part = images.setdefault(part.role, {})
        for label, file in zip(part.labels, part.images, strict=True):
            of_part.setdefault(label, []).append(file)
    return images


def test_images_are_found_by_class_in_order_of_their_names(tmp_path: Path, paint: Paint) -> None:
    paint(tmp_path / "bee" / "deeper", 2)
    paint(tmp_path / "bee", 1, suffix=".JPEG")
    paint(tmp_path / "ant", 1)
    paint(tmp_path / "ant" / ".hidden", 1)
    (tmp_path / "ant" / "notes.txt").write_text("no image")
    parts = by_role(tmp_path)
    names = {name: [path.name for path in paths] for name, paths in parts["train"].items()}
    assert names == {"ant": ["L-10-0.png"], "bee": ["L-10-0.JPEG", "L-10-0.png", "L-10-1.png"]}
    assert set(parts) == {"train"}


def test_a_class_may_be_called_train(tmp_path: Path, paint: Paint) -> None:
    paint(tmp_path / "train")
    paint(tmp_path / "ship")
    assert sorted(by_role(tmp_path)["train"]) == ["ship", "train"]


def test_a_training_folder_needs_no_test_folder(tmp_path: Path, paint: Paint) -> None:
    paint(tmp_path / "train" / "ant")
    parts = by_role(tmp_path)
    assert (set(parts), sorted(parts["train"])) == ({"train"}, ["ant"])


def test_no_folder_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got data.path=null; add data.path=DIR"):
        folder(None)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"but '.*nowhere' does not exist"):
        folder(str(tmp_path / "nowhere"))


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "file.png"
    path.touch()
    with pytest.raises(ValueError, match=r"but '.*file.png' is another file"):
        folder(str(path))


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"but '{tmp_path}' is empty"):
        by_role(tmp_path)


def test_a_folder_without_classes_is_named(tmp_path: Path, paint: Paint) -> None:
    paint(tmp_path)
    with pytest.raises(ValueError, match=f"but '{tmp_path}' holds only files"):
        by_role(tmp_path)


def test_classes_without_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ant").mkdir()
    with pytest.raises(
        ValueError, match=f"'{tmp_path}' has no PNG or JPEG image in its 1 sub-folders"
    ):
        by_role(tmp_path)


def test_a_test_class_that_training_lacks_is_named(tmp_path: Path, paint: Paint) -> None:
    paint(tmp_path / "train" / "ant")
    paint(tmp_path / "test" / "wasp")
    with pytest.raises(ValueError, match=r"label 'wasp' is none of the training labels: ant; add"):
        folder(str(tmp_path))


def test_a_validation_folder_is_the_test_set_where_there_is_none(
    tmp_path: Path, paint: Paint
) -> None:
    paint(tmp_path / "train" / "ant")
    paint(tmp_path / "val" / "ant", 2)
    test = by_role(tmp_path)["test"]
    assert {name: len(paths) for name, paths in test.items()} == {"ant": 2}


def test_a_validation_folder_beside_a_test_folder_is_trained_on(
    tmp_path: Path, paint: Paint
) -> None:
    for part, number in (("train", 4), ("valid", 2), ("test", 1)):
        paint(tmp_path / part / "ant", number)
    numbers = {role: len(images["ant"]) for role, images in by_role(tmp_path).items()}
    assert numbers == {"train": 4, "validation": 2, "test": 1}


def test_another_folder_beside_train_is_refused(tmp_path: Path, paint: Paint) -> None:
    paint(tmp_path / "train" / "ant")
    paint(tmp_path / "holiday" / "ant")
    with pytest.raises(
        ValueError, match=r"several data sets: holiday, train; .* \(known are train:"
    ):
        by_role(tmp_path)
