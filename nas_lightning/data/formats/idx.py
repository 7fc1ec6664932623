"""The idx files of MNIST and its kin (LeCun, Cortes and Burges 1998), gzipped or not."""

import gzip
import math
import re
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas_lightning.data.pixels import as_images
from nas_lightning.data.raw_split import RawSplit

NAME = re.compile(r"(?P<part>.*?)[-_.]?(?P<what>images|labels)[-_.]idx\d-ubyte(\.gz)?", re.ASCII)
TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
TESTS = ("t10k", "test")


def idx_files(folder: Path) -> dict[str, Path]:
    """The idx files of a folder by part and content, e.g. "train images"."""
    found = {}
    for path in sorted(folder.iterdir(), reverse=True):  # a plain file before its .gz
        if (match := NAME.fullmatch(path.name)) and path.is_file():
            is_test = any(word in match["part"].lower() for word in TESTS)
            found[f"{'test' if is_test else 'train'} {match['what']}"] = path
    return found


def read_idx_folder(folder: Path) -> RawSplit:
    """The images and labels of a folder of idx files.

    Raises:
        ValueError: if a file is missing, or is none.
    """
    files = idx_files(folder)
    wanted = ["train images", "train labels"]
    if any(name.startswith("test") for name in files):
        wanted += ["test images", "test labels"]
    if missing := [name for name in wanted if name not in files]:
        raise ValueError(
            f"'{folder}' has idx files but no {missing[0]}; it has"
            f" {', '.join(path.name for path in files.values())}: add the file"
        )
    arrays = {name: read_idx(files[name]) for name in wanted}
    train, test = as_images(arrays["train images"], arrays.get("test images"))
    return RawSplit(train, arrays["train labels"], test, arrays.get("test labels"))


def read_idx(path: Path) -> NDArray[np.generic]:
    """The array of one idx file.

    Raises:
        ValueError: if the file is damaged.
    """
    content = path.read_bytes()
    try:
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"cannot read '{path}' ({error}); fetch it anew") from error
    kind = TYPES.get(content[2]) if len(content) >= 4 and content[:2] == b"\0\0" else None
    if kind is None:
        raise ValueError(f"'{path}' must be an idx file, but begins with {content[:4]!r}")
    start = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:start], ">u4").tolist()
    count = math.prod(shape)
    if len(content) != start + count * np.dtype(kind).itemsize:
        raise ValueError(
            f"'{path}' must hold {count} numbers {tuple(shape)}, but has {len(content)} bytes;"
            " it is cut short: fetch it anew"
        )
    values = np.frombuffer(content, kind, offset=start).reshape(shape)
    return values.astype(values.dtype.newbyteorder("="))
