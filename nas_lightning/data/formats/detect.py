"""Reads a path in whichever format it holds."""

from collections.abc import Callable
from pathlib import Path

from nas_lightning.data.formats.cifar import has_batches, read_cifar
from nas_lightning.data.formats.idx import idx_files, read_idx_folder
from nas_lightning.data.formats.matlab import has_mat_files, read_mat_files
from nas_lightning.data.formats.npz import read_npz
from nas_lightning.data.formats.parquet import is_saved, parquet_files, read_parquet, read_saved
from nas_lightning.data.raw_split import RawSplit, ReadOptions

__all__ = ["read_path"]

Reader = Callable[[Path, ReadOptions], RawSplit]
FILES: dict[str, Reader] = {".npz": read_npz, ".parquet": read_parquet}
FOLDERS: dict[str, tuple[Callable[[Path], object], Reader]] = {
    "CIFAR's batches": (has_batches, read_cifar),
    "idx files": (idx_files, read_idx_folder),
    "MATLAB files": (has_mat_files, read_mat_files),
}


def read_path(root: Path, options: ReadOptions) -> RawSplit | None:
    """Returns what a path holds; None if it is nothing but, perhaps, images by class.

    A folder whose only content is another folder stands for that folder. Raises ValueError if the
    path holds several data sets, or a damaged one.
    """
    readers = _readers(root)
    if not readers and root.is_dir():
        inside = [each for each in root.iterdir() if each.name[0] != "."]
        if len(inside) == 1 and inside[0].is_dir():
            return read_path(inside[0], options)
        folders = [each for each in inside if each.is_dir()]
        readers = {each.name: reader for each in folders for reader in _readers(each).values()}
    if len(readers) > 1:
        raise ValueError(
            f"'{root}' holds several data sets: {', '.join(sorted(readers))}; name one by data.path"
        )
    for path, read in readers.values():
        return read(path, options)
    return None


def _readers(root: Path) -> dict[str, tuple[Path, Reader]]:
    """Returns the data sets at a path and their readers, by the names of their formats or files."""
    if root.is_file():
        return {root.name: (root, FILES[root.suffix])} if root.suffix in FILES else {}
    if is_saved(root):
        return {"a saved datasets folder": (root, read_saved)}
    readers = {name: (root, read) for name, (is_here, read) in FOLDERS.items() if is_here(root)}
    readers |= {path.name: (path, read_npz) for path in sorted(root.glob("*.npz"))}
    if parquet_files(root):
        readers["parquet files"] = (root, read_parquet)
    return readers
