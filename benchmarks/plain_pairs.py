"""Steps of ours beside the papers' plain arrangement of each, for benchmarks.

16 channels and 8 cells of DARTS's space, or 16 channels and 17 cells of NAS-Bench-201's; batches of
16 images 3x32x32 for params and for alphas, float32. Tests hold both to the same numbers. A small
one has 4 channels, few cells and images of 8x8. A child is the paper's darts_v2, forward and
backward: 36 channels, 20 cells, auxiliary head, 16 images of 32x32; a small one has 4 and 3.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Dirichlet

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from plain_child import DARTS_V2, PlainChild
from plain_darts import PlainSupernet, plain_step, second_order_step
from plain_nasbench201 import (
    PlainCell,
    PlainReduction,
    PlainSearchNetwork,
    straight_through,
)
from plain_pc_darts import PartialSupernet

from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import OneShotStrategy
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.darts import Darts
from nas_lightning.strategies.drnas import DrNas
from nas_lightning.strategies.gdas import Gdas
from nas_lightning.strategies.pc_darts import PcDarts
from nas_lightning.training.updates import SearchUpdates
from nas_lightning.zoo.reader import read_genotype

Step = Callable[[], object]
Batch = tuple[Tensor, Tensor]
STAGES = 3  # of NAS-Bench-201

__all__ = ["PAIRS", "SMALL", "WHOLE", "Size", "darts_step"]


@dataclass(frozen=True)
class Size:
    """The size of a step: channels, cells of DARTS's space and per stage, images and batch."""

    channels: int
    cells: int
    per_stage: int
    side: int
    batch: int = 16


WHOLE, SMALL = Size(16, 8, 5, 32), Size(4, 3, 1, 8)


def batches(size: Size) -> tuple[Batch, Batch]:
    """Returns a batch for params and one for alphas."""
    rng, side = torch.Generator().manual_seed(0), size.side
    images = torch.randn(2, size.batch, 3, side, side, generator=rng)
    labels = torch.arange(size.batch) % 10
    return (images[0], labels), (images[1], labels)


def optimizers(network: nn.Module, *alphas: Tensor) -> tuple[torch.optim.Optimizer, ...]:
    """Returns those of the papers."""
    params = torch.optim.SGD(network.parameters(), 0.025, 0.9, weight_decay=3e-4)
    return params, torch.optim.Adam(list(alphas), 3e-4, (0.5, 0.999), weight_decay=1e-3)


def ours(space: SearchSpace, strategy: OneShotStrategy, size: Size) -> Step:
    """Returns our step."""
    updates = SearchUpdates(space, strategy, (3, size.side, size.side), 10, steps=1000)
    strategy.start_epoch(strategy.epochs - 1)
    data = batches(size)
    return lambda: strategy.search_step(*data, updates)


def darts(size: Size) -> tuple[Step, Step]:
    """Returns the plain step of first order, and ours."""
    network, alpha = (
        PlainSupernet(size.channels, size.cells, 3, 10),
        torch.zeros(28, 8).requires_grad_(),
    )
    both = optimizers(network, alpha)
    return lambda: plain_step(network, alpha, both, *batches(size)), darts_step(size)


def darts_step(size: Size) -> Step:
    """Returns our step of first order."""
    space = DartsSpace(scale=Scale(size.channels, size.cells))
    return ours(space, Darts(space, 0, 50), size)


def second(size: Size) -> tuple[Step, Step]:
    """Returns the plain step of second order, and ours."""
    network, alpha = (
        PlainSupernet(size.channels, size.cells, 3, 10),
        torch.zeros(28, 8).requires_grad_(),
    )
    both, space = optimizers(network, alpha), DartsSpace(scale=Scale(size.channels, size.cells))
    mine = ours(space, Darts(space, 0, 50, order="second"), size)
    return lambda: second_order_step(network, alpha, both, *batches(size)), mine


