"""From files, images, arrays and tensors to the batch that a loaded child takes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from nas_lightning.data.image_files import MODES, decode, fitted_pixels
from nas_lightning.data.normalisation import Normalisation, Standardisation

__all__ = ["Input", "Inputs"]

Input = str | Path | Image.Image | NDArray[Any] | Tensor
COLOUR_LAYOUTS = ("CHW", "HWC", "NCHW", "NHWC")
GREY_LAYOUTS = ("HW", "NHW", "HWC", "NCHW", "NHWC")  # one image CHW is a batch NHW of one


class Inputs:
    """Makes batches of what a user has, by what a child's card says of its input.

    A child of images whose card has `mean` and `std` was trained on pixels: it takes image files,
    PIL images, and arrays of pixels, uint8. Other arrays hold pixels if the card's `range` says
    which of their numbers stand for 0 and 255; without one, integers in [0, 255] do, and floats
    only if mean 0 and std 1 say that the network was trained on pixels / 255. Every other child
    takes arrays of numbers: raw ones of signals and tables, if the card has `mean` and `std`, else
    as the network was trained on.

    Args:
        shape: of one input, e.g. (channels, height, width).
        card: the preprocessing of the training set: mean, std, perhaps range [low, high]; or {}.
    """

    def __init__(self, shape: Sequence[int], card: Mapping[str, Any]) -> None:
        self.shape, self.card = tuple(shape), card
        self.mean, self.std = (tuple(card.get(name, ())) for name in ("mean", "std"))
        self.has_statistics = {"mean", "std"} <= set(card)
        self.normalise = Normalisation(self.mean, self.std)  # of pixels
        self.takes_pixels = len(self.shape) == 3 and self.has_statistics

    def batch(self, inputs: Any) -> Tensor:
        """Returns inputs as a batch (N, *shape), float32, as the network was trained on.

        Args:
            inputs: an `Input`, or lists of them, perhaps empty; an array or tensor is one input or
                a batch.

        Raises:
            ValueError: a file is no readable image, or an array does not fit.
            TypeError: an input is no file, image, array or tensor.
        """
        parts = [self._prepared(one) for one in _flat(inputs)]
        return torch.cat([torch.empty(0, *self.shape), *parts])

    def check(self, call: str, x: Any) -> None:
        """Refuses what is no batch of preprocessed inputs; images may be of another size.

        Raises: ValueError: x is no tensor of floats (N, *shape).
        """
        is_batch = (
            isinstance(x, Tensor) and x.is_floating_point() and x.dim() == len(self.shape) + 1
        )
        if not is_batch or x.shape[1] != self.shape[0]:
            kind = str(x.dtype) if isinstance(x, Tensor) else type(x).__name__
            shape = f" {tuple(x.shape)}" if hasattr(x, "shape") else ""
            raise ValueError(
                f"{call}(x) takes a tensor of floats (N, {', '.join(map(str, self.shape))}), got "
                f"{kind}{shape}; give {call}(child.preprocess(...)), or use child.predict(...): "
                "both take files, images and arrays"
            )

    def _prepared(self, one: Any) -> Tensor:
        if isinstance(one, str | Path | Image.Image):
            return self.normalise(self._decoded(one)[None])
        if not isinstance(one, np.ndarray | Tensor):
            raise TypeError(
                f"an input ({one!r:.60}) must be an image file, PIL image, array or tensor, or a "
                f"list of them, got {type(one).__name__}; make numbers an array: numpy.array(...)"
            )
        values = one.detach().cpu() if isinstance(one, Tensor) else _tensor(one)
        if values.shape == (0,):  # numpy.array([])
            return torch.empty(0, *self.shape)
        if not self.takes_pixels:
            return self._numbers(values)
        images = self._channels_first(values)
        is_scaled = images.is_floating_point() and "range" not in self.card
        return self._scaled(images) if is_scaled else self.normalise(self._pixels(images))

    def _decoded(self, one: str | Path | Image.Image) -> Tensor:
        """Returns the pixels (C, H, W) of an image file or a PIL image, scaled and cut to size."""
        if not self.takes_pixels or self.shape[0] not in MODES:
            raise ValueError(
                f"an image ({one}) cannot become an input of shape {self.shape} by what this child "
                "knows of its training data; give an array of the numbers that it was trained on"
            )
        channels, height, width = self.shape
        size, stated = (height, width), self.card.get("range")
        if isinstance(one, Image.Image):
            return fitted_pixels(one, size, channels, stated)
        path = Path(one).expanduser()
        if path.is_dir():
            raise ValueError(
                f"an input ('{one}') must be one image file, and this is a folder; give its "
                f"files, e.g. sorted(pathlib.Path('{one}').glob('*.png'))"
            )
        return decode(path, size, channels, stated)

    def _channels_first(self, values: Tensor) -> Tensor:
        """Returns an image or a batch of images of any layout as (N, C, H, W)."""
        channels, height, width = self.shape
        possible = GREY_LAYOUTS if channels == 1 else COLOUR_LAYOUTS
        layouts = [axes for axes in possible if self._fits(axes, values.shape)]
        if len(layouts) != 1:
            raise ValueError(
                f"an array of pixels {tuple(values.shape)} must be (H, W, C), (C, H, W), or a "
                f"batch of these with N first, with one meaning only: here C={channels} (of 1, "
                f"it may be left out), H={height}, W={width}; resize it, or give PIL images or "
                "files, which are resized"
            )
        if layouts[0].endswith("C"):
            values = values.movedim(-1, -3)
        elif "C" not in layouts[0]:
            values = values.unsqueeze(-3)
        return values if values.dim() == 4 else values[None]

    def _fits(self, axes: str, shape: Sequence[int]) -> bool:
        sizes = dict(zip("CHW", self.shape, strict=True))
        pairs = zip(axes, shape, strict=False)
        return len(axes) == len(shape) and all(sizes.get(a, size) == size for a, size in pairs)

    def _pixels(self, values: Tensor) -> Tensor:
        """Returns raw numbers as pixels, uint8, as those of the training set became pixels."""
        if values.dtype == torch.uint8:
            return values
        if values.dtype == torch.bool:
            return values.to(torch.uint8) * 255
        low, high = self.card.get("range", (0, 255))
        numbers = values.double()
        _check_range(numbers, low, high)
        return torch.round((numbers - low) * (255 / (high - low))).to(torch.uint8)

    def _scaled(self, images: Tensor) -> Tensor:
        """Returns floats that are pixels / 255, if it is certain that they are."""
        if any(self.mean) or set(self.std) != {1.0}:
            raise ValueError(
                "an array of floats may hold pixels of any range, or normalised ones; give pixels "
                "in [0, 255] as uint8, or call child(x) with normalised images (N, C, H, W)"
            )
        _check_range(images, 0, 1)
        return images.to(torch.float32)

    def _numbers(self, values: Tensor) -> Tensor:
        """Returns an array of numbers as a batch, standardised as those of the training set."""
        batch = values[None] if tuple(values.shape) == self.shape else values
        if tuple(batch.shape[1:]) != self.shape:
            raise ValueError(
                f"an array {tuple(values.shape)} must be one input {self.shape}, or a batch of "
                f"them (N, {', '.join(map(str, self.shape))}); reshape it"
            )
        if len(self.shape) == 3 and not batch.is_floating_point():
            raise ValueError(
                f"images of {batch.dtype} must be floats as this child was trained on, since "
                "nothing is known of how pixels became floats; normalise them yourself"
            )
        return Standardisation(self.mean, self.std)(batch) if self.has_statistics else batch.float()


def _check_range(numbers: Tensor, low: float, high: float) -> None:
    if numbers.numel() == 0:
        return
    lowest, highest = float(numbers.min()), float(numbers.max())
    if not low <= lowest <= highest <= high:
        raise ValueError(
            f"an array of such pixels must be in [{low:g}, {high:g}], got {lowest:g} to "
            f"{highest:g}; scale or clip it as the training data were"
        )


def _flat(inputs: Any) -> Iterator[Any]:
    if not isinstance(inputs, list | tuple | Iterator):
        yield inputs
        return
    for part in inputs:
        yield from _flat(part)


def _tensor(array: NDArray[Any]) -> Tensor:
    if array.dtype.kind not in "buif":
        raise TypeError(f"an array must hold numbers, got {array.dtype}; give e.g. float32")
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("=")))
