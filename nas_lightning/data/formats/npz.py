"""Arrays of images and labels in an .npz file, by any of their usual names."""

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_lightning.data.formats.parquet import SPLITS
from nas_lightning.data.raw_split import RawSplit, ReadOptions

__all__ = ["read_npz"]

WHAT = {
    **dict.fromkeys(("x", "image", "images", "img", "imgs", "data", "pixels"), "images"),
    **dict.fromkeys(("y", "label", "labels", "target", "targets", "classes"), "labels"),
}
PARTS = {**SPLITS, "tr": "train", "te": "test"}
NAMES = ("class_names", "label_names", "names")


def read_npz(path: Path, options: ReadOptions) -> RawSplit:
    """Returns the images and labels of an .npz file; nothing in it is unpickled.

    Arrays are recognised by their names, e.g. x_train and y_train, test_images and test_labels, or
    X and y without a test part. A validation part joins the training part, or is the test part
    where there is none. Other arrays are ignored. Raises ValueError if names are not clear.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {role: file[name] for role, name in _roles(file.files, path).items()}
            names = next(([*map(str, file[name])] for name in NAMES if name in file.files), None)
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"cannot read '{path}' ({error}); write it again") from error
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise ValueError(
            f"'{path}' must hold arrays of numbers or text, got Python objects; save them by"
            " their own type, e.g. np.array(labels, dtype=str)"
        ) from error
    (images, test_images), (labels, test_labels) = (_parts(arrays, w) for w in ("images", "labels"))
    return RawSplit.of_pixels(images, labels, test_images, test_labels, names, options.layout)


def _roles(names: list[str], path: Path) -> dict[str, str]:
    """Returns the name of the array of each role, e.g. "train images"."""
    roles: dict[str, str] = {}
    for name in names:
        words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
        kinds = {WHAT[word] for word in words if word in WHAT}
        others = [word for word in words if word not in WHAT and word not in PARTS]
        part = next((PARTS[word] for word in words if word in PARTS), "train")
        if len(kinds) == 1 and not others:
            roles.setdefault(f"{part} {kinds.pop()}", name)
    if "train images" not in roles and "arr_0" in names and "arr_1" in names:
        roles = {"train images": "arr_0", "train labels": "arr_1"}
    for role in ("train images", "train labels"):
        if role not in roles:
            raise ValueError(
                f"'{path}' must hold arrays such as x_train and y_train (and x_test, y_test), got"
                f" {', '.join(names) or 'none'}; rename them"
            )
    return roles


def _parts(arrays: dict[str, NDArray[Any]], what: str) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Returns the training and the test part of the images or labels."""
    train = arrays[f"train {what}"]
    validation, test = arrays.get(f"validation {what}"), arrays.get(f"test {what}")
    if test is None:
        return train, validation
    return train if validation is None else np.concatenate([train, validation]), test
