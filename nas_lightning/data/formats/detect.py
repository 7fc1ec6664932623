"""What a path holds: images by class, a table, arrays, CIFAR's batches or idx files."""

from collections.abc import Callable, Sequence
from pathlib import Path

from nas_lightning.data.formats.cifar import has_batches, read_cifar
from nas_lightning.data.formats.idx import idx_files, read_idx_folder
from nas_lightning.data.formats.matlab import mat_files, read_mat_files
from nas_lightning.data.formats.npz import read_npz
from nas_lightning.data.formats.parquet import (
    TableOptions,
    from_datasets,
    read_parquet,
    read_tables,
)
from nas_lightning.data.images import ImageArrays
from nas_lightning.data.raw_split import RawSplit, as_arrays

SAVED = ("dataset_dict.json", "dataset_info.json")

Reader = Callable[[int | Sequence[int] | None, int | None], RawSplit]


def read_found(
    root: Path,
    image_size: int | Sequence[int] | None,
    channels: int | None,
    options: TableOptions,
    class_names: Sequence[str] | None,
) -> ImageArrays | None:
    """The data set at a path; None if it holds nothing but, perhaps, images by class.

    A folder whose only content is another folder is that folder.

    Raises:
        ValueError: if the path holds several data sets, or what is in it is damaged.
    """
    readers = _readers(root, options)
    if not readers and root.is_dir():
        inside = [each for each in root.iterdir() if each.name[0] != "."]
        if len(inside) == 1 and inside[0].is_dir():
            return read_found(inside[0], image_size, channels, options, class_names)
        readers = {
            each.name: reader
            for each in inside
            if each.is_dir()
            for reader in _readers(each, options).values()
        }
    if len(readers) > 1:
        raise ValueError(
            f"'{root}' holds several data sets: {', '.join(sorted(readers))}; name one by data.path"
        )
    for reader in readers.values():
        return as_arrays(reader(image_size, channels), image_size, channels, class_names)
    return None


def _readers(root: Path, options: TableOptions) -> dict[str, Reader]:
    """What can be read at a path, by the name of where it is."""
    if root.is_file():
        return _of_file(root, options)
    found: dict[str, Reader] = {}
    if any((root / name).is_file() for name in SAVED):
        found["a saved datasets folder"] = lambda size, channels: _saved(
            root, options, size, channels
        )
        return found
    if has_batches(root):
        found["CIFAR's batches"] = lambda *_: read_cifar(root, _one(options.label_column))
    if idx_files(root):
        found["idx files"] = lambda *_: read_idx_folder(root)
    if mat_files(root):
        found["MATLAB files"] = lambda *_: read_mat_files(root)
    for path in sorted(root.glob("*.npz")):
        found |= _of_file(path, options)
    if files := sorted(p for p in root.rglob("*.parquet") if p.name[0] != "."):
        found["parquet files"] = lambda size, channels: read_tables(
            read_parquet(files, root), options, size, channels
        )
    return found


def _of_file(path: Path, options: TableOptions) -> dict[str, Reader]:
    if path.suffix == ".npz":
        return {path.name: lambda *_: read_npz(path, options.layout)}
    if path.suffix == ".parquet":
        return {
            path.name: lambda size, channels: read_tables(
                read_parquet([path], path.parent), options, size, channels
            )
        }
    return {}


def _saved(
    root: Path,
    options: TableOptions,
    image_size: int | Sequence[int] | None,
    channels: int | None,
) -> RawSplit:
    from datasets import load_from_disk

    try:
        found = load_from_disk(str(root))
    except Exception as error:  # damaged files may raise anything
        raise ValueError(f"cannot read the saved data set '{root}' ({error})") from error
    return read_tables(from_datasets(found, root), options, image_size, channels)


def _one(column: str | Sequence[str] | None) -> str | None:
    return column if column is None or isinstance(column, str) else column[0]
