"""Data sets as their authors publish them: CIFAR's python batches, idx files, SVHN's MATLAB files.

Sources: Krizhevsky 2009 (CIFAR-10 and CIFAR-100), LeCun, Cortes and Burges 1998 (MNIST), Netzer et
al. 2011 (SVHN, cropped digits).
"""

import gzip
import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from nas_lightning.data.formats.image_folder import left_out
from nas_lightning.data.parts import assign
from nas_lightning.data.raw_parts import Part, RawParts, ReadOptions

__all__ = ["batch_files", "idx_files", "mat_files", "read_batches", "read_idx", "read_mat"]

LARGEST_BATCH = 1_000_000_000  # bytes
HARMLESS = ("numpy.ndarray", "numpy.dtype", "numpy._core.multiarray._reconstruct")
IDX_NAME = re.compile(r"(?P<part>.*?)[-_.]?(?P<what>images|labels)[-_.]idx\d-ubyte(\.gz)?", re.A)
IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def batch_files(folder: Path) -> dict[str, list[Path]]:
    """Returns the files of CIFAR-10 or CIFAR-100 by what they hold; nothing if they are absent."""
    names = {"train": ["train"], "test": ["test"], "meta": ["meta"]}
    is_here = all((folder / name).is_file() for name in names)
    if (folder / "data_batch_1").is_file():
        trains = [f"data_batch_{number}" for number in range(1, 6)]
        names, is_here = {"train": trains, "test": ["test_batch"], "meta": ["batches.meta"]}, True
    return {what: [folder / name for name in each] for what, each in names.items() if is_here}


def read_batches(folder: Path, options: ReadOptions) -> RawParts:
    """Returns the images, labels and class names of cifar-10-batches-py or cifar-100-python."""
    files, key = batch_files(folder), "labels"
    if len(files["train"]) == 1:  # CIFAR-100 has two kinds of labels
        column = options.label_column or "fine_labels"
        key = (column if isinstance(column, str) else column[0]).removesuffix("s") + "s"
    meta = _loaded(files["meta"][0], _unpickled)
    names = _texts(meta.get(key.replace("labels", "label_names"))) or None
    parts, read = [], list(files["meta"])
    for name, role in assign(("train", "test"), options.parts, folder).items():
        batches = [_batch(path, key) for path in files[name]]
        images = np.concatenate([pixels for pixels, _ in batches])
        parts.append(Part(name, role, images, [one for _, each in batches for one in each], names))
        read += files[name]
    return RawParts(parts, left_out(folder, read, "images"))


def _batch(path: Path, key: str) -> tuple[NDArray[Any], list[int]]:
    content = _loaded(path, _unpickled)
    if key not in content or not isinstance(content.get("data"), np.ndarray):
        present = ", ".join(name for name in content if name.endswith("labels"))
        raise ValueError(
            f"'{path}' must hold 'data' and '{key}'; its labels are: {present or 'none'}; choose by"
            " data.source.label_column"
        )
    return content["data"].reshape(-1, 3, 32, 32), list(content[key])


class _Unpickler(pickle.Unpickler):
    """Makes all that a batch needs, arrays and bytes, and nothing else that a file may name."""

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core", "numpy._core")
        if f"{module}.{name}" in HARMLESS:
            return super().find_class(module, name)
        # How Python 3 writes bytes for Python 2: as text, or b"" by its type.
        if (module, name) == ("_codecs", "encode"):
            return lambda text, _: text.encode("latin1")
        if (module, name) == ("__builtin__", "bytes"):
            return lambda: b""
        raise pickle.UnpicklingError(f"it names '{module}.{name}', which no batch needs")


def _unpickled(path: Path) -> dict[str, Any]:
    if path.stat().st_size > LARGEST_BATCH:
        raise pickle.UnpicklingError(f"it has more than {LARGEST_BATCH:,} bytes")
    with path.open("rb") as file:
        content = _Unpickler(file, encoding="latin1").load()
    return dict(zip(_texts(content), content.values(), strict=True))


def _texts(names: Any) -> list[str]:
    return [each.decode("latin1") if isinstance(each, bytes) else str(each) for each in names or []]


def _loaded(path: Path, load: Callable[[Path], Any]) -> Any:
    """Returns what a file holds; any fault, of which a damaged file may have any, names it."""
    try:
        return load(path)
    except Exception as error:
        raise ValueError(f"cannot read '{path}' ({error}); download it again") from error


def idx_files(folder: Path) -> dict[str, dict[str, Path]]:
    """Returns the idx files of a folder by part, and by what they hold, "images" or "labels"."""
    files: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir(), reverse=True):  # a plain file before its .gz
        if (match := IDX_NAME.fullmatch(path.name)) and path.is_file():
            files.setdefault(match["part"], {})[match["what"]] = path
    return files


def read_idx(folder: Path, options: ReadOptions) -> RawParts:
    """Returns the images and labels of idx files, gzipped or not."""
    files = idx_files(folder)
    for part, pair in files.items():
        if missing := {"images", "labels"} - set(pair):
            present = ", ".join(path.name for each in files.values() for path in each.values())
            lacking = f"'{folder}' has idx files but no {part} {missing.pop()}"
            raise ValueError(f"{lacking}; it has {present}: add the file")
    parts: list[Part] = []
    read: list[Path] = []
    for name, role in assign(files, options.parts, folder).items():
        pair = files[name]
        images, labels = (_loaded(pair[what], _idx) for what in ("images", "labels"))
        parts.append(Part(name, role, images, labels))
        read += pair.values()
    return RawParts(parts, left_out(folder, read, "images"))


def _idx(path: Path) -> NDArray[np.generic]:
    content = path.read_bytes()
    content = gzip.decompress(content) if path.suffix == ".gz" else content
    kind = IDX_TYPES.get(content[2]) if len(content) >= 4 and content[:2] == b"\0\0" else None
    if kind is None:
        raise ValueError(f"it must be an idx file, but begins with {content[:4]!r}")
    start = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:start], ">u4").tolist()
    count = math.prod(shape)
    if len(content) != start + count * np.dtype(kind).itemsize:
        raise ValueError(
            f"it must hold {count} numbers {tuple(shape)}, but has {len(content)} bytes"
        )
    values = np.frombuffer(content, kind, offset=start).reshape(shape)
    return values.astype(values.dtype.newbyteorder("="))


def mat_files(folder: Path) -> dict[str, Path]:
    """Returns SVHN's files of a folder by part; nothing without the training part."""
    files = {path.name.split("_")[0]: path for path in sorted(folder.glob("*_32x32.mat"))}
    return files if "train" in files else {}


def read_mat(folder: Path, options: ReadOptions) -> RawParts:
    """Returns SVHN's cropped digits, with a test part if its file is there."""
    files, parts = mat_files(folder), []
    for name, role in assign(files, options.parts, folder).items():
        parts.append(Part(name, role, *_loaded(files[name], _mat)))
    return RawParts(parts, left_out(folder, [files[part.name] for part in parts], "images"))


def _mat(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    content = loadmat(path, variable_names=["X", "y"])
    # Class 10 is the digit 0.
    return content["X"].transpose(3, 2, 0, 1), content["y"].ravel().astype(np.int64) % 10
