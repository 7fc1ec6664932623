"""Speed of the DARTS search step on a GPU, in float32 and bf16, with CUDA graphs; prints a table.

python benchmarks/gpu_step.py [--batch 64] [--rounds 20] [--device cuda]
"""

import argparse
import statistics
from collections.abc import Callable
from functools import partial

import torch
from bench import interleaved
from plain_darts import PlainSupernet, copy_params, plain_step

from nas_lightning.core.optimizers import Adam
from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import SETTLED
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.darts import Darts
from nas_lightning.training.graphed_updates import SIGHTS, GraphedUpdates
from nas_lightning.training.updates import SearchUpdates


def batch(
    size: int, generator: torch.Generator, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn(size, 3, 32, 32, generator=generator)
    return images.to(device), torch.randint(10, (size,), generator=generator).to(device)


def fast_step(
    order: str,
    batch_size: int,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    kind: type[SearchUpdates] = SearchUpdates,
) -> tuple[Callable[[], object], SearchUpdates]:
    """Returns our search step at 16 channels, 8 cells, and its updates.

    Where a type is given, losses are taken in it, as bf16-mixed does. BatchNorm's momentum has
    settled, and what is captured was captured.
    """
    space = DartsSpace(scale=Scale(channels=16, cells=8))
    strategy = Darts(space, 0, epochs=50, order=order, alpha_optimizer=Adam()).to(device)
    updates = kind(space, strategy, (3, 32, 32), 10)
    updates.supernet.to(device)
    if dtype is not None:
        updates.forward_context = partial(torch.autocast, torch.device(device).type, dtype)
    updates.stage_steps = SETTLED + 1
    generator = torch.Generator().manual_seed(0)
    train, val = batch(batch_size, generator, device), batch(batch_size, generator, device)

    def step() -> object:
        return strategy.search_step(train, val, updates)

    if kind is GraphedUpdates:
        for _ in range(SIGHTS + 1):
            step()
    return step, updates


def slow_step(updates: SearchUpdates, batch_size: int, device: str = "cpu") -> Callable[[], object]:
    """Returns the same first-order step in the papers' plain arrangement."""
    network = PlainSupernet(16, 8, 3, 10).to(device)
    copy_params(network, updates.supernet)
    alpha = updates.strategy.alpha.detach().clone().requires_grad_()
    optimizers = (
        torch.optim.SGD(network.parameters(), 0.025, 0.9, weight_decay=3e-4),
        torch.optim.Adam([alpha], 3e-4, (0.5, 0.999), weight_decay=1e-3),
    )
    generator = torch.Generator().manual_seed(0)
    train, val = batch(batch_size, generator, device), batch(batch_size, generator, device)
    return lambda: plain_step(network, alpha, optimizers, train, val)


def in_type(step: Callable[[], object], device: str, dtype: torch.dtype | None) -> None:
    """Takes a step in a type, as bf16-mixed does."""
    with torch.autocast(torch.device(device).type, dtype, enabled=dtype is not None):
        step()


def timed(step: Callable[[], object], device: str) -> None:
    """Takes a step to its end on the device."""
    step()
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--device", default="cuda")
    given = parser.parse_args()
    device, steps = given.device, dict[str, Callable[[], object]]()
    for kind, dtype in (("float32", None), ("bf16", torch.bfloat16)):
        first, updates = fast_step("first", given.batch, device, dtype)
        plain = slow_step(updates, given.batch, device)
        steps[f"plain arrangement, first order, {kind}"] = partial(in_type, plain, device, dtype)
        steps[f"nas_lightning, first order, {kind}"] = first
        if torch.device(device).type == "cuda":
            graphed = fast_step("first", given.batch, device, dtype, GraphedUpdates)[0]
            steps[f"the same as CUDA graphs, {kind}"] = graphed
        steps[f"nas_lightning, second order, {kind}"] = fast_step(
            "second", given.batch, device, dtype
        )[0]
    contenders = {name: partial(timed, step, device) for name, step in steps.items()}
    is_cuda = torch.device(given.device).type == "cuda"
    name = torch.cuda.get_device_name() if is_cuda else given.device
    print(f"\n{name}, torch {torch.__version__}; 16 channels, 8 cells, 3x32x32,")
    print(f"batch {given.batch} + {given.batch}, {given.rounds} interleaved rounds\n")
    print("| arrangement | median ms | images/s |\n| --- | --- | --- |")
    for name, seconds in interleaved(contenders, given.rounds).items():
        middle = statistics.median(seconds)
        print(f"| {name} | {1000 * middle:.1f} | {2 * given.batch / middle:.0f} |")


if __name__ == "__main__":
    main()
