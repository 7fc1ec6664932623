"""How a supernet is built and rebuilt, and what its batches must be."""

from typing import Any

import torch
from torch import Tensor, nn

from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace

__all__ = [
    "build_supernet",
    "channels_last",
    "check_parts",
    "keep_params",
]


def build_supernet(space: SearchSpace, scale: Scale, seed: int) -> nn.Module:
    """Builds a supernet whose params depend on nothing but the arguments.

    Args:
        space: the search space.
        scale: its size.
        seed: seed of the params; the global generator stays as it was.

    Raises:
        ValueError: the space refuses the scale.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        supernet = space.supernet(scale)
    supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return supernet


def keep_params(new: nn.Module, old: nn.Module) -> None:
    """Copies into a rebuilt supernet what it has in common with the old one.

    Tensors of one name share their leading slices; what is beyond them stays as it was built.
    """
    source = old.state_dict()
    with torch.no_grad():
        for name, tensor in new.state_dict().items():
            if name in source and source[name].dim() == tensor.dim():
                common = tuple(map(min, tensor.shape, source[name].shape))
                corner = tuple(slice(size) for size in common)
                tensor[corner] = source[name][corner].to(tensor)


def channels_last(x: Tensor) -> Tensor:
    """Returns images (N, C, H, W) in the order of memory that convolutions like; others as is."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def check_parts(batch: Any) -> None:
    """Refuses a batch of a search that has not both parts.

    Raises:
        ValueError: the batch does not hold a "train" and a "val" part.
    """
    if not (isinstance(batch, dict) and {"train", "val"} <= set(batch)):
        raise ValueError(
            'a search needs batches {"train": (x, y), "val": (x, y)}, got '
            f"{type(batch).__name__}; let train_dataloader() return "
            '{"train": loader, "val": loader}'
        )
