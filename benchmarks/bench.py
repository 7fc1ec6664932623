"""What `make bench` runs: speed, measured interleaved, medians and ratios, into docs/ and a file.

    python benchmarks/bench.py [--rounds 9] [--threads 1] [--steps darts_first ...]
        [--output docs/benchmarks.md] [--json benchmarks/results.json]
    python benchmarks/bench.py --quick --json FILE

Steps in CPU seconds, of searches and of a child (benchmarks/plain_pairs.py): the papers' plain
arrangement, ours with hardware.kernels=torch and, if there is a compiler, native take turns in
every round. Peak memory is a step's in a process of its own, above what importing takes, ours
(torch) to plain; operators are those that a step of ours launches. --quick is a smoke test: one
small step, two rounds, no documents. Only the part of the document between the two marks is
replaced.
"""

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from operators import launched  # noqa: E402
from plain_pairs import PAIRS, SMALL, WHOLE, Size  # noqa: E402
from process_memory import high_water  # noqa: E402

from nas_lightning.data.augmentation import Augmentation  # noqa: E402
from nas_lightning.data.batches import Place  # noqa: E402
from nas_lightning.data.images import MemoryImages  # noqa: E402
from nas_lightning.data.module import ImageDataModule  # noqa: E402
from nas_lightning.networks import native  # noqa: E402

ARRANGEMENTS, RATIOS = ("plain", "torch", "native"), ("ratio_torch", "ratio_native")
MEMORY = ("memory", "memory_native")
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


def measured(name: str, size: Size, rounds: int) -> dict[str, Any]:
    """Returns the figures of a step, as results.json holds them; `seconds` by arrangement."""
    torch.manual_seed(0)
    native.choose("torch")
    plain, mine = PAIRS[name](size)
    kernels = ("torch", "native") if native.compiler() else ("torch",)
    seconds: dict[str, list[float]] = {each: [] for each in ("plain", *kernels)}
    for number in range(rounds + 1):
        for each, times in seconds.items():
            native.choose("torch" if each == "plain" else each)
            torch.manual_seed(number)  # what a strategy draws differs by round alone
            start = time.process_time()
            (plain if each == "plain" else mine)()
            if number:  # the first round warms up
                times.append(time.process_time() - start)
    native.choose("torch")
    figures: dict[str, Any] = {each: statistics.median(times) for each, times in seconds.items()}
    for each in kernels:
        pairs = zip(seconds["plain"], seconds[each], strict=True)
        figures[f"ratio_{each}"] = statistics.median(a / b for a, b in pairs)
    peaks = {each: peak(name, size, each) for each in seconds}
    figures["memory"] = peaks["torch"] / peaks["plain"]
    if "native" in peaks:
        figures["memory_native"] = peaks["native"] / peaks["plain"]
    figures["operators"] = sum(launched(mine).values())
    return figures


def peak(name: str, size: Size, arrangement: str) -> float:
    """Returns the peak of two steps' memory, in kB, of a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_peak, (name, size, arrangement))


def _peak(name: str, size: Size, arrangement: str) -> float:
    torch.set_num_threads(1)
    native.choose("native" if arrangement == "native" else "torch")
    before = high_water()
    step = PAIRS[name](size)[arrangement != "plain"]
    step()
    step()
    return max(1.0, high_water() - before)


def table_of(steps: dict[str, dict[str, Any]]) -> list[str]:
    """Returns the table of the steps."""
    lines = [
        "### Steps",
        "",
        "16 channels, 8 cells (`gdas`: NAS-Bench-201, 17 cells), images 3x32x32, batch 16 + 16, "
        "float32; CPU seconds. `child_darts_v2` is a child's forward and backward pass: 36 "
        "channels, 20 cells, auxiliary head, batch 16.",
        "",
        "| step | plain s | torch s | native s | times as fast, torch | native "
        "| memory to plain, torch | native | operators |",
        f"|{' --- |' * 9}",
    ]
    for name, row in steps.items():
        of = [f"{row[key]:.2f}" if key in row else "" for key in (*ARRANGEMENTS, *RATIOS, *MEMORY)]
        lines.append(f"| `{name}` | {' | '.join(of)} | {row['operators']:,} |")
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
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", nargs="+", choices=PAIRS)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results.json")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    size, rounds = (SMALL, 2) if given.quick else (WHOLE, given.rounds)
    names = given.steps or (["darts_first"] if given.quick else list(PAIRS))
    steps = {name: measured(name, size, rounds) for name in names}
    facts = {
        "machine": machine(),
        "date": f"{date.today()}",
        "rounds": rounds,
        "quick": given.quick,
    }
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps({**steps, **facts}, indent=2) + "\n")
    table = table_of(steps)
    if given.quick:
        print("\n".join(table[2:]))
        return
    lines = [
        f"Measured on {date.today()} with `python benchmarks/bench.py --rounds {rounds}` "
        f"({machine()}); contenders take turns in every round, seed 0.",
        "",
        *table,
        "",
        *bench_data(min(rounds, 5)),
    ]
    text = given.output.read_text() if given.output.exists() else f"{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    whole = "\n".join(lines)
    given.output.write_text(f"{before}{BEGIN}\n{whole}\n{END}{after}")
    print(whole)


if __name__ == "__main__":
    main()
