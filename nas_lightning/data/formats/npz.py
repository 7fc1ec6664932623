"""Named arrays of images and labels, in an .npz file or from Python, by their usual names."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.data.parts import assign, meaning, words_of
from nas_lightning.data.raw_parts import Part, RawParts, ReadOptions

__all__ = ["parts_of", "read_npz"]

WHAT = {
    **dict.fromkeys(("x", "image", "images", "img", "imgs", "data", "pixels"), "images"),
    **dict.fromkeys(("y", "label", "labels", "target", "targets", "classes"), "labels"),
}
NAMES = ("class_names", "label_names", "names")


def read_npz(path: Path, options: ReadOptions) -> RawParts:
    """Returns the images and labels of an .npz file; nothing in it is unpickled."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return parts_of(file, options, path)
    except (OSError, EOFError, zipfile.BadZipFile, ValueError) as error:
        reason = str(error)
        if "allow_pickle" in reason:
            reason = "it must hold arrays of numbers or text, got Python objects"
        elif isinstance(error, ValueError):
            raise
        raise ValueError(f"cannot read '{path}' ({reason}); write it again") from error


def parts_of(arrays: Mapping[str, Any], options: ReadOptions, where: object) -> RawParts:
    """Returns the parts that arrays are by their names, e.g. x_train and y_train, or X and y.

    An array that is not of a pair of images and labels is passed over. Raises ValueError if there
    is no pair, or parts are not known; see `assign`.
    """
    pairs = _pairs(list(arrays), where)
    names = next(([*map(str, arrays[name])] for name in NAMES if name in arrays), None)
    parts, read = [], set(NAMES)
    for name, role in assign(pairs, options.parts, where).items():
        images, labels = (pairs[name][what] for what in ("images", "labels"))
        parts.append(Part(name, role, np.asarray(arrays[images]), arrays[labels], names))
        read |= {images, labels}
    return RawParts(parts, [f"array '{name}'" for name in arrays if name not in read])


def _pairs(names: Sequence[str], where: object) -> dict[str, dict[str, str]]:
    """Returns the arrays of each part, by what they hold."""
    pairs: dict[str, dict[str, str]] = {}
    for name in names:
        words = words_of(name)
        kinds = {WHAT[word] for word in words if word in WHAT}
        part = "_".join(word for word in words if word not in WHAT)
        if len(kinds) != 1 or name in NAMES:
            continue
        (kind,) = kinds
        pair = pairs.setdefault(part, {})
        if kind in pair:
            raise ValueError(
                f"'{where}' holds {kind} twice: '{pair[kind]}' and '{name}'; remove or rename one"
            )
        pair[kind] = name
    if not pairs and sorted(names) == ["arr_0", "arr_1"]:  # np.savez(path, images, labels)
        return {"": {"images": "arr_0", "labels": "arr_1"}}
    for part, pair in pairs.items():
        if len(pair) < 2 and meaning(part)[0]:
            (name,) = pair.values()
            lacking = "labels" if "images" in pair else "images"
            raise ValueError(f"'{where}' holds '{name}' but no {lacking} of it; add or remove it")
    whole = {part: pair for part, pair in pairs.items() if len(pair) == 2}
    if not whole:
        raise ValueError(
            f"'{where}' must hold arrays such as x_train and y_train (and x_test, y_test), got"
            f" {', '.join(names) or 'none'}; rename them"
        )
    return whole
