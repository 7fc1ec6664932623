"""Searches digits or MNIST-1D within limits by several strategies, and draws accuracy by size.

    python benchmarks/limits.py [--data digits] [--strategies darts gdas ...]
                                [--limits 6000 7500 10000] [--seeds 3] [--folder outputs/limits]

A run that stands in FOLDER/DATA.jsonl already is not made again. The picture is FOLDER/DATA.svg.
"""

import argparse
import statistics
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import altair as alt
from journal import journaled

import nas_lightning as nl

STRATEGIES = ("darts", "gdas", "drnas", "enas", "evolution", "random")
SETTINGS = [
    "verdict.resnet=false",
    "search_space.scale.channels=4",
    "search_space.scale.cells=3",
    "child.scale.channels=4",
    "child.scale.cells=3",
    "child.epochs=10",
    "hardware.threads=1",
    "callbacks=silent",
]
ONE_SHOT, BLACK_BOX = ["strategy.epochs=6"], ["strategy.trials=8"]


def searched(data: str, strategy: str, limit: int, seed: int, folder: Path) -> dict[str, Any]:
    """Returns what one search within a limit of the parameters found."""
    length = BLACK_BOX if strategy in ("evolution", "random") else ONE_SHOT
    name = f"{data}_{strategy}_{limit}_{seed}"
    run = nl.search(
        data=data,
        strategy=strategy,
        limits={"parameters": limit},
        overrides=[*SETTINGS, *length],
        seed=seed,
        folder=folder / name,
    )
    child, baseline = run.result["child"], run.result["baselines"]["random_genotype"]
    return {
        "parameters": child["parameters"],
        "test_accuracy": child["test_accuracy"],
        "random_parameters": baseline["parameters"],
        "random_test_accuracy": baseline["test_accuracy"],
        "search_seconds": run.result["search"]["cost"]["wall_s"],
    }


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Makes what is missing of the searches; returns all of them."""
    cells = product(range(options.seeds), options.limits, options.strategies)
    plan = [{"strategy": strategy, "limit": limit, "seed": seed} for seed, limit, strategy in cells]
    make = partial(searched, options.data, folder=options.folder)
    return journaled(options.folder / f"{options.data}.jsonl", plan, make)


def lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yields a Markdown table: mean accuracy and size by strategy and limit."""
    limits = sorted({row["limit"] for row in rows})
    yield "| strategy | " + " | ".join(f"at most {limit:,}" for limit in limits) + " |"
    yield "| --- |" + " --- |" * len(limits)
    for strategy in dict.fromkeys(row["strategy"] for row in rows):
        cells = []
        for limit in limits:
            few = [r for r in rows if (r["strategy"], r["limit"]) == (strategy, limit)]
            mean = statistics.mean(row["test_accuracy"] for row in few)
            sizes = [row["parameters"] for row in few]
            cells.append(f"{mean:.2%}, {min(sizes):,} to {max(sizes):,}")
        yield f"| `{strategy}` | " + " | ".join(cells) + " |"


def drawn(rows: list[dict[str, Any]]) -> alt.Chart:
    """Returns test accuracy by parameters, the limits as lines."""
    limits = alt.Data(values=[{"limit": m} for m in sorted({row["limit"] for row in rows})])
    rules = alt.Chart(limits).mark_rule(strokeDash=[4, 4], color="#888").encode(x="limit:Q")
    accuracy = alt.Y("test_accuracy:Q", axis=alt.Axis(format="%"), title="test accuracy")
    points = (
        alt.Chart(alt.Data(values=rows))
        .mark_point(size=60, filled=True, opacity=0.7)
        .encode(
            x=alt.X("parameters:Q", scale=alt.Scale(zero=False), title="parameters of the child"),
            y=accuracy.scale(zero=False),
            color=alt.Color("strategy:N"),
            shape=alt.Shape("strategy:N"),
        )
    )
    return (rules + points).properties(width=560, height=320)


def main() -> None:
    """Makes the searches, prints the table and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    parser.add_argument("--limits", nargs="+", type=int, default=[6000, 7500, 10000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("outputs/limits"))
    options = parser.parse_args()
    rows = measured(options)
    assert all(row["parameters"] <= row["limit"] for row in rows), "a child exceeds its limit"
    assert all(row["random_parameters"] <= row["limit"] for row in rows), "a baseline exceeds it"
    print("\n".join(lines(rows)))
    drawn(rows).save(options.folder / f"{options.data}.svg")


if __name__ == "__main__":
    main()
