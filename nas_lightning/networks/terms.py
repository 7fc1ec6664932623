"""The branches of a weighted sum as what fused kernels know: stages, pools and BatchNorms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from torch import Tensor, nn

from nas_lightning.networks.batch_norm import BatchNorm
from nas_lightning.networks.kernels import DepthwiseConv
from nas_lightning.networks.native_calls import Pooled

__all__ = ["EPS", "Chain", "Stage", "Term", "chain_of", "is_fusible"]

EPS = 1e-5  # of every BatchNorm that is fused


@dataclass(frozen=True)
class Stage:
    """ReLU, a depthwise convolution, a 1x1 convolution and a BatchNorm."""

    wide: DepthwiseConv
    point: nn.Conv2d
    norm: BatchNorm


Chain = tuple[Stage, ...]


@dataclass(frozen=True)
class Term:
    """A branch: images, then stages, or a BatchNorm alone, or nothing, and its weight ()."""

    x: Tensor
    weight: Tensor
    chain: Chain = ()
    norm: BatchNorm | None = None  # of a term without stages
    pool: Pooled | None = None  # of the images, before the BatchNorm


def chain_of(layers: Sequence[nn.Module]) -> Chain:
    """Returns layers, without the first ReLU, as stages; () where they are other layers."""
    stages = []
    for first in range(0, len(layers), 4):  # a ReLU stands between two stages
        stage = _stage_of(layers[first : first + 3])
        if stage is None or not isinstance([*layers, nn.ReLU()][first + 3], nn.ReLU):
            return ()
        stages.append(stage)
    return tuple(stages)


def _stage_of(layers: Sequence[nn.Module]) -> Stage | None:
    if len(layers) < 3:
        return None
    wide, point, norm = layers
    if not (isinstance(wide, DepthwiseConv) and isinstance(norm, BatchNorm)):
        return None
    if type(point) is not nn.Conv2d or point.bias is not None or point.groups != 1:
        return None
    if (point.kernel_size, point.stride, point.padding) != ((1, 1), (1, 1), (0, 0)):
        return None
    return Stage(wide, point, norm)


def is_fusible(norm: nn.Module) -> TypeGuard[BatchNorm]:
    """Returns whether a BatchNorm now normalises by this process's batch, and does no more."""
    if not isinstance(norm, BatchNorm) or norm.fixed or norm.synchronised or norm.affine:
        return False
    return norm.training and norm.eps == EPS
