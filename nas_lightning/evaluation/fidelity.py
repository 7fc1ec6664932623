"""How well cheaper evaluations rank children, beside the children's full training.

The measure is Kendall's tau (tau-b, which takes ties out: Kendall, 1945), beside Spearman's rank
correlation; its interval is the percentile bootstrap over the children (Efron, 1979).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from nas_lightning.core.checks import at_least, in_range
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_context import Batch
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.by_training import Candidates, FullTraining
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.journal import Row, RowFile
from nas_lightning.evaluation.proxy_study import NAMES, check_rows, drawn, judged
from nas_lightning.evaluation.zero_cost import first_batch, proxy_value

__all__ = ["agreements", "cheapest", "kendall", "study_fidelity"]

FULL = "full"
PARTS = ("", "_samples", "_s")  # of a rung's columns: higher is better, training samples, seconds
RESAMPLES = 1000
INTERVAL = (0.025, 0.975)

Judge = Callable[[int, Genotype], tuple[float, int, float]]  # what a rung's columns hold
Array = NDArray[Any]


def study_fidelity(
    run: Candidates,
    rungs: Mapping[str, Evaluation],
    path: Path,
    children: int,
    batch_size: int,
    seed: int,
    progress: Callable[[int], None] = lambda number: None,
) -> list[Row]:
    """Returns what each rung says of different random children, and what that cost.

    "full" is the training of `run.recipe`; the zero-cost proxies, which see one batch of
    `batch_size` images, follow the `rungs`. The CSV file `path` takes each row before the next
    child is judged; the children of the rows that it already has are not judged again.
    `progress` is called with the number of rows so far.

    Raises:
        ValueError: a number is out of range, a rung does not measure the task's metric or has
            another's name, or the file's rows are of other children.
    """
    in_range("children", children, f"[3, {run.space.count()}]", use=min(20, run.space.count()))
    at_least("batch_size", batch_size, 2, use=64)
    metric = f"validation_{run.task.metric}"
    for name, evaluation in rungs.items():
        _check_rung(name, evaluation, metric)
    every = {FULL: FullTraining(run), **rungs}
    judges = {name: _by_training(name, each, run, seed) for name, each in every.items()}
    batch = first_batch(run, batch_size)
    judges |= {name: _by_proxy(name, run, batch, seed) for name in NAMES}
    columns = [name + part for name in judges for part in PARTS]
    genotypes = drawn(run.space, children, seed)
    file = RowFile(path, ("genotype_id", *columns))
    check_rows(file, genotypes)

    def judge(number: int, genotype: Genotype) -> list[float]:
        return [figure for each in judges.values() for figure in each(number, genotype)]

    return judged(file, columns, genotypes, judge, progress)


def agreements(rows: Sequence[Row], seed: int) -> dict[str, dict[str, float]]:
    """Returns by rung how it ranks the children beside their full training, in the file's order.

    Each has `kendall`, the ends `low` and `high` of its 95 % interval, `spearman`, and
    `samples` and `seconds_s` per child. A rung that says the same of all children has NaN.
    """
    names = [column for column in rows[0] if f"{column}_samples" in rows[0]]
    full = [row[FULL] for row in rows]
    rng = np.random.default_rng(keyed_seed(seed, "bootstrap"))
    resamples = rng.integers(len(rows), size=(RESAMPLES, len(rows)))
    found = {}
    for name in names:
        scores = [row[name] for row in rows]
        low, high = _interval(full, scores, resamples)
        costs = [np.mean([float(row[name + part]) for row in rows]) for part in PARTS[1:]]
        found[name] = {
            "kendall": kendall(full, scores),
            "low": low,
            "high": high,
            "spearman": _correlation(rankdata(full), rankdata(scores)),
            "samples": float(costs[0]),
            "seconds_s": float(costs[1]),
        }
    return found


def cheapest(found: Mapping[str, Mapping[str, float]], tau: float) -> str | None:
    """Returns the rung of fewest training samples with a tau of at least this; None if none.

    Of equally many samples it is the one with the highest tau. Full training is no rung.
    """
    good = [name for name, each in found.items() if name != FULL and each["kendall"] >= tau]
    return min(good, key=lambda n: (found[n]["samples"], -found[n]["kendall"]), default=None)


def kendall(first: Sequence[Any], second: Sequence[Any]) -> float:
    """Returns Kendall's tau-b of two rankings; NaN where one has no order.

    >>> kendall([1, 2, 3, 4], [10, 20, 40, 30])
    0.6666666666666666
    """
    return _correlation(_orders(first), _orders(second), centred=True)


def _orders(scores: Sequence[Any]) -> Array:
    """Returns for each pair of children which one is better: -1, 0 or 1, (N, N)."""
    ranks = rankdata(scores)  # of infinities too
    orders: Array = np.sign(ranks[:, None] - ranks[None])
    return orders


def _correlation(first: Array, second: Array, centred: bool = False) -> float:
    if not centred:
        first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((first * first).sum() * (second * second).sum()))
    return float((first * second).sum()) / norm if norm else float("nan")


def _interval(first: Sequence[Any], second: Sequence[Any], resamples: Array) -> tuple[float, float]:
    """Returns the ends of the interval of tau over resamples (R, N) that have an order."""
    a, b = _orders(first), _orders(second)
    pairs = (np.ix_(each, each) for each in resamples)
    taus = np.array([_correlation(a[pair], b[pair], centred=True) for pair in pairs])
    taus = taus[~np.isnan(taus)]
    if not len(taus):
        return float("nan"), float("nan")
    low, high = np.quantile(taus, INTERVAL)
    return float(low), float(high)


def _check_rung(name: str, evaluation: Evaluation, metric: str) -> None:
    if name in (FULL, *NAMES):
        raise ValueError(f"rungs.{name} is the name of another rung; give yours another one")
    if metric not in evaluation.measures():
        raise ValueError(
            f"rungs.{name} ({type(evaluation).__name__}) must measure '{metric}', it has: "
            f"{', '.join(sorted(evaluation.measures()))}; choose another evaluation"
        )


def _by_training(name: str, evaluation: Evaluation, run: Candidates, seed: int) -> Judge:
    def judge(number: int, genotype: Genotype) -> tuple[float, int, float]:
        own = keyed_seed(seed, name, genotype.id)
        trial = Trial(number, genotype)
        figures, cost = evaluation.evaluate(trial, own)
        evaluation.settle(trial, number, ())
        reward = run.task.reward(figures[f"validation_{run.task.metric}"])
        return reward, cost.training_samples, cost.wall_s

    return judge


def _by_proxy(name: str, run: Candidates, batch: Batch, seed: int) -> Judge:
    def judge(number: int, genotype: Genotype) -> tuple[float, int, float]:
        started = perf_counter()
        value = proxy_value(run, genotype, name, batch, keyed_seed(seed, genotype.id))
        return value, 0, perf_counter() - started

    return judge
