"""The packaged data set of signals: MNIST-1D."""

from pathlib import Path

import numpy as np
import torch

from nas_lightning.data.augmentation import NO_AUGMENTATION, Augmentation
from nas_lightning.data.images import ImageArrays, MemoryImages, Size
from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.normalisation import standardisation_of

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
        train, test = (torch.from_numpy(content[name]) for name in ("x_train", "x_test"))
        labels = [
            torch.from_numpy(content[name].astype(np.int64)) for name in ("y_train", "y_test")
        ]
    by = standardisation_of(train)
    parts = [MemoryImages(by(signals)) for signals in (train, test)]
    names = tuple(str(digit) for digit in range(10))
    return ImageArrays(parts[0], labels[0], parts[1], labels[1], names, by)
