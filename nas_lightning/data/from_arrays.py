"""Data sets of arrays from Python: images, signals, or tables of numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from nas_lightning.core.checks import one_of
from nas_lightning.data.augmentation import Augmentation
from nas_lightning.data.formats.npz import parts_of
from nas_lightning.data.formats.tables import of_datasets
from nas_lightning.data.images import SMALLEST_SIDE, ImageArrays, Size
from nas_lightning.data.labels import Raw
from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.pixels import LAYOUTS, Array, check_numbers
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
            "line data=folder data.path=FILE.npz reads those of images"
        )
    options = ReadOptions(layout=layout, range=range, class_names=class_names)
    is_named = isinstance(x, Mapping) and not any(hasattr(e, "features") for e in x.values())
    if is_named:
        raw = parts_of({key: _array(values) for key, values in x.items()}, options, "data")
    elif y is None:
        raw = of_datasets(x, options, Path("data"))
    else:
        pairs = {"train": (x, y)} if test is None else {"train": (x, y), "test": test}
        parts = [Part(e, e, _array(x), _array(y), class_names) for e, (x, y) in pairs.items()]
        raw, options = RawParts(parts), replace(options, class_names=None)
    if is_named or y is not None:
        samples = np.asarray(raw.parts[0].images)
        check_numbers(samples, "training", "sample")
        is_images = _kind(samples, kind) == "images"
        layout = _layout(samples, layout, range) if is_images else None
        options = replace(options, layout=layout, is_images=is_images)
        augmentation = None if augmentation == AUGMENTATION and not is_images else augmentation
    return ImageDataModule(
        partial(_source, raw, options),
        seed=seed,
        targets=targets,
        name=name,
        batch_size=batch_size,
        validation_share=validation_share,
        augmentation=augmentation,
    )


def _source(
    raw: RawParts, options: ReadOptions, path: None, image_size: Size | None, channels: int | None
) -> ImageArrays:
    return as_arrays(raw, replace(options, image_size=image_size, channels=channels))


def _array(values: Any) -> Array:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


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


def _layout(x: Array, layout: str | None, stated: Sequence[float] | None) -> str | None:
    """Returns the layout of images, of which only a channel axis is shorter than an image."""
    if stated is None and x.dtype.kind in "iu" and x.dtype != np.uint8:
        raise ValueError(
            f"images must be uint8 or floats in [0, 1], got {x.dtype} from {x.min()} to {x.max()};"
            " scale them, or say which are black and white: data.range=[LOW,HIGH]"
        )
    if layout is not None:
        one_of("data.layout", layout, LAYOUTS)
    if layout is not None or x.ndim == 3:
        return layout
    is_first, is_last = x.shape[1] < SMALLEST_SIDE, x.shape[3] < SMALLEST_SIDE
    if is_first == is_last:
        raise ValueError(
            f"it is not certain which axis of images {x.shape} holds the channels; give"
            " data.layout=NCHW or data.layout=NHWC"
        )
    return "NCHW" if is_first else "NHWC"
