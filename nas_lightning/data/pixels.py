"""Arrays of pixels in any common layout and type, made to uint8 images (N, C, H, W)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas_lightning.core.checks import one_of

__all__ = [
    "LAYOUTS",
    "OR_SIGNALS",
    "Array",
    "as_pixels",
    "as_samples",
    "check_inside",
    "check_numbers",
    "pixel_range",
    "with_channels",
]

LAYOUTS = ("NCHW", "NHWC")
USUAL_CHANNELS = (1, 3, 4)
TYPE_RANGES = {"b": (0, 1), "u": (0, 255), "i": (0, 255), "f": (0, 1)}  # of black and white
WEIGHTS = (0.299, 0.587, 0.114)  # of red, green and blue in grey, as Pillow has them
OR_SIGNALS = (  # which have as many dimensions as grey images
    '; signals (N, C, L) are taken in Python: nl.search(data={"x": x, "y": y, "kind": "signals"})'
)

Array = NDArray[Any]
Named = tuple[str, Array]


def as_pixels(
    parts: Sequence[Named], layout: str | None = None, stated: Sequence[float] | None = None
) -> list[Tensor]:
    """Returns uint8 images (N, C, H, W) of arrays (N, H, W), (N, H, W, C) or (N, C, H, W), by name.

    The range of their numbers, which become the pixels 0 to 255, is stated, or that of their type:
    integers are pixels, floats lie in [0, 1], booleans are black and white. The layout is "NCHW"
    or "NHWC"; None finds it: 1, 3 or 4 channels, or the side that differs from two equal ones.
    Raises ValueError if it is not clear, numbers lie outside, or the parts are not alike.
    """
    if layout is not None:
        one_of("data.source.layout", layout, LAYOUTS)
    layouts = [layout or _layout(images) for _, images in parts]
    _check_alike(
        parts, [(array.ndim, each) for (_, array), each in zip(parts, layouts, strict=True)]
    )
    images = []
    for name, array in parts:
        check_numbers(array, name)
        low, high = stated or TYPE_RANGES[array.dtype.kind]
        if stated is not None or array.dtype not in (np.uint8, np.bool_):
            more = OR_SIGNALS if array.ndim == 3 else ""
            check_inside(array, (low, high), f"{name} images of {array.dtype}", more)
        if array.ndim == 3:
            array = array[:, None]
        elif layouts[0] == "NHWC":
            array = array.transpose(0, 3, 1, 2)
        images.append(torch.from_numpy(_scaled(array, low, high)))
    return images


def with_channels(pixels: Tensor, channels: int | None) -> Tensor:
    """Returns images, uint8 (N, C, H, W), with another number of channels.

    Grey is repeated; colour (red, green, blue, perhaps opacity) becomes grey by its brightness;
    opacity is dropped, or added as 255; another change raises ValueError.
    """
    present = pixels.shape[1]
    if channels in (None, present):
        return pixels
    if present == 1 and channels > 0:
        return pixels.expand(-1, channels, -1, -1).contiguous()
    if present in (3, 4) and channels == 1:
        grey = torch.zeros_like(pixels[:, :1], dtype=torch.float32)
        for channel, weight in enumerate(WEIGHTS):
            grey += weight * pixels[:, channel : channel + 1].float()
        return grey.round().to(torch.uint8)
    if present == 4 and channels == 3:
        return pixels[:, :3].contiguous()
    if present == 3 and channels == 4:
        return torch.cat([pixels, torch.full_like(pixels[:, :1], 255)], dim=1)
    raise ValueError(
        f"data.channels ({channels}) cannot be made of images with {present} channels; leave null"
    )


def as_samples(parts: Sequence[Named]) -> list[Tensor]:
    """Returns arrays (N, ...) of numbers, by name, in float64; refuses what is not alike."""
    for name, array in parts:
        check_numbers(array, name, "sample")
    _check_alike(parts, [array.shape[1:] for _, array in parts], "sample")
    return [torch.from_numpy(array.astype(np.float64)) for _, array in parts]


def _check_alike(parts: Sequence[Named], forms: Sequence[object], kind: str = "image") -> None:
    """Refuses parts of another type or form than the first one's."""
    first = parts[0][1]
    for (name, array), form in zip(parts, forms, strict=True):
        if (array.dtype, form) != (first.dtype, forms[0]):
            described = [
                f"{x.dtype} (N, {', '.join(map(str, x.shape[1:]))})" for x in (first, array)
            ]
            raise ValueError(
                f"the {name} {kind}s must have the type and the layout of the training {kind}s, got"
                f" {' and '.join(described)}; make them alike"
            )


def check_numbers(values: Array, part: str, kind: str = "image") -> None:
    """Refuses other types, an empty array, NaN and infinity, and names the first that has one."""
    if values.dtype.kind not in TYPE_RANGES:
        raise ValueError(f"{kind}s must be arrays of numbers, got {values.dtype} {values.shape}")
    if values.size == 0:
        raise ValueError(f"the {part} set must hold {kind}s, got an array {values.shape}")
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return
    first = next(row for row, each in enumerate(values) if not np.isfinite(each).all())
    where = f"{part} {kind} {first} (the first is 0)"
    raise ValueError(f"{kind}s must hold finite numbers, got nan or inf in {where}; replace those")


def pixel_range(kind: np.dtype[Any], stated: Sequence[float] | None) -> tuple[float, float] | None:
    """Returns the numbers that `as_pixels` makes the pixels 0 and 255; None if they are pixels."""
    if stated is None and kind.kind != "f":
        return None
    low, high = stated or TYPE_RANGES[kind.kind]
    return float(low), float(high)


def check_inside(values: Array, bounds: Sequence[float], what: str, more: str = "") -> None:
    """Refuses numbers outside the range of black to white; `more` ends the message."""
    lowest, highest = float(values.min()), float(values.max())
    if not bounds[0] <= lowest <= highest <= bounds[1]:
        raise ValueError(
            f"{what} must lie in [{bounds[0]:g}, {bounds[1]:g}], got {lowest:g} to {highest:g}; say"
            f" which numbers are black and white, data.range=[LOW,HIGH], or clip the others{more}"
        )


def _scaled(images: Array, low: float, high: float) -> NDArray[np.uint8]:
    if images.dtype == np.uint8 and (low, high) == (0, 255):
        return np.require(images, requirements=["C", "W"])
    scale = 255 / (high - low)
    pixels = np.empty(images.shape, np.uint8)
    for part, values in zip(pixels, images, strict=True):  # one by one: floats take room
        part[...] = np.rint((values.astype(np.float64) - low) * scale)
    return pixels


def _layout(images: Array) -> str:
    if images.ndim == 3:
        return ""
    if images.ndim != 4:
        raise ValueError(
            f"images must be an array (N, H, W), (N, H, W, C) or (N, C, H, W), got {images.shape};"
            " signals and tables of numbers are taken in Python, by nl.search(data=(x, y))"
        )
    first, middle, last = images.shape[1:]
    usual = [first in USUAL_CHANNELS, last in USUAL_CHANNELS]
    if usual[0] != usual[1]:
        return LAYOUTS[usual[1]]
    if (first == middle) != (middle == last):
        return LAYOUTS[first == middle]
    raise ValueError(
        f"it is not clear which axis of images {images.shape[1:]} is the channels; choose"
        " data.source.layout=NCHW or NHWC"
    )
