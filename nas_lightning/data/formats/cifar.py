"""The python batches of CIFAR-10 and CIFAR-100 (Krizhevsky 2009), unpickled with mistrust."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.data.pixels import as_images
from nas_lightning.data.raw_split import RawSplit

SHAPE = (3, 32, 32)
LARGEST = 1_000_000_000
# All that a batch needs to be unpickled: numpy arrays, and bytes written by Python 3.
HARMLESS = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


class _Unpickler(pickle.Unpickler):
    """Makes arrays, and nothing else that a file may name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return _encoded
        if (module, name) == ("__builtin__", "bytes"):  # how Python 3 writes b"" for Python 2
            return _nothing
        if (module, name) in HARMLESS:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"it names '{module}.{name}', which no batch needs")


def _encoded(text: str, _: str) -> bytes:
    """The bytes that Python 3 wrote as text, whatever encoding the file names."""
    return text.encode("latin1")


def _nothing() -> bytes:
    return b""


def has_batches(folder: Path) -> bool:
    """Whether a folder holds CIFAR's python batches."""
    is_ten = (folder / "data_batch_1").is_file()
    return is_ten or all((folder / name).is_file() for name in ("train", "test", "meta"))


def read_cifar(folder: Path, label_column: str | None = None) -> RawSplit:
    """The images, labels and class names of CIFAR-10 or CIFAR-100.

    Args:
        folder: cifar-10-batches-py or cifar-100-python.
        label_column: of CIFAR-100 "fine_labels" (as None) or "coarse_labels".

    Raises:
        ValueError: if a file is missing or is no batch.
    """
    is_ten = (folder / "data_batch_1").is_file()
    batches = [f"data_batch_{n}" for n in range(1, 6)] if is_ten else ["train"]
    key = "labels" if is_ten else (label_column or "fine_labels")
    key = key if key.endswith("s") else f"{key}s"
    trains = [_batch(folder / name, key) for name in batches]
    test, test_labels = _batch(folder / ("test_batch" if is_ten else "test"), key)
    train = np.concatenate([images for images, _ in trains])
    train_labels = [label for _, labels in trains for label in labels]
    meta = _unpickled(folder / ("batches.meta" if is_ten else "meta"))
    names = meta.get("label_names" if is_ten else key.replace("labels", "label_names"))
    images, test_images = as_images(train, test, "NCHW")
    return RawSplit(images, train_labels, test_images, test_labels, _texts(names))


def _batch(path: Path, key: str) -> tuple[np.ndarray[Any, Any], list[int]]:
    content = _unpickled(path)
    if key not in content or not isinstance(content.get("data"), np.ndarray):
        known = ", ".join(name for name in content if name.endswith("labels"))
        raise ValueError(
            f"'{path}' must hold 'data' and '{key}'; its labels are: {known or 'none'}; choose by"
            " data.source.label_column"
        )
    return content["data"].reshape(-1, *SHAPE), list(content[key])


def _unpickled(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST:
            raise pickle.UnpicklingError(f"it has more than {LARGEST:,} bytes")
        with path.open("rb") as file:
            content = _Unpickler(file, encoding="latin1").load()
    except Exception as error:  # a damaged pickle may raise anything
        raise ValueError(
            f"cannot read the CIFAR batch '{path}' ({error}); fetch it anew"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(f"'{path}' must be a CIFAR batch, but holds a {type(content).__name__}")
    return {str(_texts([key])[0]): value for key, value in content.items()}


def _texts(names: Any) -> list[str]:
    return [each.decode("latin1") if isinstance(each, bytes) else str(each) for each in names or []]
