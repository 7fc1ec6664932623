"""The idx files of MNIST and its kin (LeCun, Cortes and Burges 1998), gzipped or not."""

import gzip
import math
import re
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas_lightning.data.raw_split import RawSplit, ReadOptions

__all__ = ["idx_files", "read_idx_folder"]

NAME = re.compile(r"(?P<part>.*?)[-_.]?(?P<what>images|labels)[-_.]idx\d-ubyte(\.gz)?", re.ASCII)
TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
TESTS = ("t10k", "test")


def idx_files(folder: Path) -> dict[str, Path]:
    """Returns the idx files of a folder by part and content, e.g. "train images"."""
    files = {}
    for path in sorted(folder.iterdir(), reverse=True):  # a plain file before its .gz
        if (match := NAME.fullmatch(path.name)) and path.is_file():
            is_test = any(word in match["part"].lower() for word in TESTS)
            files[f"{'test' if is_test else 'train'} {match['what']}"] = path
    return files


def read_idx_folder(folder: Path, _: ReadOptions) -> RawSplit:
    """Returns the images and labels of a folder of idx files; refuses damaged or missing ones."""
    files = idx_files(folder)
    parts = ["train", "test"] if any(name.startswith("test") for name in files) else ["train"]
    wanted = [f"{part} {what}" for part in parts for what in ("images", "labels")]
    if missing := [name for name in wanted if name not in files]:
        raise ValueError(
            f"'{folder}' has idx files but no {missing[0]}; it has"
            f" {', '.join(path.name for path in files.values())}: add the file"
        )
    images, labels, *test = (_read(files[name]) for name in wanted)
    test_images, test_labels = test or (None, None)
    return RawSplit.of_pixels(images, labels, test_images, test_labels)


def _read(path: Path) -> NDArray[np.generic]:
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
