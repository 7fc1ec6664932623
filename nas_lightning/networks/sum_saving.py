"""What the forward pass of a fused sum leaves to the backward pass."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from nas_lightning.networks.native_calls import Pooled, StageInput
from nas_lightning.networks.terms import Term

__all__ = ["Pass", "Plan", "Saved", "save", "saved_parts"]

NOTHING = torch.empty(0)
# What each stage of a term reads, what it gives, and the numbers (5, C) of its BatchNorm.
Pass = list[tuple[StageInput | None, Tensor, Tensor]]


@dataclass
class Plan:
    """The terms of a sum, whose tensors are places in a list: images, weights, kernels."""

    terms: Sequence[Term]
    num_images: int
    images: list[int] = field(default_factory=list)  # of each term
    kernels: list[list[int]] = field(default_factory=list)  # the first of the two of each stage

    def weights(self, tensors: Sequence[Any]) -> Sequence[Any]:
        """Returns the weights of the terms among all tensors."""
        return tensors[self.num_images : self.num_images + len(self.images)]


@dataclass
class Saved:
    """What was saved, as the backward pass reads it."""

    plan: Plan
    needed: Sequence[bool]  # by input
    images: Sequence[Tensor]
    passes: Sequence[Pass]
    numbers: Tensor  # (K, 5, C)
    weights: Tensor
    pools: Sequence[Pooled | None]  # of each term


def save(
    ctx: Any,
    plan: Plan,
    inputs: Sequence[Tensor],
    images: Sequence[Tensor],
    passes: Sequence[Pass],
    numbers: Tensor,
    weights: Tensor,
) -> None:
    """Saves every tensor where the graph frees it once its gradients were taken."""
    ctx.shapes = [[read and read.shape for read, _, _ in run] for run in passes]
    stages = [tensor for run in passes for _, *pair in run for tensor in pair]
    ctx.maxima = [k for k, t in enumerate(plan.terms) if t.pool and t.pool.index is not None]
    index = [term.pool.index for term in plan.terms if term.pool and term.pool.index is not None]
    ctx.save_for_backward(*inputs, *images, *stages, *index, numbers, weights)
    ctx.plan = replace(plan, terms=[_bare(term) for term in plan.terms])


def saved_parts(ctx: Any) -> tuple[Saved, Sequence[Tensor]]:
    """Returns what `save` saved, and the inputs."""
    needed, plan, saved = ctx.needs_input_grad[1:], ctx.plan, ctx.saved_tensors
    inputs, tensors = saved[: len(needed)], iter(saved[len(needed) :])
    images = [next(tensors) for _ in range(plan.num_images)]
    passes = []
    for k, shapes in enumerate(ctx.shapes):
        run, x, before = Pass(), images[plan.images[k]], None
        for place, shape in zip(plan.kernels[k] or (None,), shapes, strict=True):
            read = None
            if place is not None and shape is not None:
                wide, point = (kernel.contiguous() for kernel in inputs[place : place + 2])
                read = StageInput(shape, x, before, wide, point)
            x, before = next(tensors), next(tensors)
            run.append((read, x, before))
        passes.append(run)
    index = {k: next(tensors) for k in ctx.maxima}
    pools = [
        term.pool and Pooled(term.pool.sizes, run[0][1], index.get(k))
        for k, (term, run) in enumerate(zip(plan.terms, passes, strict=True))
    ]
    numbers, weights = tensors
    return Saved(plan, needed, images, passes, numbers, weights, pools), inputs


def _bare(term: Term) -> Term:
    """Returns a term without the tensors that it reads."""
    pool = term.pool and Pooled(term.pool.sizes, NOTHING, None)
    return replace(term, x=NOTHING, weight=NOTHING, pool=pool)
