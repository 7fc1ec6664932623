"""The weighted sum of a state's branches in one autograd function, with the kernels in C++.

Forward, a stage (ReLU, depthwise and 1x1 convolution) is one pass that also takes the statistics of
its BatchNorm; the next stage normalises as it reads; and the sum over branches takes the last
BatchNorm of each with its weight as one scale and shift. Only what convolutions give is kept.
Backward, the gradient of a BatchNorm is a line in what it gave and the gradient, three numbers per
channel, which the stage before applies as it reads.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_lightning.networks import native_calls
from nas_lightning.networks.batch_norm import BatchNorm
from nas_lightning.networks.kernels import depthwise_conv, weighted_sum
from nas_lightning.networks.native_calls import (
    PoolGradient,
    StageGradient,
    StageInput,
    channels_last,
)
from nas_lightning.networks.sum_saving import Pass, Plan, Saved, save, saved_parts
from nas_lightning.networks.terms import EPS, Term

__all__ = ["fused_sum"]


def fused_sum(terms: Sequence[Term]) -> Tensor:
    """Returns the sum of weight * branch over terms (N, C, H', W'), differentiable to any order.

    Running statistics move as in a pass through each BatchNorm.

    Raises: ValueError: branches differ in size or type, or a BatchNorm has one value per channel.
    """
    images = list({id(term.x): term.x for term in terms}.values())
    places = {id(x): place for place, x in enumerate(images)}
    plan, kernels = Plan(terms, len(images)), list[Tensor]()
    for term in terms:
        plan.images.append(places[id(term.x)])
        first = len(images) + len(terms) + len(kernels)
        plan.kernels.append([first + 2 * place for place in range(len(term.chain))])
        for stage in term.chain:
            kernels += [stage.wide.weight, stage.point.weight]
    inputs = *images, *(term.weight for term in terms), *kernels
    out: Tensor = _FusedSum.apply(plan, *inputs)  # type: ignore[no-untyped-call]
    return out


class _FusedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: Plan, *inputs: Tensor) -> Tensor:
        images = [channels_last(x) for x in inputs[: plan.num_images]]
        passes = _forward(plan, images, inputs)
        _check(plan, [each[-1][1] for each in passes])
        numbers = torch.stack([each[-1][2] for each in passes])  # (K, 5, C)
        _move_statistics(plan, passes)
        weights = torch.stack([*plan.weights(inputs)]).to(numbers)
        scale, shift = (numbers[:, row] * weights[:, None] for row in (2, 3))
        save(ctx, plan, inputs, images, passes, numbers, weights)
        return native_calls.weighted_terms([each[-1][1] for each in passes], scale, shift.sum(0))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        saved, inputs = saved_parts(ctx)
        plan, needed = saved.plan, saved.needed
        if torch.is_grad_enabled():  # the gradient will be differentiated: in torch's operators
            return None, *_differentiable(plan, inputs, needed, grad)
        grad = channels_last(grad)
        mean = saved.numbers[:, 0].contiguous()
        sums = native_calls.term_sums(grad, [each[-1][1] for each in saved.passes], mean)
        to: list[Tensor | None] = [None] * len(inputs)
        first, num = plan.num_images, len(plan.terms)
        inverse = saved.numbers[:, 1].double()
        to[first : first + num] = (sums[1:] * inverse).sum(1).to(grad.dtype).unbind()
        lines = _lines(plan, sums, saved.numbers.double(), saved.weights.double(), grad)
        _backward(saved, grad, lines, to)
        return None, *(g if n else None for g, n in zip(to, needed, strict=True))


def _forward(plan: Plan, images: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[Pass]:
    """Runs the stages of all terms, and takes the statistics of BatchNorms without stages."""
    passes = [Pass() for _ in plan.terms]
    for depth in range(max(len(term.chain) for term in plan.terms)):
        terms = [k for k, term in enumerate(plan.terms) if len(term.chain) > depth]
        reads = [_read(plan, k, depth, passes[k], images, inputs) for k in terms]
        for k, read, found in zip(terms, reads, native_calls.stages(reads, EPS), strict=True):
            passes[k].append((read, *found))
    for k, term in enumerate(plan.terms):
        x = images[plan.images[k]] if term.pool is None else term.pool.images
        if not term.chain:
            passes[k].append((None, x, _numbers(term, x)))
    return passes


def _check(plan: Plan, outs: Sequence[Tensor]) -> None:
    """Refuses what torch's operators refuse, and kernels of pointers would not notice."""
    first = outs[0]
    for out in outs[1:]:
        if (out.shape, out.dtype) != (first.shape, first.dtype):
            raise ValueError(
                "the operations that enter one state must return images of one size and type, got "
                f"{tuple(first.shape)}, {first.dtype} and {tuple(out.shape)}, {out.dtype}"
            )
    is_normed = any(term.chain or term.norm is not None for term in plan.terms)
    if is_normed and first.numel() == first.shape[1]:
        raise ValueError(
            "BatchNorm in training must have more than one value per channel, got images "
            f"{tuple(first.shape)}; use larger images or batches"
        )


