"""What `make bench` runs: speed, measured interleaved, medians and ratios, into docs/.

    python benchmarks/bench.py [--rounds 5] [--output docs/benchmarks.md]

Only the part of the file between the two marks is replaced.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from plain_darts import PlainSupernet, copy_params, plain_step  # noqa: E402

from nas_lightning.core.optimizers import Adam  # noqa: E402
from nas_lightning.core.scale import Scale  # noqa: E402
from nas_lightning.data.augmentation import Augmentation  # noqa: E402
from nas_lightning.data.batches import Place  # noqa: E402
from nas_lightning.data.images import MemoryImages  # noqa: E402
from nas_lightning.data.module import ImageDataModule  # noqa: E402
from nas_lightning.search_spaces.darts import DartsSpace  # noqa: E402
from nas_lightning.strategies.darts import Darts  # noqa: E402
from nas_lightning.training.updates import SearchUpdates  # noqa: E402

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def interleaved(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Returns the seconds of each contender in each round, after one round of warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def batch(
    size: int, generator: torch.Generator, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn(size, 3, 32, 32, generator=generator)
    return images.to(device), torch.randint(10, (size,), generator=generator).to(device)


def fast_step(
    order: str, batch_size: int, device: str = "cpu"
) -> tuple[Callable[[], object], SearchUpdates]:
    """Returns our search step at 16 channels, 8 cells, and its updates."""
    space = DartsSpace(scale=Scale(channels=16, cells=8))
    strategy = Darts(space, 0, epochs=50, order=order, alpha_optimizer=Adam()).to(device)
    updates = SearchUpdates(space, strategy, (3, 32, 32), 10)
    updates.supernet.to(device)
    generator = torch.Generator().manual_seed(0)
    train, val = batch(batch_size, generator, device), batch(batch_size, generator, device)
    return lambda: strategy.search_step(train, val, updates), updates


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


def bench_steps(rounds: int, batch_size: int = 16) -> list[str]:
    """Returns the table of the DARTS search step."""
    first, updates = fast_step("first", batch_size)
    second, _ = fast_step("second", batch_size)
    contenders = {
        "plain arrangement, first order": slow_step(updates, batch_size),
        "nas_lightning, first order": first,
        "nas_lightning, second order": second,
    }
    seconds = interleaved(contenders, rounds)
    plain = seconds["plain arrangement, first order"]
    lines = [
        "### One DARTS search step",
        "",
        f"16 channels, 8 cells, images 3x32x32, batch {batch_size} + {batch_size}, float32.",
        "",
        "| arrangement | median s | min to max s | images/s "
        "| speed to plain first order (median of rounds) |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, times in seconds.items():
        ratio = statistics.median(p / t for p, t in zip(plain, times, strict=True))
        middle = statistics.median(times)
        lines.append(
            f"| {name} | {middle:.2f} | {min(times):.2f} to {max(times):.2f} | "
            f"{2 * batch_size / middle:.1f} | {ratio:.2f} |"
        )
    return lines


def bench_data(rounds: int, num_images: int = 20_000, batch_size: int = 256) -> list[str]:
    """Returns the table of the data path: permutation, crop, flip, normalise."""
    from nas_lightning.data.images import ImageArrays

    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (num_images, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.arange(num_images) % 10
    names = tuple(str(label) for label in range(10))
    arrays = ImageArrays(
        MemoryImages(pixels), labels, MemoryImages(pixels[:10]), labels[:10], names
    )
    data = ImageDataModule(
        lambda **_: arrays,
        seed=0,
        batch_size=batch_size,
        augmentation=Augmentation(crop_padding=4, flip=True),
    )
    data.load()
    batches = data.final()._train(Place(torch.device("cpu")))
    mean, std = torch.tensor([125.0, 123.0, 114.0]), torch.tensor([63.0, 62.0, 67.0])

    def ours() -> None:
        for _ in batches:
            pass

    def bare() -> None:
        order = torch.randperm(num_images)
        padded = torch.nn.functional.pad(pixels, (4, 4, 4, 4))
        offsets = torch.arange(32)
        for index in order.split(batch_size)[: num_images // batch_size]:
            rows = torch.randint(9, (len(index), 1)) + offsets
            columns = torch.randint(9, (len(index), 1)) + offsets
            flips = torch.rand(len(index), 1) < 0.5
            columns = torch.where(flips, columns.flip(1), columns)
            cut = padded[index[:, None, None], :, rows[:, :, None], columns[:, None, :]]
            cut.permute(0, 3, 1, 2).float().sub_(mean[:, None, None]).div_(std[:, None, None])

    seconds = interleaved({"nas_lightning": ours, "bare tensor operations": bare}, rounds)
    per_epoch = num_images // batch_size * batch_size
    speeds = {name: [per_epoch / t for t in times] for name, times in seconds.items()}
    ratio = statistics.median(
        a / b
        for a, b in zip(speeds["nas_lightning"], speeds["bare tensor operations"], strict=True)
    )
    return [
        "### The data path",
        "",
        f"Permutation, gather, crop with padding 4, flip, normalise; {num_images:,} images "
        f"3x32x32, batches of {batch_size}.",
        "",
        "| path | images/s (median) | min to max |",
        "| --- | --- | --- |",
        *(
            f"| {name} | {statistics.median(s):,.0f} | {min(s):,.0f} to {max(s):,.0f} |"
            for name, s in speeds.items()
        ),
        "",
        f"Speed to bare tensor operations, median of rounds: {ratio:.2f}.",
    ]


def machine() -> str:
    """Returns what the figures were measured on."""
    info = Path("/proc/cpuinfo")
    names = [
        line.split(":")[1].strip()
        for line in (info.read_text().splitlines() if info.exists() else [])
        if line.startswith("model name")
    ]
    name = names[0] if names else platform.processor()
    return (
        f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, Python {platform.python_version()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks.md")
    arguments = parser.parse_args()
    lines = [
        f"Measured on {date.today()} with `python benchmarks/bench.py --rounds "
        f"{arguments.rounds}` ({machine()}); contenders take turns in every round, seed 0.",
        "",
        *bench_steps(arguments.rounds),
        "",
        *bench_data(arguments.rounds),
    ]
    text = arguments.output.read_text() if arguments.output.exists() else f"{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join(lines)
    arguments.output.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")
    print(table)


if __name__ == "__main__":
    main()
