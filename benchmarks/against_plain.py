"""Search steps against the papers' plain arrangements, in CPU seconds of interleaved rounds.

    python benchmarks/against_plain.py [darts second pc_darts gdas] [--rounds 9] [--threads 1]

16 channels and 8 cells of DARTS's space, or 16 channels and 17 cells of NAS-Bench-201's; batches of
16 images 3x32x32 for params and for alphas, float32. A row says how many times as fast our step is
(median of the rounds' ratios), and how many operators it launches (views and `empty` left out).
"""

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from operators import launched
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
from nas_lightning.strategies.gdas import Gdas
from nas_lightning.strategies.pc_darts import PcDarts
from nas_lightning.training.updates import SearchUpdates

Step = Callable[[], object]
Batch = tuple[Tensor, Tensor]
STAGES, PER_STAGE = 3, 5  # of NAS-Bench-201


def batches() -> tuple[Batch, Batch]:
    """Returns a batch for params and one for alphas."""
    rng = torch.Generator().manual_seed(0)
    images, labels = torch.randn(2, 16, 3, 32, 32, generator=rng), torch.arange(16) % 10
    return (images[0], labels), (images[1], labels)


def optimizers(network: nn.Module, *alphas: Tensor) -> tuple[torch.optim.Optimizer, ...]:
    """Returns those of the papers."""
    params = torch.optim.SGD(network.parameters(), 0.025, 0.9, weight_decay=3e-4)
    return params, torch.optim.Adam(list(alphas), 3e-4, (0.5, 0.999), weight_decay=1e-3)


def ours(space: SearchSpace, strategy: OneShotStrategy) -> Step:
    """Returns our step."""
    updates = SearchUpdates(space, strategy, (3, 32, 32), 10, steps=1000)
    strategy.start_epoch(strategy.epochs - 1)
    return lambda: strategy.search_step(*batches(), updates)


def darts() -> tuple[Step, Step]:
    """Returns the plain step of first order, and ours."""
    network, alpha = PlainSupernet(16, 8, 3, 10), torch.zeros(28, 8).requires_grad_()
    both = optimizers(network, alpha)
    space = DartsSpace(scale=Scale(16, 8))
    return lambda: plain_step(network, alpha, both, *batches()), ours(space, Darts(space, 0, 50))


def second() -> tuple[Step, Step]:
    """Returns the plain step of second order, and ours."""
    network, alpha = PlainSupernet(16, 8, 3, 10), torch.zeros(28, 8).requires_grad_()
    both, space = optimizers(network, alpha), DartsSpace(scale=Scale(16, 8))
    mine = ours(space, Darts(space, 0, 50, order="second"))
    return lambda: second_order_step(network, alpha, both, *batches()), mine


def pc_darts() -> tuple[Step, Step]:
    """Returns the plain step of PC-DARTS, and ours."""
    network = PartialSupernet(16, 8, 3, 10)
    alpha, beta = torch.zeros(28, 8).requires_grad_(), torch.zeros(28).requires_grad_()
    both = optimizers(network, alpha, beta)

    def step() -> None:
        for (x, labels), optimizer in zip(reversed(batches()), reversed(both), strict=True):
            optimizer.zero_grad()
            F.cross_entropy(network(x, alpha, beta), labels).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()

    space = DartsSpace(scale=Scale(16, 8))
    return step, ours(space, PcDarts(space, 0, 50))


def gdas() -> tuple[Step, Step]:
    """Returns the plain step of GDAS on NAS-Bench-201's space, and ours."""
    network = PlainSearchNetwork(16, 3, 10)
    cells: list[nn.Module] = []
    for stage in range(STAGES):
        cells += [PlainReduction(16 * 2 ** (stage - 1))] if stage else []
        cells += [PlainCell(16 * 2**stage) for _ in range(PER_STAGE)]
    network.cells = nn.ModuleList(cells)
    alpha = torch.zeros(6, 5).requires_grad_()
    both = optimizers(network, alpha)

    def step() -> None:
        for (x, labels), optimizer in zip(reversed(batches()), reversed(both), strict=True):
            optimizer.zero_grad()
            noise = -(-torch.rand(6, 5).log()).log()
            F.cross_entropy(network(x, *straight_through(alpha, noise, 0.1)), labels).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()

    space = NasBench201Space(scale=Scale(16, 17))
    return step, ours(space, Gdas(space, 0, 50))


CONTENDERS = {"darts": darts, "second": second, "pc_darts": pc_darts, "gdas": gdas}


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--operators", action="store_true", help="list the most frequent ones")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print("| step | plain, s | ours, s | times as fast | operators of ours |")
    print("| --- | --- | --- | --- | --- |")
    for name in given.names:
        torch.manual_seed(0)
        pair = CONTENDERS[name]()
        seconds: list[list[float]] = []
        for number in range(given.rounds + 1):
            ends = [time.process_time()]
            for step in pair:
                step()
                ends.append(time.process_time())
            if number:  # the first round warms up
                seconds.append([end - start for start, end in pairwise(ends)])
        plain, mine = (statistics.median(column) for column in zip(*seconds, strict=True))
        ratio = statistics.median(a / b for a, b in seconds)
        counts = launched(pair[1])
        row = f"{name} | {plain:.2f} | {mine:.2f} | {ratio:.2f} | {sum(counts.values())}"
        print(f"| {row} |", flush=True)
        if given.operators:
            print(Counter(counts).most_common(40))


if __name__ == "__main__":
    main()
