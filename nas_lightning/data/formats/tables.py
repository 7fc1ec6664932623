"""Tables of images and labels: parquet, CSV and JSON lines files, and those of `datasets`."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from nas_lightning.data.formats.image_folder import SUFFIXES, left_out, visible_files
from nas_lightning.data.formats.table import (
    FILE_NAMES,
    Table,
    image_column,
    is_text,
    label_columns,
    labels_of,
    pixels_of,
)
from nas_lightning.data.image_files import EncodedFile, File
from nas_lightning.data.parts import assign, shardless
from nas_lightning.data.raw_parts import Part, RawParts, ReadOptions

__all__ = ["has_labels", "is_saved", "of_datasets", "read_hub", "read_saved", "read_tables"]

AS_TEXT = pa.csv.ConvertOptions(column_types=dict.fromkeys(FILE_NAMES, pa.string()))  # keep 007
READERS = {
    ".parquet": pa.parquet.read_table,
    ".csv": lambda file: pa.csv.read_csv(file, convert_options=AS_TEXT),
    ".jsonl": pa.json.read_json,
}


def table_files(root: Path, suffix: str) -> list[Path]:
    """Returns the files of a suffix anywhere in a folder, sorted, without hidden ones."""
    return [root / file for file in visible_files(root) if file.endswith(suffix)]


def has_labels(file: Path) -> bool:
    """Returns whether a CSV or JSON lines file names image files and their labels."""
    try:
        table = Table(READERS[file.suffix](file), {}, file.parent)
        return bool(label_columns(table, image_column(table, None), None))
    except (ValueError, pa.ArrowException, OSError):
        return False


def read_tables(path: Path, options: ReadOptions, suffix: str = "") -> RawParts:
    """Returns the images and labels of a file, or of all files of a suffix in a folder."""
    files, root = ([path], path.parent) if path.is_file() else (table_files(path, suffix), path)
    by_part: dict[str, list[Path]] = {}
    for file in files:
        name = shardless(file.relative_to(root).with_suffix("").as_posix())
        levels = [each for each in name.split("/") if "=" not in each or "split" in each]
        by_part.setdefault("/".join(levels), []).append(file)
    roles = assign(by_part, options.parts, path)
    parts = []
    for name, role in roles.items():
        if role != "unused":
            parts += [_part(name, role, _table(file, root), options) for file in by_part[name]]
    passed_over = [f"part '{name}'" for name, role in roles.items() if role == "unused"]
    if path.is_dir():
        paths = [p for each in parts if isinstance(c := each.images, ImageColumn) for p in c.paths]
        everything = visible_files(root)
        passed_over += left_out(root, everything, {*files, *paths}, "images without a label")
    return RawParts(parts, passed_over)


def _table(file: Path, root: Path) -> Table:
    """Returns a file's table, with what folders such as label=cat say of all its rows."""
    try:
        rows = READERS[file.suffix](file)
    except (pa.ArrowException, OSError) as error:
        kind = file.suffix.removeprefix(".")
        message = f"cannot read the {kind} file '{file}' ({error}); download it again"
        raise ValueError(message) from error
    for level in file.relative_to(root).parts[:-1]:
        key, sign, value = level.partition("=")
        if sign and key not in rows.column_names:
            rows = rows.append_column(key, pa.array([value] * len(rows), pa.string()))
    metadata = (rows.schema.metadata or {}).get(b"huggingface", b"{}")
    return Table(rows, json.loads(metadata).get("info", {}).get("features", {}), root, str(file))


def is_saved(root: Path) -> bool:
    """Returns whether `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote a folder."""
    return any((root / f"dataset_{kind}.json").is_file() for kind in ("dict", "info"))


def read_saved(root: Path, options: ReadOptions) -> RawParts:
    """Returns the images and labels of a folder that `datasets` saved; refuses damaged files."""
    from datasets import load_from_disk  # takes two seconds, which other files need not wait for

    try:
        saved = load_from_disk(str(root))
    except Exception as error:  # damaged files may raise anything
        raise ValueError(f"cannot read the saved data set '{root}' ({error})") from error
    return of_datasets(saved, options, root)


