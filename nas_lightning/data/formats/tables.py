"""Tables of images and labels: parquet, CSV and JSON lines files, and those of `datasets`."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from nas_lightning.core.checks import one_of
from nas_lightning.data.formats.image_folder import is_image, left_out, visible_files
from nas_lightning.data.image_files import EncodedFile, File, Files
from nas_lightning.data.labels import Raw
from nas_lightning.data.parts import assign, shardless
from nas_lightning.data.pixels import Array
from nas_lightning.data.raw_parts import Part, RawParts, ReadOptions

__all__ = ["is_saved", "kinds_of_tables", "of_datasets", "read_hub", "read_saved", "read_tables"]

PATHS = ("file_name", "filename", "file", "filepath", "file_path", "path", "image_path", "img_path")
FILE_NAMES = (*PATHS, "image_name", "image_id", "image", "img", "id", "ID", "Id", "id_code")
IMAGES = ("image", "images", "img", "picture", "pixels", "x")
LABELS = ("label", "labels", "fine_label", "target", "targets", "class", "y", "category")
AS_TEXT = pa.csv.ConvertOptions(column_types=dict.fromkeys(FILE_NAMES, pa.string()))  # keep 007
TEXT, BYTES = ("string", "large_string"), ("binary", "large_binary")  # types of pyarrow
READERS = {
    ".parquet": pa.parquet.read_table,
    ".csv": lambda file: pa.csv.read_csv(file, convert_options=AS_TEXT),
    ".jsonl": pa.json.read_json,
}


@dataclass(frozen=True, eq=False)
class Table:
    """A table and what is known about its columns."""

    rows: pa.Table
    features: Mapping[str, Any]  # of each column, as `datasets` describes them: plain data
    root: Path  # where relative paths of images begin
    where: str  # for messages

    def declares(self, name: str, kind: str) -> bool:
        """Returns whether the features say that a column is an "Image" or a "ClassLabel"."""
        feature = self.features.get(name)
        return isinstance(feature, Mapping) and feature.get("_type") == kind

    def only(self, what: str, names: Sequence[str], *by_likelihood: Sequence[str]) -> str:
        """Returns the only column of the likeliest kind that there is, or raises ValueError."""
        likeliest = next((likely for likely in by_likelihood if likely), ())
        if len(likeliest) == 1:
            return likeliest[0]
        raise ValueError(
            f"it is not clear which column holds the {what}s; choose data.source.{what}_column"
            f" from: {', '.join(names) or '(there are none)'} (of {self.where})"
        )


def kinds_of_tables(root: Path) -> list[str]:
    """Returns the suffixes of the tables in a folder; CSV and JSON lines must label images."""
    return [
        suffix
        for suffix in READERS
        if (files := _files(root, suffix))
        and (suffix == ".parquet" or all(_has_labels(file) for file in files))
    ]


def _files(root: Path, suffix: str) -> list[Path]:
    return [root / file for file in visible_files(root) if file.endswith(suffix)]


def _has_labels(file: Path) -> bool:
    try:
        table = Table(READERS[file.suffix](file), {}, file.parent, str(file))
        return bool(label_columns(table, image_column(table, None), None))
    except (ValueError, pa.ArrowException, OSError):
        return False


def read_tables(path: Path, options: ReadOptions, suffix: str = "") -> RawParts:
    """Returns the images and labels of a file, or of all files of a suffix in a folder."""
    files, root = ([path], path.parent) if path.is_file() else (_files(path, suffix), path)
    by_part: dict[str, list[Path]] = {}
    for file in files:
        name = shardless(file.relative_to(root).with_suffix("").as_posix())
        levels = [each for each in name.split("/") if "=" not in each or "split" in each]
        by_part.setdefault("/".join(levels), []).append(file)
    roles = assign(by_part, options.parts, path)
    shards = [(name, file) for name in roles for file in by_part[name]]
    parts = [_part(name, roles[name], _table(file, root), options) for name, file in shards]
    if path.is_file():
        return RawParts(parts)
    images = [file for part in parts if isinstance(part.images, list) for file in part.images]
    read = {*images, *(file for _, file in shards)}
    return RawParts(parts, left_out(root, read, "images without a label"))


def _table(file: Path, root: Path) -> Table:
    """Returns a file's table, with what folders such as label=cat say of all its rows."""
    try:
        rows = READERS[file.suffix](file)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"cannot read '{file}' ({error}); download it again") from error
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
    splits = datasets if isinstance(datasets, Mapping) else {"train": datasets}
    splits = {str(name): rows for name, rows in splits.items()}
    roles = assign([name for name, rows in splits.items() if len(rows)], options.parts, where)
    parts = []
    for name, role in roles.items():
        rows, features = splits[name].with_format("arrow")[:], splits[name].features.to_dict()
        parts.append(_part(name, role, Table(rows, features, where, f"part '{name}'"), options))
    unused = {name: len(rows) or "no" for name, rows in splits.items() if name not in roles}
    return RawParts(parts, [f"part '{name}': {number} rows" for name, number in unused.items()])


