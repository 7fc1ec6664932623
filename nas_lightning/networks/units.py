"""The units of a network, whose latency is measured: traced once, for children and mixtures.

A unit is the largest module in which nothing is weighed: an operation of a cell, a stem, a
classifier. A module whose size follows the mixture (`Resizable`) is one unit per combination of its
sizes. What runs between units, e.g. sums and concatenations, is overhead that all children of a
space share.

Two units are the same where the same operations run on tensors of the same shapes, in whatever
space or place: so few have to be measured.
"""

import copy
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_leaves, tree_map

from nas_lightning.core.choices import Mixture
from nas_lightning.core.cost import Elastic, Factors, Places, Weighted
from nas_lightning.core.dispatch import OperatorMode
from nas_lightning.networks.state import State

__all__ = ["Resizable", "Resized", "Unit", "Use", "trace_units", "whole"]


class Resized(NamedTuple):
    """A module as it is where `factors` are all 1, and what it then reads; it runs `times`."""

    factors: Factors
    module: nn.Module
    x: Any  # a tensor or a State
    times: int = 1  # -1 takes back what other factors count


@runtime_checkable
class Resizable(Protocol):
    """A module whose size follows the mixture."""

    def at_sizes(self, x: Any) -> Iterable[Resized]:
        """Yields it at every combination of its sizes, on the meta device, given its input."""


@dataclass(frozen=True, eq=False)
class Unit:
    """A module, and the arguments of a call on the meta device."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @cached_property
    def steps(self) -> tuple[str, ...]:
        """What runs, e.g. "relu(1x16x8x8)": the operations of torch with their arguments."""
        steps = list[str]()
        norms = [m for m in self.module.modules() if isinstance(m, _BatchNorm)]
        hooks = [n.register_forward_hook(lambda m, i, o: steps.append(_norm(i))) for n in norms]
        with torch.no_grad(), torch.device("meta"), _Steps(steps):
            self.module.eval()(*_each(self.args, _same), **_each(self.kwargs, _same))
        for hook in hooks:
            hook.remove()
        return tuple(steps)

    @cached_property
    def id(self) -> str:
        """The first 12 hex digits of the SHA-256 of what runs."""
        return hashlib.sha256("\n".join(self.steps).encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """The module's class, and the sides of its kernels, e.g. "ReluConvNorm 3x3 1x1"."""
        convs = [m for m in self.module.modules() if isinstance(m, nn.Conv2d)]
        kernels = ("x".join(map(str, conv.kernel_size)) for conv in convs)
        return " ".join([type(self.module).__name__, *kernels])

    @property
    def shapes(self) -> list[list[int]]:
        """The shapes of the tensors that it reads."""
        return [list(tensor.shape) for tensor in _tensors((self.args, self.kwargs))]

    def on_cpu(self) -> nn.Module:
        """Returns a copy of the module on the CPU, with random params."""
        module = copy.deepcopy(self.module).to_empty(device="cpu").eval()
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                tensor.copy_(_drawn(tensor).abs())
        return module

    def call(self) -> Callable[[], object]:
        """Returns a call of a copy on random inputs, on the CPU."""
        module, args, kwargs = self.on_cpu(), _each(self.args, _drawn), _each(self.kwargs, _drawn)
        return lambda: module(*_each(args, _same), **kwargs)

    def run(self, module: nn.Module, tensors: Iterable[Tensor]) -> list[Tensor]:
        """Returns what a copy of the module gives on tensors that take the place of its own."""
        inputs = iter(tensors)
        args, kwargs = _each((self.args, self.kwargs), lambda _: next(inputs))
        outputs = _tensors(module(*args, **kwargs))
        return list({id(output): output for output in outputs}.values())


class Use(NamedTuple):
    """How often a unit runs where `factors` are all 1."""

    unit: Unit
    factors: Factors
    times: int


def whole(network: nn.Module, shape: tuple[int, ...]) -> Unit:
    """Returns a network on the meta device as one unit, run on one sample of a shape."""
    return Unit(network, (torch.empty((1, *shape), device="meta"),), {})


