"""The params that children share: a supernet's, after so many trials."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn

from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace, crop, inherit
from nas_lightning.files import replacing

__all__ = ["WeightBank", "check_supernet", "give_back"]


@dataclass(frozen=True)
class WeightBank:
    """A supernet's params and buffers after a trial, and what that trial measured.

    So a trial that was interrupted before its result was told is not trained twice: the file tells
    it, and is replaced as a whole.
    """

    params: dict[str, Tensor]
    trial: int = -1
    measurements: Mapping[str, float] | None = None
    cost: Mapping[str, float] | None = None

    @classmethod
    def read(cls, path: Path) -> "WeightBank":
        """Returns the bank of a file."""
        return cls(**torch.load(path, map_location="cpu", weights_only=True))

    def write(self, path: Path) -> None:
        """Writes the bank atomically."""
        with replacing(path) as temporary:
            torch.save(vars(self), temporary)


def give_back(child: nn.Module, params: Mapping[str, Tensor]) -> None:
    """Copies a child's params and buffers into the supernet's, from which it can `inherit` them.

    `params` are those of the supernet's `state_dict`; what the child lacks stays as it is.
    """
    with torch.no_grad():
        for name, tensor in child.state_dict().items():
            crop(params[name], tensor.shape).copy_(tensor)


def check_supernet(space: SearchSpace, scale: Scale) -> None:
    """Raises ValueError where a space has no supernet of a scale, or one that fits no child."""
    cure = "use evaluation=low_fidelity or evaluation=full"
    if type(space).supernet is SearchSpace.supernet:
        raise ValueError(
            f"search space '{space.name}' has no supernet, from which evaluation=inherited takes "
            f"the params of children; {cure}"
        )
    with torch.device("meta"):  # only the shapes are looked at
        try:
            params = space.supernet(scale).state_dict()
        except ValueError as error:
            raise ValueError(f"evaluation=inherited needs a supernet: {error}; or {cure}") from None
        try:
            inherit(space.child(space.sample(Random(0)), scale), params)
        except (KeyError, RuntimeError) as error:
            raise ValueError(
                f"evaluation=inherited needs children that are parts of the supernet, and one of "
                f"search space '{space.name}' is not ({error}); {cure}"
            ) from None
