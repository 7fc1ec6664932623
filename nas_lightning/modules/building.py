"""What keeps the processes of a search alike, and how its supernet is built and built anew."""

from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace

__all__ = [
    "build_supernet",
    "channels_last",
    "check_parts",
    "gradient_of",
    "keep_params",
    "take_step",
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


def gradient_of(
    loss: Tensor, wrt: Sequence[Tensor], trainer: L.Trainer
) -> tuple[Tensor | None, ...]:
    """Returns the gradient of a loss, averaged over processes in one flat reduction.

    Where it is none, it is none on every process: they all mix the supernet alike. Zero operations
    may cut every path from what is moved.

    Args:
        loss: this process's.
        wrt: what it is taken by.
        trainer: the Trainer of the processes.
    """
    if not loss.requires_grad:
        return (None,) * len(wrt)
    grads = torch.autograd.grad(loss, list(wrt), allow_unused=True)
    present = [g for g in grads if g is not None]
    if trainer.world_size == 1 or not present:
        return grads
    flat = torch.cat([g.reshape(-1) for g in present])
    mean = trainer.strategy.reduce(flat, reduce_op="mean")
    parts = iter(mean.split([g.numel() for g in present]))
    return tuple(None if g is None else next(parts).view(g.shape) for g in grads)


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


def take_step(
    optimizers: Sequence[torch.optim.Optimizer],
    params: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    clipped: Sequence[Tensor],
    clip: float,
) -> None:
    """Moves params by one step of their optimisers and leaves no gradient behind.

    Args:
        optimizers: what moves them.
        params: everything that moves.
        grads: their gradients; None where there is none.
        clipped: those of them whose gradients together are clipped.
        clip: largest norm of these.
    """
    for param, grad in zip(params, grads, strict=True):
        param.grad = grad
    if clipped:
        nn.utils.clip_grad_norm_(clipped, clip, foreach=True)
    for optimizer in optimizers:
        optimizer.step()
    for param in params:
        param.grad = None
