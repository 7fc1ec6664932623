"""Tables of images and labels: parquet files, saved `datasets` folders, and hub data sets."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from nas_lightning.data.formats.columns import image_column, label_columns, labels_of, pixels_of
from nas_lightning.data.image_files import (
    Encoded,
    File,
    FileImages,
    headers,
    most_common_channels,
    most_common_size,
)
from nas_lightning.data.images import Images, as_size
from nas_lightning.data.pixels import as_images
from nas_lightning.data.raw_split import RawSplit

if TYPE_CHECKING:
    import pyarrow as pa

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
}
MOST_HEADERS = 4096


@dataclass(frozen=True)
class TableOptions:
    """What a user may say of tables where it cannot be found out.

    Args:
        image_column: of the images; None finds it.
        label_column: of the labels, or several of numbers; None finds it.
        train_split: name of the training split, or several joined by "+"; None means train, and
            validation where there is a test split.
        test_split: alike; None means test, or else validation.
        layout: of columns of nested numbers: "NCHW" or "NHWC"; None finds it out.
    """

    image_column: str | None = None
    label_column: str | Sequence[str] | None = None
    train_split: str | None = None
    test_split: str | None = None
    layout: str | None = None


@dataclass(frozen=True, eq=False)
class Table:
    """A table with what is known of its columns.

    Args:
        rows: the columns.
        features: of each column, as `datasets` describes them: plain data.
        root: where relative paths of images begin.
    """

    rows: "pa.Table"
    features: Mapping[str, Any]
    root: Path


def read_parquet(files: Sequence[Path], root: Path) -> dict[str, Table]:
    """The tables of parquet files by split; a file's split is in its name or its folder's.

    Raises:
        ValueError: if a file is damaged, or files of one split differ in their columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    by_split: dict[str, list[pa.Table]] = {}
    for path in files:
        try:
            table = pq.read_table(path)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(
                f"cannot read the parquet file '{path}' ({error}); fetch it anew"
            ) from (error)
        by_split.setdefault(split_of(path.relative_to(root)), []).append(table)
    tables = {}
    for split, parts in by_split.items():
        metadata = (parts[0].schema.metadata or {}).get(b"huggingface", b"{}")
        features = json.loads(metadata).get("info", {}).get("features", {})
        try:
            rows = pa.concat_tables(parts)
        except pa.ArrowInvalid as error:
            raise ValueError(
                f"the parquet files of split '{split}' in '{root}' must have the same columns:"
                f" {str(error).splitlines()[0]}"
            ) from error
        tables[split] = Table(rows, features, root)
    return tables


def split_of(path: Path) -> str:
    """The split that a relative path names; "train" if it names none.

    >>> split_of(Path("plain/test-00000-of-00001.parquet"))
    'test'
    """
    words = [word for part in path.parts for word in re.split(r"[-_. ]", part.lower())]
    return next((SPLITS[word] for word in words if word in SPLITS), "train")


def from_datasets(found: Any, root: Path) -> dict[str, Table]:
    """The tables of what `datasets` returned: a Dataset, or several by split."""
    by_split = found if isinstance(found, Mapping) else {"train": found}
    return {
        str(split): Table(each.with_format("arrow")[:], each.features.to_dict(), root)
        for split, each in by_split.items()
        if len(each)
    }


def read_tables(
    tables: Mapping[str, Table],
    options: TableOptions,
    image_size: int | Sequence[int] | None,
    channels: int | None,
) -> RawSplit:
    """The images and labels of tables.

    Args:
        tables: by split.
        options: what the user says of them.
        image_size: one side or (height, width) in pixels; None takes the most common one of
            encoded images, as of files.
        channels: of an image; None takes the more common of grey and colour.

    Raises:
        ValueError: if there is no such split or column, or images cannot be told.
    """
    train, test = _two(tables, options)
    column = image_column(train.rows, train.features, options.image_column)
    names = label_columns(train.rows, train.features, column, options.label_column)
    labels, class_names = labels_of(train.rows, train.features, names)
    images, test_images = _images(train, test, column, options, image_size, channels)
    if test is None:
        return RawSplit(images, labels, names=class_names)
    test_labels, _ = labels_of(test.rows, test.features, names)
    return RawSplit(images, labels, test_images, test_labels, class_names)


def _two(tables: Mapping[str, Table], options: TableOptions) -> tuple[Table, Table | None]:
    """The training table and the test table."""
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
    return _joined(tables, train), None if test is None else _joined(tables, test)


def _joined(tables: Mapping[str, Table], splits: str) -> Table:
    import pyarrow as pa

    names = splits.split("+")
    for name in names:
        if name not in tables:
            raise ValueError(
                f"unknown split '{name}'; choose data.source.train_split and test_split from:"
                f" {', '.join(tables)}"
            )
    parts = [tables[name] for name in names]
    if len(parts) == 1:
        return parts[0]
    return Table(pa.concat_tables([p.rows for p in parts]), parts[0].features, parts[0].root)


def _images(
    train: Table,
    test: Table | None,
    column: str,
    options: TableOptions,
    image_size: int | Sequence[int] | None,
    channels: int | None,
) -> tuple[Images, Images | None]:
    """The images of both tables: arrays, or files to be decoded to one size and mode."""
    tables = [each for each in (train, test) if each is not None]
    arrays = [pixels_of(each.rows.column(column), column) for each in tables]
    if arrays[0] is not None:
        return as_images(arrays[0], arrays[1] if len(arrays) > 1 else None, options.layout)
    rows = [_Rows(each.rows.column(column), column, each.root) for each in tables]
    found = [] if image_size and channels else headers(rows[0], MOST_HEADERS)
    size = as_size(image_size) if image_size else most_common_size(found)
    channels = channels or most_common_channels(found)
    made = [FileImages(each, size, channels) for each in rows]
    return made[0], made[1] if len(made) > 1 else None


class _Rows(Sequence[File]):
    """The image files in a column: bytes, {bytes, path} or paths.

    Args:
        column: the column.
        name: its name.
        root: where relative paths begin.
    """

    def __init__(self, column: "pa.ChunkedArray", name: str, root: Path) -> None:
        self.column, self.name, self.root = column, name, root

    def __len__(self) -> int:
        return len(self.column)

    @overload
    def __getitem__(self, index: int) -> File: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[File]: ...

    def __getitem__(self, index: int | slice) -> File | Sequence[File]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        value = self.column[index].as_py()
        if isinstance(value, Mapping):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, str):
            return self.root / Path(value).expanduser()
        return Encoded(value or b"", f"{self.name} of row {index}")
