"""How much memory a child's inference needs: its tensors, and the most activations alive at once.

The network runs one sample on the meta device, where tensors have sizes but no content. A tensor
lives as long as Python keeps it, so what a cell keeps for later counts until it is read last;
views share their memory, and what works in place takes none. What a kernel allocates for itself
while it runs does not count.
"""

import weakref
from collections.abc import Iterable
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_leaves

from nas_lightning.core.dispatch import OperatorMode
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace

__all__ = ["LiveTensors", "child_memory_mb", "least_memory_mb", "memory_mb"]

MB = 10**6  # bytes


def memory_mb(network: nn.Module, shape: tuple[int, ...]) -> float:
    """Returns the MB (10^6 bytes) that one sample's inference needs on the meta device.

    That is its params and buffers, and the most that the input, what is computed from it and the
    outputs take at one time. `shape` is of one sample, and everything of the network's dtype.
    """
    training, norms = network.training, [m for m in network.modules() if isinstance(m, _BatchNorm)]
    hooks = [norm.register_forward_hook(_computed) for norm in norms]
    try:
        with torch.no_grad(), torch.device("meta"), LiveTensors() as live:
            live.add([*network.parameters(), *network.buffers()])
            with sdpa_kernel(SDPBackend.MATH):
                network.eval()(torch.empty((1, *shape)))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return float(live.most) / MB


def child_memory_mb(space: SearchSpace, genotype: Genotype, scale: Scale) -> float:
    """Returns the MB (10^6 bytes) that one inference of a genotype's child needs in float32."""
    with torch.device("meta"):
        network = space.child(genotype, scale)
    return memory_mb(network, scale.sample_shape())


def least_memory_mb(params: int, scale: Scale) -> float:
    """Returns the MB that a child of so many params needs at least, beside one input."""
    return 4 * (params + prod(scale.sample_shape())) / MB


class LiveTensors(OperatorMode):  # type: ignore[no-untyped-call]
    """Follows the memory of tensors from their birth to their death while the mode is on."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.most = 0, 0  # bytes
        self._alive: dict[int, weakref.ref[Any]] = {}

    def add(self, tensors: Iterable[Any]) -> None:
        """Counts the memory of tensors that are not counted yet until nobody has it any more."""
        for storage in (t.untyped_storage() for t in tensors if isinstance(t, Tensor)):
            place, size = id(storage), storage.nbytes()
            if place not in self._alive:
                end = partial(self._end, place, size)
                self._alive[place] = weakref.ref(storage, end)
                self.now += size
        self.most = max(self.most, self.now)

    def _end(self, place: int, size: int, dead: object) -> None:
        del self._alive[place]
        self.now -= size

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = self.run(func, args, kwargs)
        self.add(tree_leaves(out))
        return out


def _computed(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    """Gives a BatchNorm that passes its input on, as ours do on the meta device, an output."""
    return output.clone() if output is inputs[0] else output
