"""The digits of MNIST and SVHN as their authors publish them: idx and MATLAB files."""

import gzip
import math
import re
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from nas_lightning.data.raw_split import RawSplit, ReadOptions

__all__ = ["has_mat_files", "idx_files", "read_idx_folder", "read_mat_files"]

NAME = re.compile(r"(?P<part>.*?)[-_.]?(?P<what>images|labels)[-_.]idx\d-ubyte(\.gz)?", re.ASCII)
TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
MAT_TRAIN, MAT_TEST = "train_32x32.mat", "test_32x32.mat"


def idx_files(folder: Path) -> dict[str, Path]:
    """Returns the idx files of a folder by part and content, e.g. "train images"."""
    files = {}
    for path in sorted(folder.iterdir(), reverse=True):  # a plain file before its .gz
        if (match := NAME.fullmatch(path.name)) and path.is_file():
            is_test = any(word in match["part"].lower() for word in ("t10k", "test"))
            files[f"{'test' if is_test else 'train'} {match['what']}"] = path
    return files


def read_idx_folder(folder: Path, _: ReadOptions) -> RawSplit:
    """Returns images and labels of idx files (LeCun, Cortes and Burges 1998), gzipped or not."""
    files = idx_files(folder)
    parts = ["train", "test"] if any(name.startswith("test") for name in files) else ["train"]
    wanted = [f"{part} {what}" for part in parts for what in ("images", "labels")]
    if missing := [name for name in wanted if name not in files]:
        raise ValueError(
            f"'{folder}' has idx files but no {missing[0]}; it has"
            f" {', '.join(path.name for path in files.values())}: add the file"
        )
    images, labels, *test = (_read_idx(files[name]) for name in wanted)
    test_images, test_labels = test or (None, None)
    return RawSplit.of_pixels(images, labels, test_images, test_labels)


def _read_idx(path: Path) -> NDArray[np.generic]:
    content = path.read_bytes()
    try:
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"cannot read '{path}' ({error}); download it again") from error
    kind = TYPES.get(content[2]) if len(content) >= 4 and content[:2] == b"\0\0" else None
    if kind is None:
        raise ValueError(f"'{path}' must be an idx file, but begins with {content[:4]!r}")
    start = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:start], ">u4").tolist()
    count = math.prod(shape)
    if len(content) != start + count * np.dtype(kind).itemsize:
        raise ValueError(
            f"'{path}' must hold {count} numbers {tuple(shape)}, but has {len(content)} bytes;"
            " it is cut short: download it again"
        )
    values = np.frombuffer(content, kind, offset=start).reshape(shape)
    return values.astype(values.dtype.newbyteorder("="))


def has_mat_files(folder: Path) -> bool:
    """Returns whether a folder holds SVHN's files."""
    return (folder / MAT_TRAIN).is_file()


def read_mat_files(folder: Path, _: ReadOptions) -> RawSplit:
    """Returns SVHN's cropped digits (Netzer et al. 2011), with a test part if its file is there."""
    images, labels = _read_mat(folder / MAT_TRAIN)
    test_images, test_labels = (
        _read_mat(folder / MAT_TEST) if (folder / MAT_TEST).is_file() else (None, None)
    )
    return RawSplit.of_pixels(images, labels, test_images, test_labels, layout="NHWC")


def _read_mat(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        content = loadmat(path, variable_names=["X", "y"])
        images, labels = content["X"], content["y"].ravel().astype(np.int64)
    except Exception as error:  # a damaged file may raise anything
        raise ValueError(f"cannot read SVHN's file '{path}' ({error}); fetch it again") from error
    return images.transpose(3, 0, 1, 2), labels % 10  # class 10 is the digit 0
