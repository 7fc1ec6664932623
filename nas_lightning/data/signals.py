"""The packaged data set of signals: MNIST-1D."""

from pathlib import Path

import numpy as np

from nas_lightning.data.augmentation import NO_AUGMENTATION, Augmentation
from nas_lightning.data.images import ImageArrays, Size
from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.raw_parts import Part, RawParts, ReadOptions, as_arrays

__all__ = ["mnist1d"]

FILE = Path(__file__).parent / "packaged" / "mnist1d.npz"


def mnist1d(
    *,
    seed: int,
    targets: str = "classes",
    name: str = "MNIST-1D",
    batch_size: int = 64,
    validation_share: float = 0.5,
    max_images: int | None = None,
    augmentation: Augmentation | None = NO_AUGMENTATION,
) -> ImageDataModule:
    """Returns MNIST-1D: 4,000 training and 1,000 test signals (1, 40) of ten classes.

    Source: Greydanus, Scaling down deep learning, 2020 (arXiv:2011.14439): twelve values drawn
    for each digit, padded, stretched, shifted, sheared and noisy. The numbers are those of the
    author's generator and its default seed, standardised by the training set.

    The arguments are those of `ImageDataModule`; signals can be mixed up and not augmented else.
    """
    return ImageDataModule(
        _read,
        seed=seed,
        targets=targets,
        name=name,
        batch_size=batch_size,
        validation_share=validation_share,
        max_images=max_images,
        augmentation=augmentation,
    )


def _read(path: None, image_size: Size | None, channels: int | None) -> ImageArrays:
    with np.load(FILE) as content:
        parts = [Part(e, e, content[f"x_{e}"], content[f"y_{e}"]) for e in ("train", "test")]
    return as_arrays(RawParts(parts), ReadOptions(is_images=False))
