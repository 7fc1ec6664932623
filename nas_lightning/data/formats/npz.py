"""Arrays of images and labels in an .npz file, whatever their common names are."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_lightning.data.pixels import as_images
from nas_lightning.data.raw_split import RawSplit

IMAGES = ("x", "image", "images", "img", "imgs", "data", "pixels")
LABELS = ("y", "label", "labels", "target", "targets", "classes")
PARTS = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("test", "testing", "te"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
}
NAMES = ("class_names", "label_names", "names")

Array = NDArray[Any]


def read_npz(path: Path, layout: str | None = None) -> RawSplit:
    """The images and labels of an .npz file; nothing in it is unpickled.

    Arrays are known by their names, e.g. x_train and y_train, test_images and test_labels, or X
    and y without a test division. A validation part is added to the training part, unless there is
    no test part: then it is that. Others are left alone.

    Args:
        path: the file.
        layout: "NCHW" or "NHWC"; None finds it out.

    Raises:
        ValueError: if the file is damaged, or it is not clear which array is what.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            names, roles = _names(file), _roles(file.files, path)
            arrays = {role: file[name] for role, name in roles.items()}
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"cannot read '{path}' ({error}); write it anew") from error
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise ValueError(
            f"'{path}' must hold arrays of numbers or text, got Python objects; save them by"
            " their own type, e.g. np.array(labels, dtype=str)"
        ) from error
    arrays = _divided(arrays)
    train, test = as_images(arrays["train images"], arrays.get("test images"), layout)
    return RawSplit(train, arrays["train labels"], test, arrays.get("test labels"), names)


def _roles(names: list[str], path: Path) -> dict[str, str]:
    """The array of each role, e.g. "train images"."""
    found: dict[str, str] = {}
    for name in names:
        words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
        kinds = [k for k, known in (("images", IMAGES), ("labels", LABELS)) if {*words} & {*known}]
        others = [word for word in words if word not in (*IMAGES, *LABELS, *PARTS)]
        part = next((PARTS[word] for word in words if word in PARTS), "train")
        if len(kinds) == 1 and not others:
            found.setdefault(f"{part} {kinds[0]}", name)
    if "train images" not in found and "arr_0" in names and "arr_1" in names:
        found = {"train images": "arr_0", "train labels": "arr_1"}
    for role in ("train images", "train labels"):
        if role not in found:
            raise ValueError(
                f"'{path}' must hold arrays such as x_train and y_train (and x_test, y_test), got"
                f" {', '.join(names) or 'none'}; rename them"
            )
    return found


def _divided(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays in two parts at most, or one."""
    found = dict(arrays)
    for what in ("images", "labels"):
        rest = found.pop(f"validation {what}", None)
        if rest is None:
            continue
        if f"test {what}" in found:
            found[f"train {what}"] = np.concatenate([found[f"train {what}"], rest])
        else:
            found[f"test {what}"] = rest
    return found


def _names(file: Any) -> list[str] | None:
    given = [name for name in NAMES if name in file.files]
    return [str(name) for name in file[given[0]].tolist()] if given else None
