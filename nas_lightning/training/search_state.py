"""What of a search's state is handed on: to another stage, and back to an earlier epoch."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_map

from nas_lightning.networks.draws import NormalDraws

__all__ = ["draws_again", "keep_params", "misfits", "moving", "restore", "snapshot"]

Tensors = Mapping[str, Tensor]
LIMITS = "limits "  # beginning of the names of multipliers


def moving(supernet: nn.Module, strategy: nn.Module, limits: nn.Module | None) -> dict[str, Tensor]:
    """Returns by name the tensors that steps of a search move, but for the strategy's buffers."""
    multipliers = {} if limits is None else limits.state_dict(prefix=LIMITS)
    alphas = {f"strategy {name}": alpha for name, alpha in strategy.named_parameters()}
    return {**supernet.state_dict(), **alphas, **multipliers}


def snapshot(tensors: Tensors, optimizers: Mapping[str, Optimizer]) -> dict[str, Any]:
    """Returns a copy, on the CPU, of tensors by name and of the optimisers' moments."""
    moments = {
        name: [dict(optimizer.state.get(param, {})) for param in _params(optimizer)]
        for name, optimizer in optimizers.items()
    }
    copied: dict[str, Any] = tree_map(_copied, {"tensors": dict(tensors), "moments": moments})
    return copied


@torch.no_grad()
def restore(
    tensors: Tensors, optimizers: Mapping[str, Optimizer], saved: Mapping[str, Any]
) -> None:
    """Sets tensors and moments, in their places, to those of a snapshot.

    What optimisers are set to, such as learning rates, stays, and so do multipliers of limits
    where the snapshot was taken under others.
    """
    for name, tensor in tensors.items():
        if name in saved["tensors"] or not name.startswith(LIMITS):
            tensor.copy_(saved["tensors"][name])
    for name, optimizer in optimizers.items():  # not by load_state_dict: Lightning's wrapper of
        # an optimiser would take the state for itself
        for param, state in zip(_params(optimizer), saved["moments"][name], strict=True):
            optimizer.state.pop(param, None)
            if state:
                optimizer.state[param] = {key: _placed(each, param) for key, each in state.items()}


def _params(optimizer: Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def _copied(value: Any) -> Any:
    return value.detach().cpu().clone() if isinstance(value, Tensor) else value


def _placed(value: Any, param: Tensor) -> Any:
    """Returns a copy beside a param; a count of steps () stays on the CPU, where torch has it."""
    if not isinstance(value, Tensor) or value.dim() == 0:
        return _copied(value)
    return value.to(param.device, copy=True)


def misfits(own: Mapping[str, Any], state: Mapping[str, Any]) -> list[str]:
    """Returns the names of values of a state that cannot take the place of a search's own."""
    return [key for key in [*own, *state] if not _is_alike(own.get(key), state.get(key))]


def _is_alike(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape
    return type(one) is type(other)


@contextmanager
def draws_again(supernet: nn.Module, device: torch.device) -> Iterator[None]:
    """Lets what follows the block draw the same random numbers as it: noise and dropout."""
    streams = [module for module in supernet.modules() if isinstance(module, NormalDraws)]
    positions = [stream.position.clone() for stream in streams]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
    for stream, position in zip(streams, positions, strict=True):
        stream.position.copy_(position)


@torch.no_grad()
def keep_params(new: nn.Module, old: nn.Module) -> None:
    """Copies into a rebuilt supernet the leading slices of tensors that the old one has too."""
    source = old.state_dict()
    for name, tensor in new.state_dict().items():
        if name in source and source[name].dim() == tensor.dim():
            common = tuple(map(min, tensor.shape, source[name].shape))
            corner = tuple(slice(size) for size in common)
            tensor[corner] = source[name][corner].to(tensor)
