"""A path is read whatever it holds, with the pixels and labels that were written there."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from data_files import (
    LABELS,
    NAMES,
    TRAIN,
    Writer,
    pixels,
    png,
    write_floats,
    write_hundred,
    write_idx,
    write_mat,
    write_nested,
    write_npz,
    write_parquet,
    write_paths,
    write_saved,
    write_ten,
)

from nas_lightning.data.sources import folder


@pytest.mark.parametrize(
    ("write", "channels", "names"),
    [
        (write_npz, 3, NAMES),
        (write_npz, 1, NAMES),
        (write_floats, 5, NAMES),
        (write_ten, 3, NAMES),
        (write_hundred, 3, NAMES),
        (write_idx, 1, ("0", "1", "2")),
        (write_parquet, 3, NAMES),
        (write_paths, 1, NAMES),
        (write_saved, 3, NAMES),
        (write_nested, 3, ("0", "1", "2")),
        (write_mat, 3, ("0", "1", "2")),
    ],
)
def test_what_was_written_is_read(
    tmp_path: Path, write: Writer, channels: int, names: tuple[str, ...]
) -> None:
    images = pixels(channels)
    arrays = folder(str(write(tmp_path, images)))
    assert arrays.class_names == names
    labels = torch.cat([arrays.train_labels, arrays.test_labels])
    assert (len(arrays.train_labels), labels.tolist()) == (TRAIN, LABELS.tolist())
    read = [each.read(torch.arange(len(each))) for each in (arrays.train, arrays.test)]
    np.testing.assert_array_equal(torch.cat(read).numpy(), images)


def test_without_a_test_division_a_fifth_is_for_the_test(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", X=pixels(1), y=LABELS)
    arrays = folder(str(tmp_path))
    assert (len(arrays.train), len(arrays.test)) == (14, 4)


def test_a_validation_part_beside_a_test_part_is_trained_on(tmp_path: Path) -> None:
    images = pixels(1, 8)
    parts = {"train": slice(6), "val": slice(6, TRAIN), "test": slice(TRAIN, None)}
    arrays = {f"{n}_images": images[p] for n, p in parts.items()}
    np.savez(tmp_path / "x.npz", **arrays, **{f"{n}_labels": LABELS[p] for n, p in parts.items()})
    assert len(folder(str(tmp_path)).train) == TRAIN


def test_arrays_come_at_another_size_with_other_channels_and_names(tmp_path: Path) -> None:
    path = str(write_idx(tmp_path, pixels(1)))
    arrays = folder(path, image_size=16, channels=3, class_names=list(NAMES))
    assert (arrays.train.shape, arrays.test.shape) == ((3, 16, 16), (3, 16, 16))
    assert arrays.class_names == NAMES


def test_several_columns_of_numbers_are_values(tmp_path: Path) -> None:
    columns = {"image": [png(each) for each in pixels(1)], "x": LABELS * 1.5, "y": LABELS * 2}
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    arrays = folder(str(tmp_path / "data.parquet"), label_column=["x", "y"])
    assert arrays.class_names == ("x", "y")
    assert arrays.train_labels.unique(dim=0).tolist() == [[0, 0], [1.5, 2], [3, 4]]


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(ValueError, match=r"\S") as caught:
        folder(str(path), **options)
    return str(caught.value)


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch hit",)


def test_a_batch_that_names_anything_else_is_not_unpickled(tmp_path: Path) -> None:
    write_ten(tmp_path, pixels(3))
    (tmp_path / "data_batch_2").write_bytes(pickle.dumps({"data": Evil()}))
    assert "names 'posix.system', which no batch needs" in refused(tmp_path)
    assert not Path("hit").exists()


def test_arrays_of_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x_train=pixels(1), y_train=np.array([Evil()] * 18))
    assert "must hold arrays of numbers or text, got Python objects" in refused(tmp_path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("write", "name", "message"),
    [
        (write_npz, "data.npz", "cannot read '"),
        (write_ten, "data_batch_3", "cannot read '"),
        (write_idx, "train-images-idx3-ubyte.gz", "cannot read '"),
        (write_parquet, "train-00000-of-00001.parquet", "cannot read '"),
        (write_mat, "test_32x32.mat", "cannot read '"),
    ],
)
def test_a_file_that_is_cut_short_is_named(
    tmp_path: Path, write: Writer, name: str, message: str
) -> None:
    write(tmp_path, pixels(1 if write is write_idx else 3))
    cut(tmp_path / name)
    assert refused(tmp_path).startswith(f"{message}{tmp_path / name}' (")


def test_idx_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    write_idx(tmp_path, pixels(1))
    path = tmp_path / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    assert "must hold 12 numbers (12,), but has 19 bytes" in refused(tmp_path)
    path.write_bytes(b"nonsense")
    assert "must be an idx file, but begins with b'nons'" in refused(tmp_path)
    path.unlink()
    assert "has idx files but no train labels; it has " in refused(tmp_path)


def test_several_data_sets_are_named(tmp_path: Path) -> None:
    write_npz(tmp_path, pixels(1))
    write_floats(tmp_path, pixels(1))
    assert refused(tmp_path).endswith(
        "holds several data sets: data.npz, x.npz; name one by data.path"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_column": "x"}, "unknown data.source.image_column 'x'; choose from: img, label"),
        ({"label_column": "x"}, "unknown data.source.label_column 'x'; choose from: img, label"),
        ({"test_split": "x"}, "unknown data.source.test_split 'x'; choose from: test, train"),
        ({"train_split": "test"}, "must differ, got 'test' and 'test'"),
        ({"class_names": ["ant"]}, None),
    ],
)
def test_options_that_do_not_fit_a_table_are_refused(
    tmp_path: Path, options: dict[str, Any], message: str | None
) -> None:
    write_parquet(tmp_path, pixels(3))
    if message is None:  # the file's own names count
        assert folder(str(tmp_path), **options).class_names == NAMES
        return
    assert message in refused(tmp_path, **options)


def test_unclear_columns_are_refused(tmp_path: Path) -> None:
    files = [png(each) for each in pixels(1)]
    pq.write_table(pa.table({"a": files, "b": files, "c": LABELS}), tmp_path / "x.parquet")
    assert "which column holds the images; choose data.source.image_column from: a, b, c" in (
        refused(tmp_path)
    )
    assert "which column holds the labels; choose data.source.label_column from: b, c" in (
        refused(tmp_path, image_column="a")
    )


def test_too_few_names_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path, pixels(1))
    assert "class_names (1 names) must name the 3 classes found (0, 1, 2)" in (
        refused(tmp_path, class_names=["ant"])
    )
