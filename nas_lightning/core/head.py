"""The head of a child: what of it depends on the number of outputs."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace

__all__ = ["head_tensors", "load_params"]


def head_tensors(space: SearchSpace, genotype: Genotype, scale: Scale) -> tuple[str, ...]:
    """Returns the names of those tensors of a child whose shapes follow the number of outputs.

    They are names of its `state_dict`, in its order; the last layer of an auxiliary head is among
    them. Two children are built on the meta device and compared, so any space will do.

    Raises: ValueError: no tensor follows the number of outputs.
    """
    with torch.device("meta"):
        child = space.child(genotype, scale).state_dict()
        wider = space.child(genotype, replace(scale, num_outputs=scale.outputs() + 1)).state_dict()
    names = [n for n, tensor in child.items() if n not in wider or wider[n].shape != tensor.shape]
    if not names:
        raise ValueError(
            f"search space '{space.name}' must build children of num_outputs outputs, but no "
            "tensor of this child follows that number; build the last layer with num_outputs"
        )
    return tuple(names)


def load_params(network: nn.Module, params: Mapping[str, Tensor], leave: Collection[str]) -> None:
    """Copies params and buffers into a network by name, but those to `leave`.

    Raises:
        ValueError: a tensor is missing, of another shape, or not the network's; the message names
            the first one.
    """
    here = {name: tensor for name, tensor in network.state_dict().items() if name not in leave}
    there = {name: tensor for name, tensor in params.items() if name not in leave}
    for name in here | there:
        shapes = [tuple(each[name].shape) if name in each else "none" for each in (there, here)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"the first tensor that differs is {name}: {shapes[0]} there, {shapes[1]} here"
            )
    with torch.no_grad():
        for name, tensor in here.items():
            tensor.copy_(there[name])