def trace_units(
    network: nn.Module, shape: tuple[int, ...], mixture: Mixture | None = None
) -> list[Use]:
    """Runs one sample of a shape through a network on the meta device and returns its units.

    A supernet takes a mixture whose support is every option, a child None.

    Raises: ValueError: a module follows the mixture and does not say how.
    """
    calls, training = _Calls(network), network.training
    modules = list(network.modules())
    hooks = [m.register_forward_pre_hook(calls.enter_call, with_kwargs=True) for m in modules]
    hooks += [m.register_forward_hook(calls.leave, always_call=True) for m in modules]
    with torch.no_grad(), torch.device("meta"):
        sample = torch.empty((1, *shape))
        network.eval()(*((sample,) if mixture is None else (sample, mixture.to(sample))))
    for hook in hooks:
        hook.remove()
    uses: dict[tuple[str, Factors], Use] = {}
    with torch.no_grad(), torch.device("meta"):
        for unit, factors, times in calls.units():
            if unit.steps:
                key = (unit.id, factors)
                before = uses[key].times if key in uses else 0
                uses[key] = Use(unit, factors, before + times)
    network.train(training)
    return list(uses.values())


class _Calls(Places):
    """Collects the calls of a network's units, with the factors of their places."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        self.depth = 0  # of the running modules that are in a unit
        self.found = list[tuple[Unit, Factors]]()
        samples = {type(module): module for module in network.modules()}
        kinds = {kind: _follows(module) for kind, module in samples.items()}
        self.mixed = {kind for kind, follows in kinds.items() if follows}

    def enter_call(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        """Notes that a module begins to run; a hook."""
        self.enter(module, args)
        if self.depth or self._is_unit(module):
            if not self.depth:
                self.found.append((Unit(module, args, kwargs), self.running[-1].factors))
            self.depth += 1

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        """Notes that a module ends; a hook."""
        self.running.pop()
        self.depth = max(0, self.depth - 1)

    def units(self) -> Iterator[tuple[Unit, Factors, int]]:
        """Yields what ran: units, the factors under which they do, and how often."""
        for unit, factors in self.found:
            if isinstance(unit.module, Resizable):
                for resized in unit.module.at_sizes(unit.args[0]):
                    part = Unit(resized.module, (resized.x,), {})
                    yield part, factors + resized.factors, resized.times
            else:
                yield unit, factors, 1

    def _is_unit(self, module: nn.Module) -> bool:
        if isinstance(module, Resizable):
            return True
        return not any(type(part) in self.mixed for part in module.modules())


def _follows(module: nn.Module) -> bool:
    """Returns whether a module itself reads the mixture or weighs its parts."""
    if isinstance(module, Elastic) and not isinstance(module, Resizable):
        raise ValueError(
            f"{type(module).__name__} follows the mixture and must say what it is at each size, to "
            "measure its latency; give it at_sizes (see nas_lightning.networks.units.Resizable)"
        )
    return isinstance(module, (Weighted, Resizable))


class _Steps(OperatorMode):  # type: ignore[no-untyped-call]
    """Writes down each operation that runs."""

    def __init__(self, steps: list[str]) -> None:
        super().__init__()
        self.steps = steps

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        words = [_word(leaf) for leaf in tree_leaves((args, kwargs or {}))]
        self.steps.append(f"{func._overloadpacket.__name__}({', '.join(words)})")
        return self.run(func, args, kwargs)


def _word(value: Any) -> str:
    return "x".join(map(str, value.shape)) or "scalar" if isinstance(value, Tensor) else str(value)


def _norm(inputs: Any) -> str:
    """Returns the step of a BatchNorm, which ours leave out on the meta device."""
    return f"batch_norm({_word(inputs[0])})"


def _each(values: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Returns arguments with each tensor changed, also those of a `State`, which is made anew."""

    def changed(value: Any) -> Any:
        if isinstance(value, State):
            return State(change(value.x))
        return change(value) if isinstance(value, Tensor) else value

    return tree_map(changed, values)


def _tensors(values: Any) -> list[Tensor]:
    tensors = list[Tensor]()

    def noted(tensor: Tensor) -> Tensor:
        tensors.append(tensor)
        return tensor

    _each(values, noted)
    return tensors


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _drawn(tensor: Tensor) -> Tensor:
    """Returns small random values of a tensor's shape on the CPU; of whole numbers zeros."""
    if not tensor.is_floating_point():
        return torch.zeros(tensor.shape, dtype=tensor.dtype)
    return 0.1 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(0))