def in_turn(
    network: nn.Module, size: Size, alphas: Sequence[Tensor], run: Callable[[Tensor], Tensor]
) -> Step:
    """Returns a plain step: the alphas on their batch, then the params on theirs."""
    both = optimizers(network, *alphas)

    def step() -> None:
        for (x, labels), optimizer in zip(reversed(batches(size)), reversed(both), strict=True):
            optimizer.zero_grad()
            F.cross_entropy(run(x), labels).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()

    return step


def drnas(size: Size) -> tuple[Step, Step]:
    """Returns the plain step of DrNAS on all channels and options, and ours."""
    network = PlainSupernet(size.channels, size.cells, 3, 10)
    alpha = torch.zeros(28, 8).requires_grad_()
    plain = in_turn(
        network, size, [alpha], lambda x: network.run(x, Dirichlet(F.elu(alpha) + 1.0).rsample())
    )
    space = DartsSpace(scale=Scale(size.channels, size.cells))
    return plain, ours(space, DrNas(space, 0, 50, partial=(1,), kept=(1.0,)), size)


def pc_darts(size: Size) -> tuple[Step, Step]:
    """Returns the plain step of PC-DARTS, and ours."""
    network = PartialSupernet(size.channels, size.cells, 3, 10)
    alpha, beta = torch.zeros(28, 8).requires_grad_(), torch.zeros(28).requires_grad_()
    plain = in_turn(network, size, [alpha, beta], lambda x: network(x, alpha, beta))
    space = DartsSpace(scale=Scale(size.channels, size.cells))
    return plain, ours(space, PcDarts(space, 0, 50), size)


def gdas(size: Size) -> tuple[Step, Step]:
    """Returns the plain step of GDAS on NAS-Bench-201's space, and ours.

    Both draw from torch's generator: of one seed they run the same operations.
    """
    network = PlainSearchNetwork(size.channels, 3, 10)
    cells: list[nn.Module] = []
    for stage in range(STAGES):
        cells += [PlainReduction(size.channels * 2 ** (stage - 1))] if stage else []
        cells += [PlainCell(size.channels * 2**stage) for _ in range(size.per_stage)]
    network.cells = nn.ModuleList(cells)
    alpha = torch.zeros(6, 5).requires_grad_()

    def run(x: Tensor) -> Tensor:
        noise = -(-torch.rand(6, 5).log()).log()
        out: Tensor = network(x, *straight_through(alpha, noise, 0.1))
        return out

    space = NasBench201Space(scale=Scale(size.channels, STAGES * size.per_stage + STAGES - 1))
    strategy = Gdas(space, 0, 50)
    strategy.rng = torch.default_generator
    return in_turn(network, size, [alpha], run), ours(space, strategy, size)


def child(size: Size) -> tuple[Step, Step]:
    """Returns the plain forward and backward pass of darts_v2, and ours."""
    channels, cells = (36, 20) if size == WHOLE else (4, 3)
    shape = {"input_shape": (3, 32, 32), "num_outputs": 10}
    scale = Scale(channels, cells, flavour="child", auxiliary=True, **shape)
    space = DartsSpace()
    mine = space.child(read_genotype("darts_v2", space), scale)
    mine = mine.to(memory_format=torch.channels_last)
    plain = PlainChild(DARTS_V2, channels, cells, 3, 10)
    (x, labels), _ = batches(replace(size, side=32))

    def step(network: nn.Module, run: Callable[[Tensor], tuple[Tensor, Tensor]]) -> None:
        network.zero_grad()
        losses = [F.cross_entropy(out, labels) for out in run(x)]
        (losses[0] + 0.4 * losses[1]).backward()

    return lambda: step(plain, plain), lambda: step(mine, mine.forward_auxiliary)


PAIRS: dict[str, Callable[[Size], tuple[Step, Step]]] = {
    "darts_first": darts,
    "darts_second": second,
    "drnas": drnas,
    "pc_darts_first": pc_darts,
    "gdas": gdas,
    "child_darts_v2": child,
}
