"""A path is read whatever it holds, with the pixels and labels that were written there."""

import gzip
import io
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from nas_lightning.data.sources import folder

TRAIN, TEST = 12, 6
NAMES = ("ant", "bee", "cat")
LABELS = np.arange(TRAIN + TEST) % 3

Writer = Callable[[Path, NDArray[np.uint8]], Path]


def pixels(channels: int, side: int = 32) -> NDArray[np.uint8]:
    shape = (TRAIN + TEST, channels, side, side)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def write_npz(root: Path, images: NDArray[np.uint8]) -> Path:
    path = root / "data.npz"
    labels = np.array(NAMES)[LABELS]
    np.savez(
        path,
        train_images=images[:TRAIN].transpose(0, 2, 3, 1),
        train_labels=labels[:TRAIN],
        test_images=images[TRAIN:].transpose(0, 2, 3, 1),
        test_labels=labels[TRAIN:],
        exact_train=np.ones(TRAIN),
    )
    return path


def write_floats(root: Path, images: NDArray[np.uint8]) -> Path:
    floats = images.astype(np.float32) / 255
    np.savez(
        root / "x.npz",
        x_train=floats[:TRAIN],
        y_train=LABELS[:TRAIN],
        x_test=floats[TRAIN:],
        y_test=LABELS[TRAIN:],
        class_names=NAMES,
    )
    return root


def write_ten(root: Path, images: NDArray[np.uint8]) -> Path:
    parts = {f"data_batch_{n + 1}": slice(3 * n, min(3 * n + 3, TRAIN)) for n in range(5)}
    parts["data_batch_5"] = slice(TRAIN, TRAIN)
    for name, part in (parts | {"test_batch": slice(TRAIN, None)}).items():
        batch = {"data": images[part].reshape(-1, 3072), "labels": LABELS[part].tolist()}
        (root / name).write_bytes(pickle.dumps(batch, 2))
    (root / "batches.meta").write_bytes(pickle.dumps({"label_names": list(NAMES)}, 2))
    return root


def write_hundred(root: Path, images: NDArray[np.uint8]) -> Path:
    inner = root / "cifar-100-python"
    inner.mkdir()
    for name, part in (("train", slice(TRAIN)), ("test", slice(TRAIN, None))):
        labels = {b"fine_labels": LABELS[part].tolist(), b"coarse_labels": [0] * len(LABELS[part])}
        batch = {b"data": images[part].reshape(-1, 3072), **labels}
        (inner / name).write_bytes(pickle.dumps(batch, 2))
    names = [name.encode() for name in NAMES]
    (inner / "meta").write_bytes(pickle.dumps({b"fine_label_names": names}, 2))
    return root


def idx(array: NDArray[np.uint8]) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


def write_idx(root: Path, images: NDArray[np.uint8]) -> Path:
    for name, part in (("train", slice(TRAIN)), ("t10k", slice(TRAIN, None))):
        (root / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images[part, 0])))
        (root / f"{name}-labels-idx1-ubyte").write_bytes(idx(LABELS[part].astype(np.uint8)))
    return root


def png(image: NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0).squeeze()).save(content, "PNG")
    return content.getvalue()


def write_parquet(root: Path, images: NDArray[np.uint8]) -> Path:
    for name, part in (("train", slice(TRAIN)), ("test", slice(TRAIN, None))):
        files = [{"bytes": png(image), "path": None} for image in images[part]]
        table = pa.table({"img": files, "label": np.array(NAMES)[LABELS[part]].tolist()})
        pq.write_table(table, root / f"{name}-00000-of-00001.parquet")
    return root


def write_paths(root: Path, images: NDArray[np.uint8]) -> Path:
    rows: dict[str, list[Any]] = {"image": [], "kind": []}
    for number, image in enumerate(images):
        (root / f"{number}.png").write_bytes(png(image))
        rows["image"].append(f"{number}.png")
        rows["kind"].append(NAMES[LABELS[number]])
    for name, part in (("train", slice(TRAIN)), ("valid", slice(TRAIN, None))):
        table = pa.table({key: values[part] for key, values in rows.items()})
        pq.write_table(table, root / f"{name}.parquet")
    return root


def write_saved(root: Path, images: NDArray[np.uint8]) -> Path:
    datasets = pytest.importorskip("datasets")
    kinds = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(NAMES))}
    )
    splits = {}
    for name, part in (("train", slice(TRAIN)), ("test", slice(TRAIN, None))):
        files = [{"bytes": png(image), "path": None} for image in images[part]]
        rows = {"image": files, "label": LABELS[part].tolist()}
        splits[name] = datasets.Dataset.from_dict(rows, features=kinds)
    datasets.disable_progress_bars()
    datasets.DatasetDict(splits).save_to_disk(str(root / "saved"))
    return root / "saved"


def write_nested(root: Path, images: NDArray[np.uint8]) -> Path:
    for name, part in (("train", slice(TRAIN)), ("test", slice(TRAIN, None))):
        table = pa.table({"image": images[part].tolist(), "label": LABELS[part]})
        pq.write_table(table, root / f"{name}.parquet")
    return root


def write_mat(root: Path, images: NDArray[np.uint8]) -> Path:
    from scipy.io import savemat

    for name, part in (("train", slice(TRAIN)), ("test", slice(TRAIN, None))):
        digits = np.where(LABELS[part] == 0, 10, LABELS[part])[:, None]
        content = {"X": images[part].transpose(2, 3, 1, 0), "y": digits}
        savemat(root / f"{name}_32x32.mat", content)
    return root


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
        (write_ten, "data_batch_3", "cannot read the CIFAR batch '"),
        (write_idx, "train-images-idx3-ubyte.gz", "cannot read '"),
        (write_parquet, "train-00000-of-00001.parquet", "cannot read the parquet file '"),
        (write_mat, "test_32x32.mat", "cannot read SVHN's file '"),
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
        ({"image_column": "x"}, "data.source.image_column ('x') must be one of: img, label"),
        ({"label_column": "x"}, "data.source.label_column ('x') must be one of: img, label"),
        ({"test_split": "x"}, "unknown split 'x'; choose data.source.train_split and test_split"),
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
