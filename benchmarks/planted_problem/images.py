"""The images of the planted problem, made on the spot."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from planted_problem.problem import PLANES, right_view, view_order

from nas_lightning.core.checks import at_least, in_range
from nas_lightning.data.images import ImageArrays, from_numpy

__all__ = ["planted"]

SIDE, CLASSES = 8, 4
AMPLITUDE, NOISE, OFFSET, LEVEL = 1.0, 0.6, 0.5, 32.0


def planted(
    path: str | None = None,
    image_size: int | Sequence[int] | None = None,
    channels: int | None = None,
    images: int = 10240,
    reliability: float = 0.45,
    brightness: float = 0.7,
) -> ImageArrays:
    """Returns images (6, 8, 8) of four classes of the planted problem (see `problem.py`).

    A plane's texture is one of four gratings, of random phase. It is the class's own with
    probability `reliability`, plane by plane, and any of the four otherwise. A plane is bright or
    dark by the parity of the class with probability `brightness`, and else the other way round.

    Args:
        path: must be None: the images are made here.
        image_size: must be None: planes have 8x8 pixels.
        channels: must be None: there are 6 planes.
        images: how many, the test set's fifth included; at least 40.
        reliability: share of the planes that show the class's own texture, in [0, 1].
        brightness: share of the planes whose brightness is the class's own, in [0, 1].

    Raises:
        ValueError: a value is out of range.
    """
    given = {"path": path, "image_size": image_size, "channels": channels}
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"data.{name} ({value}) must be null: planted images are made here")
    at_least("data.source.images", images, 40, use=10240)
    in_range("data.source.reliability", reliability, "[0, 1]", use=0.45)
    in_range("data.source.brightness", brightness, "[0, 1]", use=0.7)
    rng = np.random.default_rng(20180624)
    labels = np.arange(images) % CLASSES
    own = rng.random((images, PLANES)) < reliability
    shown = np.where(own, labels[:, None], rng.integers(CLASSES, size=(images, PLANES)))
    planes = AMPLITUDE * _gratings(shown, rng)
    for plane in range(PLANES):
        flat = planes[:, plane].reshape(images, -1)
        scrambled = np.empty_like(flat)
        scrambled[:, list(view_order(right_view(plane), flat.shape[1]))] = flat
        planes[:, plane] = scrambled.reshape(images, SIDE, SIDE)
    parity = np.where(labels % 2 == 0, 1.0, -1.0)[:, None]
    is_true = rng.random((images, PLANES)) < brightness
    light = OFFSET * np.where(is_true, parity, -parity)
    planes += light[:, :, None, None] + NOISE * rng.standard_normal(planes.shape)
    pixels = np.clip(np.rint(128.0 + LEVEL * planes), 0, 255).astype(np.uint8)
    return from_numpy(pixels, labels, ["across", "down", "falling", "rising"])


def _gratings(shown: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Returns gratings (N, planes, 8, 8) in four directions, of random phase."""
    y, x = np.mgrid[:SIDE, :SIDE]
    along = np.stack([y, x, (y + x) / 2**0.5, (y - x) / 2**0.5])
    phase = rng.uniform(0, 2 * np.pi, size=(*shown.shape, 1, 1))
    gratings: NDArray[np.float64] = np.sin(2 * np.pi / 3.5 * along[shown] + phase)
    return gratings
