"""One gradient and one optimiser step of a search, in plain torch."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

__all__ = ["gradient_of", "take_step"]


def gradient_of(
    loss: Tensor, wrt: Sequence[Tensor], mean: Callable[[Tensor], Tensor] | None = None
) -> tuple[Tensor | None, ...]:
    """Returns the gradient of a loss, averaged over processes in one flat reduction.

    Where it is none, it is none on every process: they all mix the supernet alike. Zero operations
    may cut every path from what is moved.

    Args:
        loss: this process's.
        wrt: what it is taken by.
        mean: gives a tensor's mean over processes; None where there is one process.
    """
    if not loss.requires_grad:
        return (None,) * len(wrt)
    grads = torch.autograd.grad(loss, list(wrt), allow_unused=True)
    present = [g for g in grads if g is not None]
    if mean is None or not present:
        return grads
    flat = torch.cat([g.reshape(-1) for g in present])
    parts = iter(mean(flat).split([g.numel() for g in present]))
    return tuple(None if g is None else next(parts).view(g.shape) for g in grads)


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
