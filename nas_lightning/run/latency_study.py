"""A profile of this CPU, and how well it predicts children: `nas-measure what=latency`."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from scipy.stats import spearmanr

from nas_lightning.callbacks.epoch_logs import csv_text
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.evaluation.latency import Latency, child_call
from nas_lightning.evaluation.latency_profile import profile_here
from nas_lightning.evaluation.timing import interleaved
from nas_lightning.files import write_text
from nas_lightning.run.run import Run
from nas_lightning.run.versions import versions

__all__ = ["study_latency"]

MOST_S = 2.0  # per child
TOGETHER = 30  # children, which are in memory at once
DRAWS = 20  # per child that is wanted, since small spaces repeat themselves

Row = dict[str, Any]


def study_latency(run: Run, children: int) -> Row:
    """Writes latency.json, children.csv and, where they are asked for, ONNX files; returns figures.

    The children are others than those that told the overhead, but for spaces with few.

    Raises: ValueError: the space has no supernet.
    """
    space, scale = run.parts.space, run.parts.recipe.scale
    empty = profile_here(run.parts.hardware.threads or 1)
    latency = Latency(space, scale, replace(empty, grows=True))
    if latency.uses is None:
        raise ValueError(
            f"search space '{space.name}' has no supernet that tells its operations, which "
            "what=latency measures; search with hardware.latency=here, which measures each child "
            "as a whole"
        )
    path = run.folder / "latency.json"
    latency.profile.write(path)
    drawn = _drawn(space, children, run.parts.seed)
    _say(f"measuring {len(drawn)} random children, {MOST_S * len(drawn):.0f} s at most")
    rows = _compared(latency, drawn)
    write_text(run.folder / "children.csv", csv_text(rows))
    if run.cfg.export:
        _say("writing ONNX files, about a second for each operation and child")
        _export(latency, run.folder / "onnx")
    predicted, measured = ([row[name] for row in rows] for name in ("predicted_ms", "measured_ms"))
    errors = [abs(row["predicted_ms"] / row["measured_ms"] - 1) for row in rows]
    return {
        "space": space.name,
        "input_shape": list(scale.sample_shape()),
        "device": empty.device,
        "threads": empty.threads,
        "operations": len(latency.profile.operations),
        "overhead_ms": latency.profile.networks[latency.id]["overhead_ms"],
        "children": len(rows),
        "spearman": float(spearmanr(predicted, measured).statistic),
        "median_error": median(errors),
        "largest_error": max(errors),
        "profile": str(path),
        "versions": versions(),
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _drawn(space: SearchSpace, children: int, seed: int) -> list[Genotype]:
    rng, drawn = Random(f"latency {seed}"), dict[str, Genotype]()
    for _ in range(DRAWS * children):
        genotype = space.sample(rng)
        drawn.setdefault(genotype.id, genotype)
    return list(drawn.values())[:children]


def _compared(latency: Latency, genotypes: Sequence[Genotype]) -> list[Row]:
    rows = list[Row]()
    for start in range(0, len(genotypes), TOGETHER):
        some = genotypes[start : start + TOGETHER]
        calls = [child_call(latency.space, genotype, latency.scale) for genotype in some]
        timings = interleaved(calls, latency.profile.threads, MOST_S * len(some))
        rows += [
            {"genotype": g.id, "predicted_ms": latency(g), "measured_ms": t.median_ms,
             "spread_ms": t.spread_ms, "count": t.count}
            for g, t in zip(some, timings, strict=True)
        ]  # fmt: skip
    return rows


def _export(latency: Latency, folder: Path) -> None:
    from nas_lightning.deployment.unit_files import write_children, write_units  # slow to import

    assert latency.uses is not None
    write_units({use.unit.id: use.unit for use in latency.uses}.values(), folder)
    write_children(latency.space, latency.scale, latency.uses, latency.fitted(), folder)
