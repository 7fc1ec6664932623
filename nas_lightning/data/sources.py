"""What reads a data set, by the name that a file of conf/data/ gives it: digits, folder, hub."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.core.checks import at_least
from nas_lightning.data.formats import image_folder, npz, published, tables
from nas_lightning.data.images import ImageArrays, Size
from nas_lightning.data.parts import Chosen
from nas_lightning.data.raw_parts import Part, RawParts, ReadOptions, as_arrays

__all__ = ["digits", "folder", "hub", "known_form"]

Reader = Callable[[Path, ReadOptions], RawParts]
FILES: dict[str, Reader] = {
    ".npz": npz.read_npz,
    **dict.fromkeys((".parquet", ".csv", ".jsonl"), tables.read_tables),
}
FOLDERS: dict[str, tuple[Callable[[Path], object], Reader]] = {
    "a saved datasets folder": (tables.is_saved, tables.read_saved),
    "CIFAR's batches": (published.batch_files, published.read_batches),
    "idx files": (published.idx_files, published.read_idx),
    "MATLAB files": (published.mat_files, published.read_mat),
}


def digits(
    path: str | None = None, image_size: Size | None = None, channels: int | None = None
) -> ImageArrays:
    """Returns scikit-learn's handwritten digits: 1,797 grey images, 8x8.

    The test set of UCI's Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998).
    Its 17 levels of grey are scaled to 0..255; a fixed, stratified fifth is the test set.
    """
    from sklearn.datasets import load_digits  # takes a second, which other data need not wait for

    if path is not None:
        raise ValueError(
            f"data.path ({path}) has no meaning for data=digits, which comes with scikit-learn;"
            " use data=folder for images of your own"
        )
    at_least("data.channels", channels, 1)
    content = load_digits()
    grey = np.rint(content.images * (255 / 16)).astype(np.uint8)
    raw = RawParts([Part("digits", "train", grey, content.target)])
    return as_arrays(raw, ReadOptions(image_size, channels))


def known_form(source: Any) -> tuple[tuple[int, ...], int] | None:
    """Returns the shape and the classes of a source's images where they are always the same."""
    return ((1, 8, 8), 10) if getattr(source, "func", source) is digits else None


def folder(
    path: str | None = None,
    image_size: Size | None = None,
    channels: int | None = None,
    *,
    range: Sequence[float] | None = None,  # noqa: A002  # the key is data.range
    parts: Chosen | None = None,
    image_column: str | None = None,
    label_column: str | Sequence[str] | None = None,
    train_split: str | None = None,
    test_split: str | None = None,
    layout: str | None = None,
    class_names: Sequence[str] | None = None,
) -> ImageArrays:
    """Returns images of your own, in whatever form a folder or file has them.

    The path holds image files in one sub-folder per class, or in train/ and test/ of such
    sub-folders, or beside a CSV file that labels them; parquet files; a folder saved by `datasets`;
    an .npz file of arrays; the python batches of CIFAR-10 and CIFAR-100; idx files; or SVHN's
    MATLAB files. Without a test part a fixed, stratified fifth is the test set. `train_split` and
    `test_split` are parts; for the other options see `ReadOptions`. Raises ValueError that names
    what is missing or wrong.
    """
    chosen = {"train_split": train_split, "test_split": test_split, **(parts or {})}
    options = ReadOptions(
        image_size, channels, image_column, label_column, chosen, layout, range, class_names
    )
    return _read(path, options)


def hub(
    path: str | None = None,
    image_size: Size | None = None,
    channels: int | None = None,
    *,
    name: str | None = None,
    config: str | None = None,
    range: Sequence[float] | None = None,  # noqa: A002  # the key is data.range
    parts: Chosen | None = None,
    image_column: str | None = None,
    label_column: str | Sequence[str] | None = None,
    train_split: str | None = None,
    test_split: str | None = None,
    layout: str | None = None,
    class_names: Sequence[str] | None = None,
) -> ImageArrays:
    """Returns a data set of the Hugging Face hub, fetched once and then read from a cache.

    It is OWNER/NAME in one of its configurations, or a copy at a path on this machine, in any form
    that `folder` reads, with its options. Raises ValueError if it cannot be fetched or read.
    """
    chosen = {"train_split": train_split, "test_split": test_split, **(parts or {})}
    options = ReadOptions(
        image_size, channels, image_column, label_column, chosen, layout, range, class_names
    )
    if path is not None:
        return _read(path, options)
    return as_arrays(tables.read_hub(name, config, options), options)


def _read(path: str | None, options: ReadOptions) -> ImageArrays:
    if path is None:
        raise ValueError("data=folder needs a folder, got data.path=null; add data.path=DIR")
    root = Path(path).expanduser()
    place, read = _found(root) or (root, image_folder.read_image_folder)
    if read is not image_folder.read_image_folder:
        return as_arrays(read(place, options), options)
    if not root.is_dir():
        state = "is another file" if root.exists() else "does not exist"
        raise ValueError(
            f"data.path must be a folder, or a file ({', '.join(FILES)}), but '{path}' {state}; "
            "give a folder with one sub-folder of images per class, or such a file"
        )
    # Their folders name the classes.
    return as_arrays(read(place, options), replace(options, class_names=None))


def _found(root: Path) -> tuple[Path, Reader] | None:
    """Returns what a path or the folders in it hold, if not images by class, and its reader."""
    readers = _readers(root)
    if not readers and root.is_dir():
        inside = [each for each in root.iterdir() if each.name[0] != "."]
        folders = [each for each in inside if each.is_dir()]
        if len(inside) == len(folders) == 1:
            return _found(folders[0])
        readers = {each.name: reader for each in folders for reader in _readers(each).values()}
    if len(readers) > 1:
        names = ", ".join(sorted(readers))
        raise ValueError(f"'{root}' holds several data sets: {names}; name one by data.path")
    return next(iter(readers.values()), None)


def _readers(root: Path) -> dict[str, tuple[Path, Reader]]:
    """Returns the data sets at a path and their readers, by the names of their formats or files."""
    if not root.is_dir():
        is_known = root.is_file() and root.suffix in FILES
        return {root.name: (root, FILES[root.suffix])} if is_known else {}
    readers = {name: (root, read) for name, (is_here, read) in FOLDERS.items() if is_here(root)}
    readers |= {path.name: (path, npz.read_npz) for path in sorted(root.glob("*.npz"))}
    kinds = tables.kinds_of_tables(root)
    for suffix in kinds:
        readers[f"{suffix} files"] = (root, partial(tables.read_tables, suffix=suffix))
    if kinds not in ([], [".parquet"]) and image_folder.has_classes(root):
        readers["images by class"] = (root, image_folder.read_image_folder)
    return readers
