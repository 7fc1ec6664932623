"""The columns of a table that hold the images and the labels, and what they hold."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["image_column", "label_columns", "labels_of", "pixels_of"]

IMAGES = ("image", "images", "img", "picture", "pixels", "x")
LABELS = ("label", "labels", "fine_label", "target", "targets", "class", "y")
LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)

Features = Mapping[str, Any]


def image_column(table: pa.Table, features: Features, chosen: str | None) -> str:
    """Returns the name of the column with the images, or raises ValueError if it is not clear."""
    names: list[str] = table.column_names
    if chosen is not None:
        return _in_table(table, chosen, "image_column")
    declared = [name for name in names if _type_name(features.get(name)) == "Image"]
    usual = [name for name in IMAGES if name in names]
    fitting = [name for name in names if _is_image(table.schema.field(name).type)]
    only = fitting if len(fitting) == 1 else []
    if likely := declared or [name for name in usual if name in fitting] or only or usual:
        return likely[0]
    raise ValueError(
        "it is not clear which column holds the images; choose data.source.image_column from:"
        f" {', '.join(names)}"
    )


def label_columns(
    table: pa.Table, features: Features, image: str, chosen: str | Sequence[str] | None
) -> list[str]:
    """Returns the columns with the labels, several of numbers; raises ValueError if not clear."""
    if chosen is not None:
        names = [chosen] if isinstance(chosen, str) else chosen
        return [_in_table(table, name, "label_column") for name in names]
    others = [name for name in table.column_names if name != image]
    usual = [name for name in LABELS if name in others]
    declared = [name for name in others if _type_name(features.get(name)) == "ClassLabel"]
    if likely := usual[:1] or declared[:1] or (others if len(others) == 1 else []):
        return likely
    raise ValueError(
        "it is not clear which column holds the labels; choose data.source.label_column from:"
        f" {', '.join(others) or '(there are none)'}"
    )


def _in_table(table: pa.Table, name: str, key: str) -> str:
    if name not in table.column_names:
        raise ValueError(
            f"data.source.{key} ('{name}') must be one of: {', '.join(table.column_names)}"
        )
    return name


def labels_of(
    table: pa.Table, features: Features, names: Sequence[str]
) -> tuple[list[Any] | NDArray[Any], tuple[str, ...] | None]:
    """Returns the raw labels, and the names of classes or columns if the table tells them."""
    if len(names) > 1:
        columns = [np.asarray(table.column(name).to_pylist(), np.float64) for name in names]
        return np.stack(columns, axis=1), tuple(names)
    (name,) = names
    values, class_names = table.column(name).to_pylist(), _class_names(features.get(name))
    if class_names is None and values and isinstance(values[0], float):
        class_names = (name,)
    return values, class_names


def pixels_of(column: pa.ChunkedArray, name: str) -> NDArray[Any] | None:
    """Returns a column of nested numbers of one shape; None if it holds image files or paths."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # more than fits into one
        array = pa.concat_arrays(array.chunks)
    array = getattr(array, "storage", array)
    if not _is_list(array.type):
        return None
    first, count = np.asarray(array[0].as_py()), len(array)
    while _is_list(array.type):
        array = array.flatten()
    values = array.to_numpy(zero_copy_only=False)
    if values.size != count * first.size:
        raise ValueError(
            f"the images in column '{name}' must have one shape, the first has {first.shape}; bring"
            " them to one, or save them as PNG"
        )
    return np.asarray(values.reshape(count, *first.shape))


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
    return any(is_list(kind) for is_list in LISTS)
