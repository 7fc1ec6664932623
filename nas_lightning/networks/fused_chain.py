"""Stages of a child's operation in one autograd function, with the kernels in C++.

A stage is ReLU, a depthwise convolution, a 1x1 convolution and a BatchNorm with scale and shift.
As in a search network (see `fused_node`) it is one pass that also takes the statistics of its
BatchNorm, and the next stage normalises as it reads: only what 1x1 convolutions give is kept.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_lightning.networks import native, native_calls
from nas_lightning.networks.batch_norm import BatchNorm
from nas_lightning.networks.kernels import depthwise_conv
from nas_lightning.networks.native_calls import StageGradient, StageInput, channels_last
from nas_lightning.networks.terms import EPS, Chain, Stage

__all__ = ["fused_chain", "takes_chain"]

PARAMS = 4  # of a stage: depthwise and 1x1 kernels, scale and shift


def takes_chain(x: Tensor, chain: Chain) -> bool:
    """Returns whether the kernels in C++ run such stages now, by statistics of the batch."""
    return bool(chain) and native.takes(x) and all(_is_taken(stage.norm) for stage in chain)


def fused_chain(x: Tensor, chain: Chain) -> Tensor:
    """Returns what stages make of images (N, C, H, W), differentiable to any order.

    Running statistics move as in a pass through each BatchNorm.

    Raises: ValueError: images do not fit the kernels, or a BatchNorm has one value per channel.
    """
    params = []
    for stage in chain:
        params += [stage.wide.weight, stage.point.weight, stage.norm.weight, stage.norm.bias]
    out: Tensor = _FusedChain.apply(chain, x, *params)  # type: ignore[no-untyped-call]
    return out


def _is_taken(norm: BatchNorm) -> bool:
    by_batch = norm.training and not norm.fixed and not norm.synchronised
    return by_batch and norm.affine and norm.eps == EPS


class _FusedChain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, chain: Chain, x: Tensor, *params: Tensor) -> Tensor:
        given: list[Tensor] = []  # what each stage gives, and its BatchNorm's numbers (5, C)
        image, numbers = channels_last(x), None
        for place, stage in enumerate(chain):
            wide, point, scale, shift = params[PARAMS * place : PARAMS * (place + 1)]
            read = _read(stage, image, numbers, wide, point)
            ((image, numbers),) = native_calls.stages([read], EPS)
            _check(image)
            _move_statistics(stage.norm, numbers)
            numbers[2] *= scale
            numbers[3].mul_(scale).add_(shift)
            given += [image, numbers]
        assert numbers is not None
        ctx.chain = chain
        ctx.save_for_backward(x, *params, *given)
        return native_calls.weighted_terms([image], numbers[2:3], numbers[3])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        chain, num = ctx.chain, 1 + PARAMS * len(ctx.chain)
        inputs, given = ctx.saved_tensors[:num], ctx.saved_tensors[num:]
        if torch.is_grad_enabled():  # the gradient will be differentiated: in torch's operators
            return None, *_differentiable(chain, inputs, ctx.needs_input_grad[1:], grad)
        grad, to = channels_last(grad), list[Tensor | None]()
        line, of_scale, of_shift = _last_line(grad, given[-2], given[-1], inputs[-2])
        for place in reversed(range(len(chain))):
            image, before = given[2 * place - 2 : 2 * place] if place else (inputs[0], None)
            wide, point = inputs[1 + PARAMS * place : 3 + PARAMS * place]
            read = _read(chain[place], channels_last(image), before, wide, point)
            y = given[2 * place]
            grad, found, sets = _stage_gradient(read, y, grad, line)
            to = [*sets, of_scale, of_shift, *to]
            if before is not None:
                scale = inputs[PARAMS * place - 1]
                line, of_scale, of_shift = _line_before(found, image, before, scale)
        return None, grad, *to


def _read(
    stage: Stage, x: Tensor, before: Tensor | None, wide: Tensor, point: Tensor
) -> StageInput:
    wide, point, steps = wide.contiguous(), point.contiguous(), stage.wide
    shape = native_calls.shape_of(x, wide, len(point), steps.stride[0], steps.dilation[0])
    return StageInput(shape, x, before, wide, point)


def _check(y: Tensor) -> None:
    if y.numel() == y.shape[1]:
        raise ValueError(
            "BatchNorm in training must have more than one value per channel, got images "
            f"{tuple(y.shape)}; use larger images or batches"
        )


@torch.no_grad()
def _move_statistics(norm: BatchNorm, numbers: Tensor) -> None:
    if norm.track_running_stats:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.lerp_(numbers[0], norm.momentum or 0.0)
        norm.running_var.lerp_(numbers[4], norm.momentum or 0.0)


def _last_line(
    grad: Tensor, y: Tensor, numbers: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the line of y (see `native_calls.StageGradient`), and BatchNorm's own gradients."""
    total, along = native_calls.term_sums(grad, [y], numbers[:1])
    mean, inverse = numbers[:2].double()
    a, count = scale * inverse, grad.numel() // grad.shape[1]
    b = -a * inverse**2 * along / count
    line = torch.stack((a, b, -a * total / count - b * mean)).to(grad.dtype)
    return line, (along * inverse).to(grad.dtype), total.to(grad.dtype)


def _line_before(
    line: Tensor, y: Tensor, numbers: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns what `_last_line` does, given the line of a BatchNorm without scale."""
    mean, inverse = numbers[:2].double()
    _, b, c = line.double()
    count = y.numel() // y.shape[1]
    of_scale, of_shift = -b / inverse**2 * count, -(c + b * mean) / inverse * count
    return line * scale, of_scale.to(line.dtype), of_shift.to(line.dtype)


def _stage_gradient(
    read: StageInput, y: Tensor, grad: Tensor, line: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Returns the gradient of what a stage reads, its line, and those of both kernels."""
    to_x, sets = (
        torch.empty_like(read.x),
        (torch.empty_like(read.wide), torch.empty_like(read.point)),
    )
    found = grad.new_empty((3, read.x.shape[1]))
    line_of_x = None if read.before is None else found
    call = StageGradient(read, y, grad, line, to_x, False, *sets, line_of_x)
    native_calls.gradients([call], [])
    return to_x, found, sets


def _differentiable(
    chain: Chain, inputs: Sequence[Tensor], needed: Sequence[bool], grad: Tensor
) -> list[Tensor | None]:
    """Returns the gradients of inputs by torch's operators, from the inputs anew."""
    inputs = [x.view_as(x) for x in inputs]
    x = inputs[0]
    for place, stage in enumerate(chain):
        wide, point, scale, shift = inputs[1 + PARAMS * place : 1 + PARAMS * (place + 1)]
        x = depthwise_conv(F.relu(x), wide, stage.wide.stride[0], stage.wide.dilation[0])
        x = F.batch_norm(F.conv2d(x, point), None, None, scale, shift, training=True, eps=EPS)
    wrt = [x for x, is_needed in zip(inputs, needed, strict=True) if is_needed]
    found = iter(torch.autograd.grad(x, wrt, grad, create_graph=True))
    return [next(found) if is_needed else None for is_needed in needed]
