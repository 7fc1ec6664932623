"""Data sets of arrays from Python: images, signals, or tables of numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nas_lightning.core.checks import one_of
from nas_lightning.data.augmentation import Augmentation
from nas_lightning.data.formats.npz import parts_of
from nas_lightning.data.formats.tables import of_datasets
from nas_lightning.data.images import SMALLEST_SIDE, ImageArrays, MemoryImages, Size
from nas_lightning.data.labels import Raw
from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.normalisation import standardisation_of
from nas_lightning.data.pixels import LAYOUTS, Array, check_finite
from nas_lightning.data.raw_parts import Part, RawParts, ReadOptions, as_arrays

__all__ = ["AUGMENTATION", "data_of_arrays"]

AUGMENTATION = Augmentation(crop_padding=4, flip=True)  # that of conf/data/_images.yaml
SHAPES = "images (N, H, W), (N, H, W, C) or (N, C, H, W), signals (N, C, L), a table (N, features)"
KINDS = {2: ["tables"], 3: ["images", "signals"], 4: ["images"]}  # by the dimensions of x


def data_of_arrays(
    x: Any = None,
    y: Raw | Tensor | None = None,
    test: tuple[Array | Tensor, Raw | Tensor] | None = None,
    *,
    seed: int,
    targets: str = "classes",
    kind: str | None = None,
    layout: str | None = None,
    range: Sequence[float] | None = None,  # noqa: A002  # the key is data.range
    name: str = "arrays",
    class_names: tuple[str, ...] | None = None,
    batch_size: int = 64,
    validation_share: float = 0.5,
    augmentation: Augmentation | None = AUGMENTATION,
) -> ImageDataModule:
    """Returns a data set of NumPy arrays or torch tensors; raises ValueError if it is not clear.

    x holds images (N, H, W), (N, H, W, C) or (N, C, H, W), uint8 or floats in [0, 1], of which 256
    levels are kept; signals (N, C, L); or a table of numbers (N, features). y holds classes,
    integers or text (N,); 0 and 1 for each of K labels (N, K); or values, floats (N,) or (N, K).
    Instead of both, x may be a mapping of arrays by names such as x_train and y_train, or a
    `Dataset` or `DatasetDict` of images. Without `test`, a pair like (x, y), a stratified fifth is
    the test set, the same for all seeds.

    The kind is "images", "signals" or "tables"; None finds it where it is certain: four dimensions
    are images, two a table; of three, uint8 are images and negative numbers signals. The layout of
    images is "NCHW" or "NHWC"; None finds it where only one of the two axes is too short for the
    side of an image. Signals and tables are not augmented by default; they can only be mixed up.
    The other arguments are those of `ImageDataModule`.
    """
    if x is None or (y is None and not isinstance(x, Mapping) and not hasattr(x, "features")):
        raise ValueError(
            "data=arrays takes arrays from Python alone: nl.search(data=(x, y)); on the command "
            "line data=folder data.path=FILE.npz reads them"
        )
    arguments: dict[str, Any] = {"seed": seed, "targets": targets, "name": name}
    arguments |= {"batch_size": batch_size, "validation_share": validation_share}
    options = ReadOptions(layout=layout, range=range, class_names=class_names)
    if isinstance(x, Mapping) and not any(hasattr(each, "features") for each in x.values()):
        (x, y), test = _divisions(x, options)
    elif y is None:  # a `Dataset` or `DatasetDict`
        found = of_datasets(x, options, Path("data"))
        return ImageDataModule(
            partial(_source, found, options), **arguments, augmentation=augmentation
        )
    train, labels = _array(x), _array(y)
    held_out, test_labels = (None, None) if test is None else (_array(test[0]), _array(test[1]))
    parts = {"training": train} if held_out is None else {"training": train, "test": held_out}
    for part, samples in parts.items():
        _check_numbers(samples, part, train)
    is_images = _kind(train, kind) == "images"
    if is_images:
        layout = _layout(parts.values(), layout, range)
    elif augmentation == AUGMENTATION:
        augmentation = None
    pairs = zip(parts.values(), (labels, test_labels), ("train", "test"), strict=False)
    raw = RawParts(
        [
            Part(role, role, images if is_images else _samples(images), each, class_names)
            for images, each, role in pairs
            if each is not None
        ]
    )

    options = replace(options, layout=layout, class_names=None)
    source = partial(_source, raw, options, is_images=is_images)
    return ImageDataModule(source, **arguments, augmentation=augmentation)


def _source(
    raw: RawParts,
    options: ReadOptions,
    path: None,
    image_size: Size | None,
    channels: int | None,
    is_images: bool = True,
) -> ImageArrays:
    arrays = as_arrays(raw, replace(options, image_size=image_size, channels=channels))
    return arrays if is_images else _standardised(arrays)


def _divisions(named: Mapping[str, Any], options: ReadOptions) -> Any:
    """Returns (x, y), and (x_test, y_test) or None, of arrays such as x_train and y_train."""
    arrays = {name: _array(each) for name, each in named.items()}
    parts = parts_of(arrays, options, "data").parts
    pairs = []
    for is_test in (False, True):
        division = [part for part in parts if (part.role == "test") is is_test]
        both = [(part.images, part.labels) for part in division]
        pairs.append(tuple(map(np.concatenate, zip(*both, strict=True))) if both else None)
    return pairs


def _samples(numbers: Array) -> MemoryImages:
    return MemoryImages(torch.from_numpy(numbers.astype(np.float64)))


def _array(values: Raw | Tensor) -> Array:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _check_numbers(x: Array, part: str, train: Array) -> None:
    if x.dtype.kind not in "buif" or not x.size:
        raise ValueError(f"x must hold numbers, got {x.dtype} {x.shape}; make numbers of it")
    check_finite(x, part, "sample")
    if (x.dtype.kind, x.shape[1:]) != (train.dtype.kind, train.shape[1:]):
        raise ValueError(
            f"test samples must be like training samples, {train.dtype} {train.shape[1:]},"
            f" got {x.dtype} {x.shape[1:]}; make them alike"
        )


def _kind(x: Array, kind: str | None) -> str:
    if kind is not None:
        one_of("data.kind", kind, ("images", "signals", "tables"))
    possible = KINDS.get(x.ndim, [])
    if kind is None and x.ndim == 3 and (x.dtype == np.uint8 or x.min() < 0):
        kind = "images" if x.dtype == np.uint8 else "signals"
    if kind is None and len(possible) == 2:
        raise ValueError(
            f"x {x.shape} of {x.dtype} may be grey images (N, H, W) or signals (N, C, L); give"
            " data.kind=images or data.kind=signals"
        )
    if not possible or kind not in (None, *possible):
        raise ValueError(f"x must be {SHAPES}; got {x.shape} for kind={kind}; reshape it")
    return kind or possible[0]


def _layout(
    parts: Iterable[Array], layout: str | None, stated: Sequence[float] | None
) -> str | None:
    """Checks pixels and returns their layout: only a channel axis is shorter than an image."""
    for images in parts:
        low, high = float(images.min()), float(images.max())
        is_known = stated is not None or images.dtype in (np.uint8, np.bool_)
        if not is_known and not (images.dtype.kind == "f" and low >= 0 and high <= 1):
            raise ValueError(
                f"images must be uint8 or floats in [0, 1], got {images.dtype} from {low:g} to"
                f" {high:g}; scale them, or say which are black and white: data.range=[LOW,HIGH]"
            )
    if layout is not None:
        one_of("layout", layout, LAYOUTS)
    if layout is not None or images.ndim == 3:
        return layout
    is_first, is_last = images.shape[1] < SMALLEST_SIDE, images.shape[3] < SMALLEST_SIDE
    if is_first == is_last:
        raise ValueError(
            f"it is not certain which axis of images {images.shape} holds the channels; give"
            " data.layout=NCHW or data.layout=NHWC"
        )
    return "NCHW" if is_first else "NHWC"


def _standardised(arrays: ImageArrays) -> ImageArrays:
    train, test = (part.read(torch.arange(len(part))) for part in (arrays.train, arrays.test))
    by = standardisation_of(train)
    images = [MemoryImages(by(each)) for each in (train, test)]
    return replace(arrays, train=images[0], test=images[1], standardisation=by)