def _read(
    plan: Plan,
    k: int,
    depth: int,
    run: Pass,
    images: Sequence[Tensor],
    inputs: Sequence[Tensor],
) -> StageInput:
    """Returns what a stage of a term reads."""
    x, before = run[depth - 1][1:] if depth else (images[plan.images[k]], None)
    first, wide = plan.kernels[k][depth], plan.terms[k].chain[depth].wide
    kernels = [kernel.contiguous() for kernel in inputs[first : first + 2]]
    steps = wide.stride[0], wide.dilation[0]
    shape = native_calls.shape_of(x, kernels[0], kernels[1].shape[0], *steps)
    return StageInput(shape, x, before, kernels[0], kernels[1])


def _backward(saved: Saved, grad: Tensor, lines: Sequence[Tensor], to: list[Tensor | None]) -> None:
    """Sets the gradients of images and kernels among those of all inputs."""
    plan = saved.plan
    chains = [k for k, term in enumerate(plan.terms) if term.chain]
    after: dict[int, tuple[Tensor, Tensor | None]] = {k: (grad, lines[k]) for k in chains}
    depths = {k: len(plan.terms[k].chain) - 1 for k in after}  # of the stages that are next
    taken = {k: _gradient(saved, k, depth, *after[k], to) for k, depth in depths.items()}
    pools = _pool_gradients(saved, grad, lines, to)
    while taken or pools:
        native_calls.gradients([*taken.values()], pools)
        after = {k: (found.to_x, found.line_of_x) for k, found in taken.items()}
        depths = {k: depth - 1 for k, depth in depths.items() if depth}
        taken = {k: _gradient(saved, k, depth, *after[k], to) for k, depth in depths.items()}
        pools = []


def _pool_gradients(
    saved: Saved, grad: Tensor, lines: Sequence[Tensor], to: list[Tensor | None]
) -> list[PoolGradient]:
    """Returns the gradients of terms without stages that are to be taken."""
    gradients, plan = list[PoolGradient](), saved.plan
    for k, (term, place, pool) in enumerate(zip(plan.terms, plan.images, saved.pools, strict=True)):
        if term.chain or not saved.needed[place]:
            continue
        images = saved.images[place]
        shared = to[place]
        to[place] = to_x = torch.zeros_like(images) if shared is None else shared
        part = pool or native_calls.unpooled(images)
        gradients.append(PoolGradient(part, grad, lines[k], to_x))
    return gradients


def _gradient(
    saved: Saved, k: int, depth: int, grad: Tensor, line: Tensor | None, to: list[Tensor | None]
) -> StageGradient:
    """Returns the gradients of a stage of a term that are to be taken, and where they go."""
    plan, needed, place = saved.plan, saved.needed, saved.plan.images[k]
    read, y, _ = saved.passes[k][depth]
    assert line is not None
    assert read is not None
    first = plan.kernels[k][depth]
    for at, kernel in enumerate((read.wide, read.point), first):
        to[at] = torch.empty_like(kernel) if needed[at] else None
    shared = to[place] if depth == 0 else None
    to_x = torch.empty_like(read.x) if shared is None else shared
    if depth == 0:
        to[place] = to_x
    line_of_x = torch.empty((3, read.shape.c), dtype=grad.dtype) if depth else None
    sets = to_x, shared is not None, to[first], to[first + 1], line_of_x
    return StageGradient(read, y, grad, line, *sets)


