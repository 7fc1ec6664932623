"""Tables of images and labels: parquet files, folders that `datasets` saved, the hub's data."""

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nas_lightning.data.formats.columns import image_column, label_columns, labels_of, pixels_of
from nas_lightning.data.image_files import EncodedFile, File, file_images
from nas_lightning.data.raw_split import RawSplit, ReadOptions

__all__ = ["SPLITS", "is_saved", "parquet_files", "read_hub", "read_parquet", "read_saved"]

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
}
SAVED = ("dataset_dict.json", "dataset_info.json")
MOST_HEADERS = 4096


@dataclass(frozen=True, eq=False)
class Table:
    """A table and what is known about its columns."""

    rows: pa.Table
    features: Mapping[str, Any]  # of each column, as `datasets` describes them: plain data
    root: Path  # where relative paths of images begin


def parquet_files(root: Path) -> list[Path]:
    """Returns the parquet files anywhere in a folder, sorted, without hidden ones."""
    return sorted(path for path in root.rglob("*.parquet") if path.name[0] != ".")


def read_parquet(path: Path, options: ReadOptions) -> RawSplit:
    """Returns the images and labels of a parquet file, or of those in a folder.

    Raises ValueError if a file is damaged, or files of one split differ in their columns.
    """
    files, root = ([path], path.parent) if path.is_file() else (parquet_files(path), path)
    by_split: dict[str, list[pa.Table]] = {}
    for file in files:
        try:
            table = pq.read_table(file)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(
                f"cannot read the parquet file '{file}' ({error}); download it again"
            ) from error
        by_split.setdefault(_split_of(file.relative_to(root)), []).append(table)
    tables = {split: _joined_files(parts, split, root) for split, parts in by_split.items()}
    return _read_tables(tables, options)


def _joined_files(parts: Sequence[pa.Table], split: str, root: Path) -> Table:
    metadata = (parts[0].schema.metadata or {}).get(b"huggingface", b"{}")
    features = json.loads(metadata).get("info", {}).get("features", {})
    try:
        return Table(pa.concat_tables(parts), features, root)
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"the parquet files of split '{split}' in '{root}' must have the same columns:"
            f" {str(error).splitlines()[0]}"
        ) from error


def _split_of(path: Path) -> str:
    """Returns the split that a relative path names; "train" if it names none.

    >>> _split_of(Path("plain/test-00000-of-00001.parquet"))
    'test'
    """
    words = [word for part in path.parts for word in re.split(r"[-_. ]", part.lower())]
    return next((SPLITS[word] for word in words if word in SPLITS), "train")


def is_saved(root: Path) -> bool:
    """Returns whether `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote a folder."""
    return any((root / name).is_file() for name in SAVED)


def read_saved(root: Path, options: ReadOptions) -> RawSplit:
    """Returns the images and labels of a folder that `datasets` saved; refuses damaged files."""
    from datasets import load_from_disk  # takes two seconds, which other files need not wait for

    try:
        saved = load_from_disk(str(root))
    except Exception as error:  # damaged files may raise anything
        raise ValueError(f"cannot read the saved data set '{root}' ({error})") from error
    return _read_datasets(saved, root, options)


def read_hub(name: str | None, config: str | None, options: ReadOptions) -> RawSplit:
    """Returns the images and labels of the hub's data set OWNER/NAME in a configuration."""
    if name is None:
        raise ValueError("data=hub needs a name, got data.name=null; add data.name=OWNER/NAME")
    from datasets import load_dataset  # takes two seconds, which other files need not wait for

    try:
        with _quiet():
            datasets = load_dataset(name, config)
    except Exception as error:  # a network, a hub and a cache may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"the data set '{name}' cannot be fetched from the hub ({reason}); check its name"
            " and the network, or name a copy on this machine: data.path=PATH"
        ) from error
    return _read_datasets(datasets, Path(), options)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the hub's remarks on every attempt from the terminal; its failure is reported once."""
    log = logging.getLogger("huggingface_hub")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _read_datasets(datasets: Any, root: Path, options: ReadOptions) -> RawSplit:
    by_split = datasets if isinstance(datasets, Mapping) else {"train": datasets}
    tables = {
        str(split): Table(each.with_format("arrow")[:], each.features.to_dict(), root)
        for split, each in by_split.items()
        if len(each)
    }
    return _read_tables(tables, options)


def _read_tables(tables: Mapping[str, Table], options: ReadOptions) -> RawSplit:
    train, test = _train_and_test(tables, options)
    column = image_column(train.rows, train.features, options.image_column)
    columns = label_columns(train.rows, train.features, column, options.label_column)
    labels, names = labels_of(train.rows, train.features, columns)
    test_labels = None if test is None else labels_of(test.rows, test.features, columns)[0]
    images = pixels_of(train.rows.column(column), column)
    if images is not None:
        test_images = None if test is None else pixels_of(test.rows.column(column), column)
        return RawSplit.of_pixels(images, labels, test_images, test_labels, names, options.layout)
    files = _ImageColumn(train, column)
    test_files = None if test is None else _ImageColumn(test, column)
    size, channels = options.image_size, options.channels
    decoded, test_decoded = file_images(files, test_files, size, channels, MOST_HEADERS)
    return RawSplit(decoded, labels, test_decoded, test_labels, names)


def _train_and_test(
    tables: Mapping[str, Table], options: ReadOptions
) -> tuple[Table, Table | None]:
    train, test = options.train_split, options.test_split
    if test is None:
        test = next((split for split in ("test", "validation") if split in tables), None)
    if train is None:
        whole = [s for s in ("train", "validation") if s in tables and s != test]
        train = "+".join(whole or [s for s in tables if s != test][:1])
    if test is not None and {*train.split("+")} & {*test.split("+")}:
        raise ValueError(
            f"training and test split must differ, got '{train}' and '{test}'; choose by"
            " data.source.train_split and test_split"
        )
    return _joined_splits(tables, train), None if test is None else _joined_splits(tables, test)


def _joined_splits(tables: Mapping[str, Table], splits: str) -> Table:
    for name in splits.split("+"):
        if name not in tables:
            raise ValueError(
                f"unknown split '{name}'; choose data.source.train_split and test_split from:"
                f" {', '.join(tables)}"
            )
    parts = [tables[name] for name in splits.split("+")]
    rows = parts[0].rows if len(parts) == 1 else pa.concat_tables([part.rows for part in parts])
    return Table(rows, parts[0].features, parts[0].root)


class _ImageColumn:
    """The image files in a column of a table: bytes, {bytes, path} or paths."""

    def __init__(self, table: Table, name: str) -> None:
        self.column, self.name, self.root = table.rows.column(name), name, table.root

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, index: int) -> File:
        value = self.column[index].as_py()
        if isinstance(value, Mapping):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, str):
            return self.root / Path(value).expanduser()
        return EncodedFile(value or b"", f"{self.name} of row {index}")
