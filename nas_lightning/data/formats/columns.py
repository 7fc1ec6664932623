"""The columns of a table: which one holds the images, which the labels, and what is in them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

IMAGES = ("image", "images", "img", "picture", "pixels", "x")
LABELS = ("label", "labels", "fine_label", "target", "targets", "class", "y")

Features = Mapping[str, Any]


def image_column(table: "pa.Table", features: Features, given: str | None) -> str:
    """The name of the column with the images.

    Raises:
        ValueError: if it is not clear which one it is.
    """
    if given is not None:
        return _known(table, given, "image_column")
    declared = [n for n in table.column_names if _type_name(features.get(n)) == "Image"]
    likely = [n for n in IMAGES if n in table.column_names]
    holding = [n for n in table.column_names if _is_image(table.schema.field(n).type)]
    for found in (declared, [n for n in likely if n in holding], holding, likely):
        if len(found) == 1 or (found and found is not holding):
            return found[0]
    raise ValueError(
        f"it is not clear which column holds the images; choose data.source.image_column from:"
        f" {', '.join(table.column_names)}"
    )


def label_columns(
    table: "pa.Table", features: Features, image: str, given: str | Sequence[str] | None
) -> list[str]:
    """The names of the columns with the labels; several are numbers side by side.

    Raises:
        ValueError: if it is not clear which they are.
    """
    if given is not None:
        names = [given] if isinstance(given, str) else list(given)
        return [_known(table, name, "label_column") for name in names]
    others = [name for name in table.column_names if name != image]
    likely = [name for name in LABELS if name in others]
    declared = [n for n in others if _type_name(features.get(n)) == "ClassLabel"]
    found = likely[:1] or declared[:1] or (others if len(others) == 1 else [])
    if not found:
        raise ValueError(
            f"it is not clear which column holds the labels; choose data.source.label_column from:"
            f" {', '.join(others) or '(there are none)'}"
        )
    return found


def labels_of(
    table: "pa.Table", features: Features, names: Sequence[str]
) -> tuple[list[Any] | NDArray[Any], tuple[str, ...] | None]:
    """The raw labels of the columns, and the names of classes or columns, if they are told."""
    if len(names) > 1:
        columns = [np.asarray(table.column(name).to_pylist(), np.float64) for name in names]
        return np.stack(columns, axis=1), tuple(names)
    (name,) = names
    values = table.column(name).to_pylist()
    told = _class_names(features.get(name))
    if told is None and values and isinstance(values[0], float):
        told = (name,)
    return values, told


def pixels_of(column: "pa.ChunkedArray", name: str) -> NDArray[Any] | None:
    """A column of nested numbers as one array; None if it holds encoded images or paths.

    Raises:
        ValueError: if the images differ in shape.
    """
    import pyarrow as pa

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


def _known(table: "pa.Table", name: str, key: str) -> str:
    if name not in table.column_names:
        raise ValueError(
            f"data.source.{key} ('{name}') must be one of: {', '.join(table.column_names)}"
        )
    return name


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


def _is_image(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    kind = getattr(kind, "storage_type", kind)
    if pa.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return is_bytes or (_is_list(kind) and _is_list(kind.value_type))


def _is_list(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(each(kind) for each in lists)