def _part(name: str, role: str, table: Table, options: ReadOptions) -> Part:
    column = image_column(table, options.image_column)
    labels, names = labels_of(table, label_columns(table, column, options.label_column))
    images: Array | Files | None = pixels_of(table, column)
    if images is None:
        is_text = str(table.rows.column(column).type) in TEXT
        images = list(_paths(table, column)) if is_text else ImageColumn(table, column)
    return Part(name, role, images, labels, names)


def image_column(table: Table, chosen: str | None) -> str:
    """Returns the name of the column with the images; raises ValueError if it is not clear."""
    names: list[str] = table.rows.column_names
    if chosen is not None:
        one_of("data.source.image_column", chosen, names)
        return chosen
    types = dict(zip(names, table.rows.schema.types, strict=True))
    declared = [name for name in names if table.declares(name, "Image")]
    fitting = [name for name in names if _holds_images(types[name])]
    usual = [name for name in fitting if name.lower() in IMAGES]
    known = [name for name in names if name in (*FILE_NAMES, *IMAGES)]
    files = [name for name in known if str(types[name]) in TEXT]
    return table.only("image", names, declared, usual, fitting, files)


def label_columns(table: Table, image: str, chosen: str | Sequence[str] | None) -> list[str]:
    """Returns the columns with the labels, several of numbers; raises ValueError if not clear."""
    if chosen is not None:
        names = [chosen] if isinstance(chosen, str) else list(chosen)
        for name in names:
            one_of("data.source.label_column", name, table.rows.column_names)
        return names
    others = [name for name in table.rows.column_names if name != image]
    usual = [name for name in others if name.lower() in LABELS]
    declared = [name for name in others if table.declares(name, "ClassLabel")]
    return [table.only("label", others, usual, declared, others)]


def labels_of(table: Table, columns: Sequence[str]) -> tuple[Raw, Sequence[str] | None]:
    """Returns the raw labels, and the names of classes or columns if the table tells them."""
    if len(columns) > 1:
        values = [np.asarray(table.rows.column(name).to_pylist(), np.float64) for name in columns]
        return np.stack(values, axis=1), columns
    (column,) = columns
    labels = table.rows.column(column).to_pylist()
    names = _class_names(table.features.get(column))
    is_value = names is None and labels and isinstance(labels[0], float)
    return labels, columns if is_value else names


def _class_names(feature: Any) -> Sequence[str] | None:
    if isinstance(feature, list) and len(feature) == 1:  # an older spelling of a sequence
        return _class_names(feature[0])
    kind = feature.get("_type") if isinstance(feature, Mapping) else None
    if kind in ("Sequence", "List", "LargeList"):
        return _class_names(feature["feature"])
    names = feature.get("names") if kind == "ClassLabel" else None
    return [names[key] for key in sorted(names, key=int)] if isinstance(names, Mapping) else names


def pixels_of(table: Table, name: str) -> Array | None:
    """Returns a column of nested numbers of one shape; None if it holds image files or paths."""
    array = table.rows.column(name).combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # more than fits into one
        array = pa.concat_arrays(array.chunks)
    array = getattr(array, "storage", array)
    if not _is_list(array.type):
        return None
    shape: list[int] = [len(array)]
    while _is_list(array.type):
        lengths = pc.unique(pc.list_value_length(array)).to_pylist()
        if len(lengths) != 1 or array.null_count:
            raise ValueError(
                f"the images in column '{name}' of {table.where} must have one shape, but their"
                f" rows at depth {len(shape)} have {' and '.join(map(str, lengths))} items; bring"
                " them to one, or save them as PNG"
            )
        shape += lengths
        array = array.flatten()
    return np.asarray(array.to_numpy(zero_copy_only=False).reshape(shape))


def _holds_images(kind: pa.DataType) -> bool:
    kind = getattr(kind, "storage_type", kind)
    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return str(kind) in BYTES or (_is_list(kind) and _is_list(kind.value_type))


def _is_list(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType)


class ImageColumn:
    """The image files in a column of a table: bytes, or {bytes, path}."""

    def __init__(self, table: Table, name: str) -> None:
        self.column, self.name, self.where = table.rows.column(name), name, table.where

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, index: int) -> File:
        value = self.column[index].as_py()
        if isinstance(value, Mapping):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, str):
            return Path(value).expanduser()
        return EncodedFile(value or b"", f"{self.name} of row {index} of {self.where}")


def _paths(table: Table, column: str) -> Iterator[Path]:
    """Yields the files that are named, by their path, or by a name or stem that only one has."""
    by_name: dict[str, set[str]] = {}
    for file in filter(is_image, visible_files(table.root)):
        path = Path(file)
        for key in {file, path.name, path.stem, "/".join(path.parts[-2:])}:
            by_name.setdefault(key, set()).add(file)
    for name in table.rows.column(column).to_pylist():
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