def _lines(
    plan: Plan, sums: Tensor, numbers: Tensor, weights: Tensor, grad: Tensor
) -> Sequence[Tensor]:
    """Returns for each term a, b, c (3, C): its gradient before BatchNorm is a * grad + b * y + c.

    With statistics of the batch, y - m the distance from the mean, s the deviation and w the
    weight, it is w / s * (grad - mean(grad) - (y - m) / s^2 * mean(grad * (y - m))).
    """
    count = grad.numel() // grad.shape[1]
    mean, inverse = numbers[:, 0], numbers[:, 1]
    a = weights[:, None] * inverse
    is_normed = [term.norm is not None or bool(term.chain) for term in plan.terms]
    of_batch = a / count * torch.tensor(is_normed).to(a)[:, None]
    b = -of_batch * inverse**2 * sums[1:]
    c = -of_batch * sums[0] - b * mean
    return torch.stack((a, b, c), 1).to(grad.dtype).unbind()


def _numbers(term: Term, x: Tensor) -> Tensor:
    """Returns the numbers of the BatchNorm of a term without stages; a pool keeps them."""
    if term.norm is None:
        return _unchanged(x)
    if term.pool is None:
        return native_calls.moments(x, EPS)
    if term.pool.numbers is None:
        term.pool.numbers = native_calls.moments(x, EPS)
    return term.pool.numbers


def _unchanged(x: Tensor) -> Tensor:
    numbers = x.new_zeros((5, x.shape[1]))
    numbers[1:3] = 1.0
    return numbers


@torch.no_grad()
def _move_statistics(plan: Plan, passes: Sequence[Pass]) -> None:
    for term, run in zip(plan.terms, passes, strict=True):
        norms: list[BatchNorm | None] = [stage.norm for stage in term.chain] or [term.norm]
        for norm, (_, _, numbers) in zip(norms, run, strict=True):
            if norm is None or not norm.track_running_stats:
                continue
            assert norm.running_mean is not None
            assert norm.running_var is not None
            momentum = norm.momentum or 0.0
            norm.running_mean.lerp_(numbers[0], momentum)
            norm.running_var.lerp_(numbers[4], momentum)


def _differentiable(
    plan: Plan, inputs: Sequence[Tensor], needed: Sequence[bool], grad: Tensor
) -> list[Tensor | None]:
    """Returns the gradients of inputs by torch's operators, from the inputs anew.

    Inputs may depend on each other, as pooled images on images: gradients are taken in views.
    """
    inputs = [x.view_as(x) for x in inputs]
    terms = []
    for k, term in enumerate(plan.terms):
        x = inputs[plan.images[k]]
        for stage, place in zip(term.chain, plan.kernels[k], strict=True):
            wide, point = inputs[place : place + 2]
            x = depthwise_conv(F.relu(x), wide, stage.wide.stride[0], stage.wide.dilation[0])
            x = F.batch_norm(F.conv2d(x, point), None, None, training=True, eps=EPS)
        if term.pool is not None:
            side, stride = term.pool.sizes.kernel, term.pool.sizes.stride
            x = (
                F.max_pool2d(x, side, stride, side // 2)
                if term.pool.sizes.is_max
                else F.avg_pool2d(x, side, stride, side // 2, count_include_pad=False)
            )
        if term.norm is not None:
            x = F.batch_norm(x, None, None, training=True, eps=EPS)
        terms.append(x)
    out = weighted_sum(plan.weights(inputs), terms)
    wrt = [x for x, is_needed in zip(inputs, needed, strict=True) if is_needed]
    found = iter(torch.autograd.grad(out, wrt, grad, create_graph=True, allow_unused=True))
    return [next(found) if is_needed else None for is_needed in needed]
