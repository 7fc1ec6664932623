"""How a supernet is built and rebuilt."""

import torch
from torch import Tensor, nn

from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace

__all__ = ["build_supernet", "channels_last", "keep_params"]


def build_supernet(space: SearchSpace, scale: Scale, seed: int) -> nn.Module:
    """Builds a supernet whose params depend on the seed alone.

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

    Tensors of one name share their leading slices; the rest stays as it was built.
    """
    source = old.state_dict()
    with torch.no_grad():
        for name, tensor in new.state_dict().items():
            if name in source and source[name].dim() == tensor.dim():
                common = tuple(map(min, tensor.shape, source[name].shape))
                corner = tuple(slice(size) for size in common)
                tensor[corner] = source[name][corner].to(tensor)


def channels_last(x: Tensor) -> Tensor:
    """Returns images (N, C, H, W) in the memory order that is fastest; other inputs as they are."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x
