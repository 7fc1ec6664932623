"""What reads a data set, by the name that a file of conf/data/ gives it: digits, folder, hub."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from nas_lightning.core.checks import at_least
from nas_lightning.data.formats import cifar, digit_files, image_folder, npz, tables
from nas_lightning.data.images import ImageArrays, Size
from nas_lightning.data.parts import Chosen
from nas_lightning.data.raw_parts import Part, RawParts, ReadOptions, as_arrays

__all__ = ["digits", "folder", "hub"]

Reader = Callable[[Path, ReadOptions], RawParts]
FILES: dict[str, Reader] = {
    ".npz": npz.read_npz,
    ".parquet": tables.read_tables,
    ".csv": tables.read_tables,
    ".jsonl": tables.read_tables,
}
FOLDERS: dict[str, tuple[Callable[[Path], object], Reader]] = {
    "a saved datasets folder": (tables.is_saved, tables.read_saved),
    "CIFAR's batches": (cifar.has_batches, cifar.read_cifar),
    "idx files": (digit_files.idx_files, digit_files.read_idx_folder),
    "MATLAB files": (digit_files.has_mat_files, digit_files.read_mat_files),
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
    names = [str(name) for name in content.target_names]
    raw = RawParts([Part("digits", "train", grey, content.target, names)])
    return as_arrays(raw, ReadOptions(image_size, channels))


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
    MATLAB files. Without a test part a fixed, stratified fifth is the test set. Class names, in
    order, replace numbers; `train_split` and `test_split` are parts; for the other options see
    `ReadOptions`. Raises ValueError that names what is missing or wrong.
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
    root = Path(path or "").expanduser()
    raw = _read_path(root, options) if path is not None and root.exists() else None
    if raw is None:  # images by class: their folders name the classes
        raw = image_folder.read_image_folder(path, options)
        options = replace(options, class_names=None)
    return as_arrays(raw, options)


def _read_path(root: Path, options: ReadOptions) -> RawParts | None:
    """Returns what a path, or the only folder in it, holds; None if at most images by class."""
    readers = _readers(root)
    if not readers and root.is_dir():
        inside = [each for each in root.iterdir() if each.name[0] != "."]
        if len(inside) == 1 and inside[0].is_dir():
            return _read_path(inside[0], options)
        folders = [each for each in inside if each.is_dir()]
        readers = {each.name: reader for each in folders for reader in _readers(each).values()}
    if len(readers) > 1:
        names = ", ".join(sorted(readers))
        raise ValueError(f"'{root}' holds several data sets: {names}; name one by data.path")
    for path, read in readers.values():
        return read(path, options)
    return None


def _readers(root: Path) -> dict[str, tuple[Path, Reader]]:
    """Returns the data sets at a path and their readers, by the names of their formats or files."""
    if root.is_file():
        return {root.name: (root, FILES[root.suffix])} if root.suffix in FILES else {}
    readers = {name: (root, read) for name, (is_here, read) in FOLDERS.items() if is_here(root)}
    readers |= {path.name: (path, npz.read_npz) for path in sorted(root.glob("*.npz"))}
    for suffix in tables.READERS:
        files = tables.table_files(root, suffix)
        if files and (suffix == ".parquet" or all(map(tables.has_labels, files))):
            readers[f"{suffix} files"] = (root, partial(tables.read_tables, suffix=suffix))
            if suffix != ".parquet" and image_folder.has_classes(root):
                raise ValueError(
                    f"'{root}' holds several data sets: {suffix} files, images by class; name one"
                    " by data.path, or move the other one"
                )
    return readers
