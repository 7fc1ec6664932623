"""Other tensors in the places of a network's params, for one forward pass."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

__all__ = ["StandIns"]


class StandIns:
    """Replaces params of a network by name, as torch's functional_call does, but at little cost.

    The places of a param, several where it is tied, are looked up once.
    """

    def __init__(self, network: nn.Module) -> None:
        self._places: dict[str, list[tuple[dict[str, Any], str]]] = {}
        names = {id(param): name for name, param in network.named_parameters()}
        for module in network.modules():
            for key, param in module._parameters.items():
                if param is not None:
                    self._places.setdefault(names[id(param)], []).append((module._parameters, key))

    @contextmanager
    def replaced(self, tensors: Mapping[str, Tensor]) -> Iterator[None]:
        """Lets tensors, by name, be the network's params inside the block."""
        places = [place for name in tensors for place in self._places[name]]
        before = [params[key] for params, key in places]
        try:
            for name, tensor in tensors.items():
                for params, key in self._places[name]:
                    params[key] = tensor
            yield
        finally:
            for (params, key), param in zip(places, before, strict=True):
                params[key] = param