def read_hub(name: str | None, config: str | None, options: ReadOptions) -> RawParts:
    """Returns the images and labels of the hub's data set OWNER/NAME in a configuration."""
    if name is None:
        raise ValueError("data=hub needs a name, got data.name=null; add data.name=OWNER/NAME")
    from datasets import load_dataset  # takes two seconds, which other files need not wait for

    log = logging.getLogger("huggingface_hub")
    level = log.level
    log.setLevel(logging.ERROR)  # without its remarks on every attempt: a failure is reported once
    try:
        datasets = load_dataset(name, config)
    except Exception as error:  # a network, a hub and a cache may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"the data set '{name}' cannot be fetched from the hub ({reason}); check its name"
            " and the network, or name a copy on this machine: data.path=PATH"
        ) from error
    finally:
        log.setLevel(level)
    return of_datasets(datasets, options, Path())


def of_datasets(datasets: Any, options: ReadOptions, where: Path) -> RawParts:
    """Returns the images and labels of a `Dataset` or `DatasetDict`."""
    by_split = datasets if isinstance(datasets, Mapping) else {"train": datasets}
    by_split = {str(split): each for split, each in by_split.items()}
    roles = assign([name for name in by_split if len(by_split[name])], options.parts, where)
    parts, passed_over = (
        [],
        [f"part '{n}': no rows" for n, each in by_split.items() if not len(each)],
    )
    for name, role in roles.items():
        each = by_split[name]
        if role == "unused":
            passed_over.append(f"part '{name}': {len(each)} rows")
            continue
        rows = each.with_format("arrow")[:]
        table = Table(rows, each.features.to_dict(), where, f"part '{name}'")
        parts.append(_part(name, role, table, options))
    return RawParts(parts, passed_over)


def _part(name: str, role: str, table: Table, options: ReadOptions) -> Part:
    column = image_column(table, options.image_column)
    labels, class_names = labels_of(table, label_columns(table, column, options.label_column))
    images = pixels_of(table, column)
    return Part(
        name, role, ImageColumn(table, column) if images is None else images, labels, class_names
    )


class ImageColumn:
    """The image files in a column of a table: bytes, {bytes, path} or paths."""

    def __init__(self, table: Table, name: str) -> None:
        self.column, self.name, self.where = table.rows.column(name), name, table.where
        self.paths: Sequence[Path] = ()
        if is_text(self.column.type):
            self.paths = list(_paths(self.column.to_pylist(), table))

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, index: int) -> File:
        if self.paths:
            return self.paths[index]
        value = self.column[index].as_py()
        if isinstance(value, Mapping):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, str):
            return Path(value).expanduser()
        return EncodedFile(value or b"", f"{self.name} of row {index} of {self.where}")


def _paths(names: Sequence[str | None], table: Table) -> Iterator[Path]:
    """Yields the files that are named, by their path, or by a name or stem that only one has."""
    by_name: dict[str, set[str]] = {}
    images = [f for f in visible_files(table.root) if Path(f).suffix.lower() in SUFFIXES]
    for file in images:
        path = Path(file)
        for key in {file, path.name, path.stem, "/".join(path.parts[-2:])}:
            by_name.setdefault(key, set()).add(file)
    for name in names:
        path = table.root / Path(name or "").expanduser()
        fitting = by_name.get(Path(name or "").as_posix(), set())
        if path.is_file():
            yield path
        elif len(fitting) == 1:
            yield table.root / next(iter(fitting))
        else:
            present = f"{len(fitting)} files" if fitting else "no file"
            raise ValueError(
                f"'{name}', an image of {table.where}, is the name of {present} in '{table.root}';"
                " correct it, or name the column by data.source.image_column"
            )
