"""A module with a choice, and numbers for it, as calls in Python pass them."""

import numpy as np
import torch
from torch import nn

import nas_lightning as nl

NUMBERS = np.arange(240, dtype=np.float32).reshape(60, 4)


CLASSES = np.arange(60) % 2


class Wave(nn.Module):
    """A network of signals or tables with a choice, at the top of a module that is imported."""

    def __init__(self, input_shape: tuple[int, ...], num_outputs: int) -> None:
        super().__init__()
        size = int(np.prod(input_shape))
        self.flat = nn.Flatten()
        self.layer = nl.OneOf("layer", {"thin": nn.Linear(size, 8), "relu": _relu(size)})
        self.head = nn.Linear(8, num_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(self.flat(x)))


def _relu(size: int) -> nn.Module:
    return nn.Sequential(nn.Linear(size, 8), nn.ReLU())


TABLE = {
    "search_space": Wave,
    "overrides": ["child.epochs=1", "callbacks=silent", "data.batch_size=16"],
}


def arrays(*shape, classes=3, seed=0):
    """Returns 60 inputs of a shape that tell their classes, and these."""
    draw = np.random.default_rng(seed)
    y = np.arange(60) % classes
    x = draw.normal(size=(60, *shape)).astype(np.float32)
    return x + y.reshape(-1, *[1] * len(shape)), y


class Mine(nl.Darts):
    """A strategy of one's own."""
