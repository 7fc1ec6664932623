"""Small data sets for the tests of this room."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_lightning.data.images import ImageArrays, MemoryImages

NUM_TRAIN, NUM_TEST, NUM_CLASSES = 60, 12, 3


@pytest.fixture
def noise() -> Callable[..., ImageArrays]:
    """A source of 60 + 12 noisy images, 2 channels, 10x12, three classes."""

    def source(**_: object) -> ImageArrays:
        generator = torch.Generator().manual_seed(0)
        shape = (NUM_TRAIN + NUM_TEST, 2, 10, 12)
        pixels = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
        labels = torch.arange(NUM_TRAIN + NUM_TEST) % NUM_CLASSES
        return ImageArrays(
            MemoryImages(pixels[:NUM_TRAIN]),
            labels[:NUM_TRAIN],
            MemoryImages(pixels[NUM_TRAIN:]),
            labels[NUM_TRAIN:],
            ("ant", "bee", "cat"),
        )

    return source


@pytest.fixture
def paint() -> Callable[..., Path]:
    """What writes a number of image files of a mode and size into a folder."""

    def write(
        folder: Path,
        number: int = 4,
        mode: str = "L",
        size: tuple[int, int] = (10, 12),
        suffix: str = ".png",
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(number):
            levels = np.random.default_rng(index).integers(0, 256, (*size, 4), dtype=np.uint8)
            image = Image.fromarray(levels).convert("RGB").convert(mode)
            image.save(folder / f"{mode}-{size[0]}-{index}{suffix}")
        return folder

    return write
