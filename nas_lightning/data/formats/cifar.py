"""The python batches of CIFAR-10 and CIFAR-100 (Krizhevsky 2009), unpickled safely."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_lightning.data.raw_parts import Part, RawParts, ReadOptions

__all__ = ["has_batches", "read_cifar"]

LARGEST = 1_000_000_000
HARMLESS = ("numpy.ndarray", "numpy.dtype", "numpy._core.multiarray._reconstruct")


class _Unpickler(pickle.Unpickler):
    """Makes all that a batch needs, arrays and bytes, and nothing else that a file may name."""

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core", "numpy._core")
        if f"{module}.{name}" in HARMLESS:
            return super().find_class(module, name)
        # How Python 3 writes bytes for Python 2: as text, or b"" by its type.
        if (module, name) == ("_codecs", "encode"):
            return lambda text, _: text.encode("latin1")
        if (module, name) == ("__builtin__", "bytes"):
            return lambda: b""
        raise pickle.UnpicklingError(f"it names '{module}.{name}', which no batch needs")


def has_batches(folder: Path) -> bool:
    """Returns whether a folder holds CIFAR's python batches."""
    needed = (["data_batch_1"], ["train", "test", "meta"])
    return any(all((folder / name).is_file() for name in names) for names in needed)


def read_cifar(folder: Path, options: ReadOptions) -> RawParts:
    """Returns the images, labels and class names of cifar-10-batches-py or cifar-100-python."""
    if (folder / "data_batch_1").is_file():  # CIFAR-10
        trains, test, meta = [f"data_batch_{n}" for n in range(1, 6)], "test_batch", "batches.meta"
        key = "labels"
    else:
        trains, test, meta = ["train"], "test", "meta"
        column = options.label_column or "fine_labels"
        key = (column if isinstance(column, str) else column[0]).removesuffix("s") + "s"
    batches = [_batch(folder / name, key) for name in trains]
    images = np.concatenate([images for images, _ in batches])
    labels = [label for _, labels in batches for label in labels]
    names = _texts(_unpickled(folder / meta).get(key.replace("labels", "label_names"))) or None
    held_out = Part("test", "test", *_batch(folder / test, key), names)
    others = {path.name for path in folder.iterdir()} - {*trains, test, meta}
    passed_over = [f"file '{name}'" for name in sorted(others)]
    return RawParts([Part("train", "train", images, labels, names), held_out], passed_over)


def _batch(path: Path, key: str) -> tuple[NDArray[Any], list[int]]:
    content = _unpickled(path)
    if key not in content or not isinstance(content.get("data"), np.ndarray):
        present = ", ".join(name for name in content if name.endswith("labels"))
        raise ValueError(
            f"'{path}' must hold 'data' and '{key}'; its labels are: {present or 'none'}; choose by"
            " data.source.label_column"
        )
    return content["data"].reshape(-1, 3, 32, 32), list(content[key])


def _unpickled(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST:
            raise pickle.UnpicklingError(f"it has more than {LARGEST:,} bytes")
        with path.open("rb") as file:
            content = _Unpickler(file, encoding="latin1").load()
    except Exception as error:  # a damaged pickle may raise anything
        message = f"cannot read the CIFAR batch '{path}' ({error}); download it again"
        raise ValueError(message) from error
    if not isinstance(content, dict):
        raise ValueError(f"'{path}' must be a CIFAR batch, but holds a {type(content).__name__}")
    return dict(zip(_texts(content), content.values(), strict=True))


def _texts(names: Any) -> list[str]:
    return [each.decode("latin1") if isinstance(each, bytes) else str(each) for each in names or []]
