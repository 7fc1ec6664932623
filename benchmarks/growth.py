"""How a search step's time and memory grow with channels, cells, images and batch.

    python benchmarks/growth.py [--rounds 3] [--few] [--picture docs/images/growth.svg]
        [--json FILE] [--read FILE]

First-order DARTS on the DARTS space in one thread, with hardware.kernels=torch and, if there is a
compiler, native. One size changes at a time, the others are those of benchmarks/plain_pairs.py;
every point is a process of its own. Seconds are of the CPU, medians after a first step; memory is
the peak above what importing takes. Work is a step's multiply-adds: two forward passes, two
gradients of states and one of params, so five times a forward. --few takes the ends of each
size, --json adds the rows to a file of results, --read draws those of one.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import altair as alt
import torch
from plain_pairs import WHOLE, Size, darts_step
from process_memory import high_water
from result_file import add_to

from nas_lightning.core.scale import Scale
from nas_lightning.networks import native
from nas_lightning.reports.colours import CYCLE, PALE
from nas_lightning.reports.rendering import chart_svg, plot, styled
from nas_lightning.search_spaces.darts import DartsSpace

ALL = {
    "channels": (4, 8, 16, 32, 64),
    "cells": (4, 8, 12, 16, 20),
    "side": (8, 16, 32, 64),
    "batch": (4, 8, 16, 32, 64, 128),
}
WORDS = {"channels": "channels", "cells": "cells", "side": "side of the images", "batch": "batch"}
PASSES = 5
Row = dict[str, Any]


def work(size: Size) -> float:
    """Returns the multiply-adds of a step, in billions."""
    scale = Scale(size.channels, size.cells, input_shape=(3, size.side, size.side), num_outputs=10)
    terms = DartsSpace(scale=scale).cost(scale).terms
    return PASSES * size.batch * sum(term.amount[1] for term in terms) / 1e9


def measured(sizes: dict[str, Sequence[int]], rounds: int) -> list[Row]:
    """Returns a row per size and kernels: what changes, its value, seconds, MB and work."""
    kernels = ("torch", "native") if native.compiler() else ("torch",)
    seen: dict[Size, list[Row]] = {}
    rows: list[Row] = []
    for axis, values in sizes.items():
        for value in values:
            size = replace(WHOLE, **{axis: value})
            if size not in seen:
                seen[size] = [point(size, each, rounds) for each in kernels]
            rows += [{"axis": axis, "value": value, **row} for row in seen[size]]
    return rows


def point(size: Size, kernels: str, rounds: int) -> Row:
    """Returns the figures of one size, measured in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        seconds, mb = pool.apply(_point, (size, kernels, rounds))
    row = {"kernels": kernels, "seconds": seconds, "mb": mb, "work": work(size)}
    print(size, row, f"load {os.getloadavg()[0]:.1f}", flush=True)
    return row


def _point(size: Size, kernels: str, rounds: int) -> tuple[float, float]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    native.choose(kernels)
    before, step, times = high_water(), darts_step(size), []
    for _ in range(rounds + 1):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    return statistics.median(times[1:]), (high_water() - before) / 1000


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yields a Markdown table: seconds, MB, and seconds per unit of work."""
    names = list(dict.fromkeys(row["kernels"] for row in rows))
    heads = [f"{each} {what}" for what in ("s", "MB") for each in names]
    heads += [f"{each} s per 10^9" for each in names]
    yield f"| | 10^9 multiply-adds | {' | '.join(heads)} |"
    yield "| --- |" + " --- |" * (len(heads) + 1)
    for axis, value in dict.fromkeys((row["axis"], row["value"]) for row in rows):
        own = {r["kernels"]: r for r in rows if (r["axis"], r["value"]) == (axis, value)}
        cells = [f"{own[each]['seconds']:.2f}" for each in names]
        cells += [f"{own[each]['mb']:,.0f}" for each in names]
        cells += [f"{own[each]['seconds'] / own[each]['work']:.3f}" for each in names]
        yield f"| {WORDS[axis]}: {value} | {own[names[0]]['work']:.1f} | {' | '.join(cells)} |"


def drawn(rows: Sequence[Row]) -> alt.Chart:
    """Returns seconds and memory by each size, both axes logarithmic.

    Dashed is what grows as the work does, from the largest size on.
    """
    columns = []
    for axis in dict.fromkeys(row["axis"] for row in rows):
        own = [row for row in rows if row["axis"] == axis]
        columns.append(alt.vconcat(*(panel(own, axis, *each) for each in QUANTITIES), spacing=12))
    whole = alt.hconcat(*columns, spacing=20)
    return styled(whole, "A first-order DARTS step by its size; dashed: growth with the work")


QUANTITIES = (("seconds", "CPU seconds"), ("mb", "peak memory, MB"))


def panel(rows: Sequence[Row], axis: str, quantity: str, title: str) -> alt.Chart:
    """Returns a quantity by one size."""
    values = sorted({row["value"] for row in rows})
    x = alt.X("value:Q", title=WORDS[axis]).scale(type="log", nice=False, padding=8)
    x = x.axis(values=values, labelOverlap=False, format="d")
    y = alt.Y(f"{quantity}:Q", title=title).scale(type="log", nice=False, padding=8)
    y = y.axis(tickCount=4, format="~g" if quantity == "seconds" else "~s")
    names = list(dict.fromkeys(row["kernels"] for row in rows))
    colour = alt.Color("kernels:N", title=None).scale(domain=names, range=list(CYCLE[:2]))
    base = plot(rows).encode(x=x, y=y, color=colour.legend(orient="bottom"))
    last = rows[-len(names)]
    guide = [
        {"value": row["value"], quantity: last[quantity] * row["work"] / last["work"]}
        for row in rows
        if row["kernels"] == names[0]
    ]
    line = plot(guide).mark_line(strokeDash=[4, 3], color=PALE, clip=True).encode(x=x, y=y)
    both = alt.layer(line, base.mark_line(), base.mark_circle(size=50, opacity=1))
    return both.properties(width=170, height=170)


def few() -> dict[str, tuple[int, ...]]:
    """Returns the ends of each size."""
    return {axis: (values[0], values[-1]) for axis, values in ALL.items()}


def main() -> None:
    """Prints the table and draws the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--few", action="store_true")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--read", type=Path)
    options = parser.parse_args()
    if options.read:
        rows = json.loads(options.read.read_text())["growth"]
    else:
        rows = measured(few() if options.few else ALL, options.rounds)
    if options.json and not options.read:
        add_to(options.json, {"growth": rows})
    print("\n".join(table(rows)))
    if options.picture:
        options.picture.write_text(chart_svg(drawn(rows)))


if __name__ == "__main__":
    main()
