"""The sources give the data sets they promise."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from nas_lightning.data.sources import digits, folder

Paint = Callable[..., Path]


def test_digits_are_scaled_to_the_whole_range() -> None:
    arrays = digits()
    pixels = arrays.train.read(torch.arange(len(arrays.train)))
    assert set(pixels.flatten().tolist()) == {round(level * 255 / 16) for level in range(17)}


def test_digits_hold_every_image_once() -> None:
    arrays = digits()
    parts = [part.read(torch.arange(len(part))) for part in (arrays.train, arrays.test)]
    found = torch.cat(parts).flatten(1).sum(1, dtype=torch.int64).sort().values
    expected = np.sort(np.rint(load_digits().images * 255 / 16).sum((1, 2)))
    assert found.tolist() == expected.astype(int).tolist()


def test_a_fifth_of_every_digit_is_for_the_test() -> None:
    arrays = digits()
    train, test = (torch.bincount(each) for each in (arrays.train_labels, arrays.test_labels))
    assert (len(arrays.train), len(arrays.test)) == (1438, 359)
    assert ((train + test) / 5 - test).abs().max() < 1


def test_digits_are_named_by_their_digit() -> None:
    assert digits().class_names == tuple("0123456789")


def test_digits_come_at_another_size_with_more_channels() -> None:
    arrays = digits(image_size=12, channels=3)
    assert (arrays.train.shape, arrays.test.shape) == ((3, 12, 12), (3, 12, 12))


def test_digits_refuse_a_path() -> None:
    with pytest.raises(ValueError, match=r"data.path \(here\) has no meaning for data=digits"):
        digits(path="here")


def test_digits_refuse_no_channels() -> None:
    with pytest.raises(ValueError, match=r"data.channels \(0\) must be at least 1"):
        digits(channels=0)


def test_a_folder_without_a_division_gives_a_fixed_fifth_to_the_test(
    tmp_path: Path, paint: Paint
) -> None:
    for name in ("cat", "ant"):
        paint(tmp_path / name, 10)
    one, again = folder(str(tmp_path)), folder(str(tmp_path))
    assert one.class_names == ("ant", "cat")
    assert torch.bincount(one.test_labels).tolist() == [2, 2]
    indices = torch.arange(4)
    assert torch.equal(one.test.read(indices), again.test.read(indices))


def test_a_folder_with_a_division_keeps_it(tmp_path: Path, paint: Paint) -> None:
    paint(tmp_path / "train" / "ant", 3)
    paint(tmp_path / "train" / "bee", 4)
    paint(tmp_path / "test" / "bee", 2)
    arrays = folder(str(tmp_path))
    assert torch.bincount(arrays.train_labels).tolist() == [3, 4]
    assert arrays.test_labels.tolist() == [1, 1]


def test_mixed_sizes_and_modes_are_brought_to_the_most_common(tmp_path: Path, paint: Paint) -> None:
    paint(tmp_path / "ant", 3, "RGB", (9, 11))
    paint(tmp_path / "bee", 2, "L", (20, 20), ".jpg")
    assert folder(str(tmp_path)).train.shape == (3, 9, 11)


def test_a_size_and_channels_that_were_asked_for_are_kept(tmp_path: Path, paint: Paint) -> None:
    for name in ("ant", "bee"):
        paint(tmp_path / name, 3, "RGB")
    assert folder(str(tmp_path), image_size=[8, 16], channels=1).train.shape == (1, 8, 16)
