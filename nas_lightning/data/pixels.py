"""Arrays of pixels in any common layout and type, made to uint8 images (N, C, H, W)."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas_lightning.data.images import MemoryImages

__all__ = ["as_images", "check_finite", "pixel_range", "with_channels"]

LAYOUTS = ("NCHW", "NHWC")
USUAL_CHANNELS = (1, 3, 4)
WEIGHTS = (0.299, 0.587, 0.114)  # of red, green and blue in grey, as Pillow has them

Array = NDArray[Any]


def as_images(
    train: Array, test: Array | None, layout: str | None = None
) -> tuple[MemoryImages, MemoryImages | None]:
    """Returns images of the training and the test set from arrays.

    Integers and floats in 0..255 are rounded, floats in 0..1 and booleans multiplied by 255.
    Anything else is scaled linearly, from the lowest to the highest number of the training
    images: 256 levels are kept.

    Args:
        train: (N, H, W), (N, H, W, C) or (N, C, H, W), of any real type.
        test: alike; None without a test division.
        layout: "NCHW" or "NHWC"; None finds it: 1, 3 or 4 channels, or the side that differs from
            two equal ones.

    Raises: ValueError: the arrays are no images, or it is not clear where the channels are.
    """
    parts = {"training": train} if test is None else {"training": train, "test": test}
    for name, part in parts.items():
        check_finite(part, name)
    low, scale = _range(train)
    made = [
        MemoryImages(torch.from_numpy(_scaled(_channels_first(part, layout), low, scale)))
        for part in parts.values()
    ]
    return made[0], None if test is None else made[1]


def with_channels(pixels: Tensor, channels: int | None) -> Tensor:
    """Returns images, uint8 (N, C, H, W), with another number of channels.

    Grey is repeated; colour (red, green, blue, perhaps opacity) becomes grey by its brightness,
    and opacity is dropped or added as 255.

    Raises: ValueError: there is no way from the one number to the other.
    """
    present = pixels.shape[1]
    if channels in (None, present):
        return pixels
    if present == 1 and channels is not None and channels > 0:
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
        f"data.channels ({channels}) cannot be made of images with {present} channels; leave it"
        " null"
    )


def check_finite(values: Array, part: str, kind: str = "image") -> None:
    """Refuses NaN and infinity, and names the first image that has one.

    Raises: ValueError: there is one.
    """
    if values.dtype.kind != "f" or not values.size:
        return
    if np.isfinite([values.min(), values.max()]).all():
        return
    first = next(row for row, each in enumerate(values) if not np.isfinite(each).all())
    raise ValueError(
        f"{kind}s must hold finite numbers, got nan or inf in {part} {kind} {first} (the first is"
        " 0); replace those"
    )


def pixel_range(train: Array) -> tuple[float, float] | None:
    """Returns which numbers `as_images` makes the pixels 0 and 255; None where they are these."""
    low, scale = _range(train)
    is_pixels = train.dtype.kind in "bui" and (low, scale) in ((0.0, 1.0), (0.0, 255.0))
    return None if is_pixels else (low, low + 255 / scale)


def _range(train: Array) -> tuple[float, float]:
    """Returns the number that becomes 0, and what each number is multiplied by."""
    if train.dtype.kind not in "buif":
        raise ValueError(f"images must be arrays of numbers, got {train.dtype}")
    if train.size == 0:
        raise ValueError(f"the training set must hold images, got an array {train.shape}")
    low, high = float(train.min()), float(train.max())
    if train.dtype.kind == "b" or (train.dtype.kind == "f" and low >= 0 and high <= 1):
        return 0.0, 255.0
    if low >= 0 and high <= 255:
        return 0.0, 1.0
    return low, 255 / (high - low) if high > low else 1.0


def _scaled(images: Array, low: float, scale: float) -> NDArray[np.uint8]:
    if images.dtype == np.uint8 and (low, scale) == (0.0, 1.0):
        return np.require(images, requirements=["C", "W"])
    pixels = np.empty(images.shape, np.uint8)
    for part, values in zip(pixels, images, strict=True):  # one by one: floats take room
        part[...] = np.rint((values.astype(np.float64) - low) * scale).clip(0, 255)
    return pixels


def _channels_first(images: Array, layout: str | None) -> Array:
    if layout not in (None, *LAYOUTS):
        raise ValueError(
            f"data.source.layout ({layout}) must be NCHW, NHWC or null, which finds it"
        )
    if images.ndim == 3:
        return images[:, None]
    if images.ndim != 4:
        raise ValueError(
            f"images must be an array (N, H, W), (N, H, W, C) or (N, C, H, W), got {images.shape}"
        )
    layout = layout or _layout(images.shape[1:])
    return images if layout == "NCHW" else images.transpose(0, 3, 1, 2)


def _layout(shape: tuple[int, ...]) -> str:
    first, middle, last = shape
    usual = [first in USUAL_CHANNELS, last in USUAL_CHANNELS]
    if usual[0] != usual[1]:
        return LAYOUTS[usual[1]]
    if (first == middle) != (middle == last):
        return LAYOUTS[first == middle]
    raise ValueError(
        f"it is not clear which axis of images {shape} is the channels; choose"
        " data.source.layout=NCHW or NHWC"
    )
