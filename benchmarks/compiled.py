"""What torch.compile of each cell with static shapes costs and gains on a CPU.

    python benchmarks/compiled.py child|supernet [--channels 36] [--cells 5] [--side 32] [--only 1]
        [--double]

Forward and backward of 16 images with hardware.kernels=torch: the child darts_v2, or a supernet of
DARTS's space with even weights; --only compiles so many of the cells, --double takes float64. It
prints the seconds until the first pass is done, those of a pass before and after (CPU, medians of
five), how far the outputs and gradients are apart, in shares of each tensor's largest entry, and
how often cells were compiled.
"""

import argparse
import resource
import statistics
import time

import torch
from torch._dynamo.utils import counters

from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import uniform_mixture
from nas_lightning.networks import native
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.zoo.reader import read_genotype

ROUNDS = 5


def cpu():
    """Returns the CPU seconds of this process and of compilers that it has run."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def network_of(options):
    """Returns a network, and what it is called with beside the images."""
    flavour = "child" if options.network == "child" else "search"
    shape = {"input_shape": (3, options.side, options.side), "num_outputs": 10}
    scale = Scale(options.channels, options.cells, flavour=flavour, **shape)
    space = DartsSpace(scale=scale)
    if flavour == "child":
        return space.child(read_genotype("darts_v2", space), scale), ()
    return space.supernet(scale), (uniform_mixture(space.choices),)


def passed(network, x, more):
    """Returns the outputs and gradients of a pass."""
    network.zero_grad()
    out = network(x, *more)
    torch.nn.functional.cross_entropy(out, torch.arange(len(x)) % 10).backward()
    return [out.detach(), *(p.grad.clone() for p in network.parameters() if p.grad is not None)]


def seconds(run):
    """Returns the CPU seconds of a call, the median of some."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=["child", "supernet"])
    parser.add_argument("--channels", type=int, default=36)
    parser.add_argument("--cells", type=int, default=5)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--only", type=int)
    parser.add_argument("--double", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    native.choose("torch")
    torch._dynamo.config.recompile_limit = 64  # cells of all sizes share their code
    network, more = network_of(options)
    dtype = torch.float64 if options.double else torch.float32
    network = network.to(dtype, memory_format=torch.channels_last)
    x = torch.randn(16, 3, options.side, options.side, dtype=dtype)
    before = passed(network, x, more)
    eager = seconds(lambda: passed(network, x, more))
    for cell in network.cells[: options.only]:
        cell.compile(dynamic=False)
    started, wall = cpu(), time.monotonic()
    after = passed(network, x, more)
    spent, wall = cpu() - started, time.monotonic() - wall
    compiled = seconds(lambda: passed(network, x, more))
    apart = max(
        ((a - b).abs().max() / b.abs().max().clamp_min(1e-12)).item()
        for a, b in zip(after, before, strict=True)
    )
    print(
        f"{options.network}: {spent:.0f} s of CPU ({wall:.0f} s) to compile; a pass {eager:.3f} s"
    )
    print(
        f"before, {compiled:.3f} s after ({eager / compiled:.2f} times as fast); apart {apart:.1e}"
    )
    print(dict(counters["stats"]), "graph breaks:", sum(counters["graph_break"].values()))


if __name__ == "__main__":
    main()
