"""The digits of MNIST and SVHN as their authors publish them: idx and MATLAB files."""

import gzip
import math
import re
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from nas_lightning.data.parts import assign
from nas_lightning.data.raw_parts import Part, RawParts, ReadOptions

__all__ = ["has_mat_files", "idx_files", "read_idx_folder", "read_mat_files"]

NAME = re.compile(r"(?P<part>.*?)[-_.]?(?P<what>images|labels)[-_.]idx\d-ubyte(\.gz)?", re.ASCII)
TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
MAT_TRAIN = "train_32x32.mat"


def idx_files(folder: Path) -> dict[str, dict[str, Path]]:
    """Returns the idx files of a folder by part, and by what they hold, "images" or "labels"."""
    files: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir(), reverse=True):  # a plain file before its .gz
        if (match := NAME.fullmatch(path.name)) and path.is_file():
            files.setdefault(match["part"], {})[match["what"]] = path
    return files


def read_idx_folder(folder: Path, options: ReadOptions) -> RawParts:
    """Returns images and labels of idx files (LeCun, Cortes and Burges 1998), gzipped or not."""
    files = idx_files(folder)
    parts = []
    for part, role in assign(files, options.parts, folder).items():
        pair = files[part]
        if missing := {"images", "labels"} - set(pair):
            present = ", ".join(path.name for each in files.values() for path in each.values())
            raise ValueError(
                f"'{folder}' has idx files but no {part} {missing.pop()}; it has {present}: add the"
                " file"
            )
        if role != "unused":
            parts.append(Part(part, role, _read_idx(pair["images"]), _read_idx(pair["labels"])))
    others = {path.name for path in folder.iterdir() if not NAME.fullmatch(path.name)}
    return RawParts(parts, [f"file '{name}'" for name in sorted(others)])


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


def read_mat_files(folder: Path, options: ReadOptions) -> RawParts:
    """Returns SVHN's cropped digits (Netzer et al. 2011), with a test part if its file is there."""
    files = {path.name.split("_")[0]: path for path in sorted(folder.glob("*_32x32.mat"))}
    roles = assign(files, options.parts, folder)
    unused = [f"part '{name}'" for name, role in roles.items() if role == "unused"]
    parts = [Part(n, r, *_read_mat(files[n])) for n, r in roles.items() if r != "unused"]
    return RawParts(parts, unused)


def _read_mat(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        content = loadmat(path, variable_names=["X", "y"])
        images, labels = content["X"], content["y"].ravel().astype(np.int64)
    except Exception as error:  # a damaged file may raise anything
        raise ValueError(f"cannot read SVHN's file '{path}' ({error}); fetch it again") from error
    return images.transpose(3, 2, 0, 1), labels % 10  # class 10 is the digit 0
