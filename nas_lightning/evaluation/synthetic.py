"""A made-up benchmark table of any small space, deterministic: for tests and for trying out."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from nas_lightning.core.decisions import Decision, is_active
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.evaluation.table import Code, Table

__all__ = ["SYNTHETIC", "synthetic_table"]

SYNTHETIC = "synthetic"
MAX_ROWS = 100_000
DIFFICULTY = {"cifar10": 90.0, "cifar100": 70.0, "imagenet16_120": 45.0}
NOISE = {12: 2.0, 200: 0.3}  # standard deviation of a figure in points, by schedule


def synthetic_table(space: SearchSpace, seed: int = 0) -> Table:
    """Returns a table in which each option, and to a lesser degree each pair of them, has a worth.

    A child's quality is the sum of the worths; accuracies saturate in it, short schedules are
    noisier and lower, and better options take longer. The data sets have NAS-Bench-201's names,
    but none of its figures.

    Raises: ValueError: the space has more than 100,000 genotypes.
    """
    if space.count() > MAX_ROWS:
        raise ValueError(
            f"a synthetic table needs a space of at most {MAX_ROWS:,} genotypes; search space "
            f"'{space.name}' has {space.count():,}: take a smaller one"
        )
    codes = list(_codes(space.decisions, {}))
    table = np.array(codes)
    rng = np.random.default_rng(seed)
    widths = [len(decision.options) for decision in space.decisions]
    quality = _standardised(_worth(table, widths, rng))
    seconds = 1000 + 500 * (_standardised(_worth(table, widths, rng)) + quality).clip(-1.8, 3)
    columns = {}
    for data, ceiling in DIFFICULTY.items():
        for epochs, noise in NOISE.items():
            top = ceiling * (1.0 if epochs == 200 else 0.9)
            for part in ("val", "test"):
                blurred = quality + noise / 10 * rng.standard_normal(len(table))
                columns[f"{data}_{part}_{epochs}"] = top / (1 + np.exp(-1.5 - blurred))
        columns[f"{data}_train_seconds_200"] = seconds
        columns[f"{data}_params"] = np.rint(400 * seconds)
        columns[f"{data}_flops"] = np.rint(40_000 * seconds)
    return Table(SYNTHETIC, space, {code: i for i, code in enumerate(codes)}, columns)


def _codes(decisions: Sequence[Decision], chosen: dict[str, str]) -> Iterator[Code]:
    """Yields the encoding of every genotype."""
    if not decisions:
        yield ()
        return
    decision, rest = decisions[0], decisions[1:]
    if not is_active(decision, chosen):
        yield from ((-1, *code) for code in _codes(rest, chosen))
        return
    for index, option in enumerate(decision.options):
        yield from ((index, *code) for code in _codes(rest, {**chosen, decision.name: option}))


def _worth(
    codes: NDArray[np.int64], widths: Sequence[int], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Returns a sum per row: of a worth per option, and a smaller one per neighbouring pair."""
    total = np.zeros(len(codes))
    for column, width in enumerate(widths):
        total += np.append(rng.standard_normal(width), 0.0)[codes[:, column]]
        pairs = rng.standard_normal((width + 1, widths[column - 1] + 1))
        total += 0.4 * pairs[codes[:, column], codes[:, column - 1]]
    return total


def _standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = (values - values.mean()) / max(float(values.std()), 1e-9)
    return scaled
