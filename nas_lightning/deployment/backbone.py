"""A child without its head: images in, features out."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Backbone", "features_of", "head_layers", "num_features"]


class Backbone(nn.Module):
    """A child without its head: forward(x) -> features (N, num_features).

    It is a copy in training mode, whose params train apart from the child's; all that can be
    trained is used.

    Args:
        network: the child.
        head: names of the head's tensors in its `state_dict` (see `core.head`).
        input_shape: shape of one input, e.g. (channels, height, width).

    Attributes:
        num_features: length of one input's features.

    Raises: ValueError: no layer of the head is linear or a convolution.
    """

    def __init__(self, network: nn.Module, head: Sequence[str], input_shape: Sequence[int]) -> None:
        super().__init__()
        self.network, self.heads = copy.deepcopy(network), head_layers(network, head)
        if hasattr(self.network, "auxiliary"):
            del self.network.auxiliary
        for name in self.heads:
            self.network.set_submodule(name, _NoHead(self.network.get_submodule(name)))
        for name, param in self.network.named_parameters():
            param.requires_grad_(name not in head)  # e.g. a bias beside the layers
        self.num_features = num_features(self.network, self.heads, input_shape)
        self.train()

    def forward(self, x: Tensor) -> Tensor:
        """Returns the features (N, num_features) of preprocessed inputs (N, ...)."""
        return features_of(self.network, self.heads, x)


class _NoHead(nn.Module):
    """Stands where a layer of the head was: outputs zeros of its shape."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        assert isinstance(layer.weight, Tensor)
        self.num_outputs, self.axis = layer.weight.shape[0], _feature_axis(layer)

    def forward(self, x: Tensor, *_: Any, **__: Any) -> Tensor:
        shape = list(x.shape)
        shape[self.axis] = self.num_outputs
        return x.new_zeros(shape)


def head_layers(network: nn.Module, head: Sequence[str]) -> list[str]:
    """Returns the names of those layers of the head that read features, which have a matrix.

    Raises: ValueError: no layer of the head is linear or a convolution.
    """
    tensors = network.state_dict()
    names = [n.rpartition(".")[0] for n in head if n in tensors and tensors[n].dim() > 1]
    layers = [name for name in names if name.partition(".")[0] != "auxiliary"]
    if not layers or not all(_is_layer(network.get_submodule(name)) for name in layers):
        raise ValueError(
            f"the head ({', '.join(head)}) must be linear layers or convolutions for its features "
            "to be known; make its matrix the weight of an nn.Linear"
        )
    return layers


def num_features(network: nn.Module, heads: Sequence[str], input_shape: Sequence[int]) -> int:
    """Returns the length of one input's features, by a run on zeros."""
    like, was_training = next(network.parameters()), network.training
    with torch.no_grad():
        features = features_of(network.eval(), heads, like.new_zeros(1, *input_shape))
    network.train(was_training)
    return features.shape[1]


def features_of(network: nn.Module, heads: Sequence[str], x: Tensor) -> Tensor:
    """Returns what the layers of the head read, averaged over space and joined (N, features)."""
    features: list[Tensor] = []

    def note(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        maps = inputs[0].movedim(_feature_axis(layer), 1)
        features.append(maps.flatten(2).mean(dim=2) if maps.dim() > 2 else maps)

    hooks = [network.get_submodule(name).register_forward_pre_hook(note) for name in heads]
    try:
        network(x)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(features, dim=1)


def _is_layer(module: nn.Module) -> bool:
    return isinstance(getattr(module, "weight", None), Tensor) and not list(module.children())


def _feature_axis(layer: nn.Module) -> int:
    is_linear = isinstance(layer, nn.Linear) or (isinstance(layer, _NoHead) and layer.axis == -1)
    return -1 if is_linear else 1
