"""Small data sets as they are found on a disk, in every kind of file that is read."""

import gzip
import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

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
