"""What the forward pass of a fused sum leaves to the backward pass."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from nas_lightning.networks.native_calls import Pooled, StageInput
from nas_lightning.networks.terms import Term

__all__ = ["Pass", "Plan", "Saved", "saved_parts", "save"]

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
    pools: Sequence[tuple[Tensor, Tensor | None] | None]  # images and index, of each term


def save(ctx: Any, plan: Plan, inputs: Sequence[Tensor], *parts: Any) -> None:
    """Saves every tensor where the graph frees it once its gradients were taken."""
    pools = [None if t.pool is None else (t.pool.images, t.pool.index) for t in plan.terms]
    leaves, ctx.structure = tree_flatten([*parts, pools])
    ctx.leaves = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
    ctx.places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    ctx.save_for_backward(*inputs, *(leaves[place] for place in ctx.places))
    ctx.plan = replace(plan, terms=[_bare(term) for term in plan.terms])


def saved_parts(ctx: Any) -> tuple[Saved, Sequence[Tensor]]:
    """Returns what `save` saved, and the inputs."""
    needed, leaves = ctx.needs_input_grad[1:], list(ctx.leaves)
    inputs, tensors = ctx.saved_tensors[: len(needed)], ctx.saved_tensors[len(needed) :]
    for place, tensor in zip(ctx.places, tensors, strict=True):
        leaves[place] = tensor
    return Saved(ctx.plan, needed, *tree_unflatten(leaves, ctx.structure)), inputs


def _bare(term: Term) -> Term:
    """Returns a term without the tensors that it reads."""
    none = torch.empty(0)
    pool = None if term.pool is None else Pooled(term.pool.sizes, none, None)
    return replace(term, x=none, weight=none, pool=pool)
