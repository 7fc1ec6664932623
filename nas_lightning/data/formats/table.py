"""A table, the columns of it that hold the images and the labels, and what they hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nas_lightning.core.checks import one_of
from nas_lightning.data.labels import Raw

__all__ = [
    "FILE_NAMES",
    "Table",
    "image_column",
    "is_text",
    "label_columns",
    "labels_of",
    "pixels_of",
]

FILE_NAMES: tuple[str, ...] = (
    "file_name",
    "filename",
    "file",
    "filepath",
    "file_path",
    "path",
    "image_path",
)
FILE_NAMES += ("img_path", "image_name", "image_id", "image", "img", "id", "ID", "Id", "id_code")
IMAGES = ("image", "images", "img", "picture", "pixels", "x")
LABELS = ("label", "labels", "fine_label", "target", "targets", "class", "y", "category")


@dataclass(frozen=True, eq=False)
class Table:
    """A table and what is known about its columns."""

    rows: pa.Table
    features: Mapping[str, Any]  # of each column, as `datasets` describes them: plain data
    root: Path  # where relative paths of images begin
    where: str = "the table"  # for messages


def image_column(table: Table, chosen: str | None) -> str:
    """Returns the name of the column with the images, or raises ValueError if it is not clear."""
    names: list[str] = table.rows.column_names
    if chosen is not None:
        one_of("data.source.image_column", chosen, names)
        return chosen
    declared = [name for name in names if _type_name(table.features.get(name)) == "Image"]
    fitting = [name for name in names if _is_image(table.rows.schema.field(name).type)]
    texts = [name for name in names if is_text(table.rows.schema.field(name).type)]
    usual = [name for name in fitting if name.lower() in IMAGES]
    files = [name for name in texts if name in (*FILE_NAMES, *IMAGES)]
    for likely in (declared, usual, fitting, files):
        if len(likely) == 1:
            return likely[0]
        if likely:
            break
    raise ValueError(
        "it is not clear which column holds the images; choose data.source.image_column from:"
        f" {', '.join(names)} (of {table.where})"
    )


def label_columns(table: Table, image: str, chosen: str | Sequence[str] | None) -> list[str]:
    """Returns the columns with the labels, several of numbers; raises ValueError if not clear."""
    if chosen is not None:
        names = [chosen] if isinstance(chosen, str) else list(chosen)
        for name in names:
            one_of("data.source.label_column", name, table.rows.column_names)
        return names
    others = [name for name in table.rows.column_names if name != image]
    usual = [name for name in others if name.lower() in LABELS]
    declared = [name for name in others if _type_name(table.features.get(name)) == "ClassLabel"]
    for likely in (usual, declared, others):
        if len(likely) == 1:
            return likely
        if likely:
            break
    raise ValueError(
        "it is not clear which column holds the labels; choose data.source.label_column from:"
        f" {', '.join(others) or '(there are none)'} (of {table.where})"
    )


def labels_of(table: Table, names: Sequence[str]) -> tuple[Raw, tuple[str, ...] | None]:
    """Returns the raw labels, and the names of classes or columns if the table tells them."""
    if len(names) > 1:
        columns = [np.asarray(table.rows.column(name).to_pylist(), np.float64) for name in names]
        return np.stack(columns, axis=1), tuple(names)
    (name,) = names
    values = table.rows.column(name).to_pylist()
    class_names = _class_names(table.features.get(name))
    if class_names is None and values and isinstance(values[0], float):
        class_names = (name,)
    return values, class_names


def pixels_of(table: Table, name: str) -> NDArray[Any] | None:
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


def is_text(kind: pa.DataType) -> bool:
    """Returns whether a column holds text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _type_name(feature: Any) -> str | None:
    return feature.get("_type") if isinstance(feature, Mapping) else None


def _class_names(feature: Any) -> tuple[str, ...] | None:
    if isinstance(feature, list) and len(feature) == 1:  # an older spelling of a sequence
        return _class_names(feature[0])
    if _type_name(feature) in ("Sequence", "List", "LargeList"):
        return _class_names(feature["feature"])
    names = feature.get("names") if _type_name(feature) == "ClassLabel" else None
    if isinstance(names, Mapping):
        names = [names[key] for key in sorted(names, key=int)]
    return None if names is None else tuple(names)


def _is_image(kind: pa.DataType) -> bool:
    kind = getattr(kind, "storage_type", kind)
    if pa.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return is_bytes or (_is_list(kind) and _is_list(kind.value_type))


def _is_list(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType)
