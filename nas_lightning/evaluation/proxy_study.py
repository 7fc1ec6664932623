"""How well zero-cost proxies rank the children of a benchmark table."""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from scipy.stats import spearmanr

from nas_lightning.core.checks import at_least, in_range
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.by_training import Candidates
from nas_lightning.evaluation.journal import Row, RowFile
from nas_lightning.evaluation.proxies import PROXIES
from nas_lightning.evaluation.tabular import TabularEvaluation
from nas_lightning.evaluation.zero_cost import SIZES, first_batch, proxy_value

__all__ = ["NAMES", "check_rows", "correlations", "drawn", "judged", "study"]

NAMES = (*PROXIES, *SIZES)


def study(
    run: Candidates,
    table: TabularEvaluation,
    path: Path,
    children: int,
    batch_size: int,
    seed: int,
    progress: Callable[[int], None] = lambda number: None,
) -> list[Row]:
    """Returns proxies and tabular validation accuracy of different random children.

    All children see one batch of `batch_size` images. The CSV file `path` takes each row before the
    next child is judged; the children of the rows that it already has are not judged again.
    `progress` is called with the number of rows so far.

    Raises: ValueError: a number is out of range, or the file's rows are of other children.
    """
    in_range("children", children, f"[2, {run.space.count()}]", use=min(200, run.space.count()))
    at_least("batch_size", batch_size, 2, use=64)
    file = RowFile(path, ("genotype_id", "accuracy", *NAMES))
    genotypes = drawn(run.space, children, seed)
    check_rows(file, genotypes)
    batch = first_batch(run, batch_size)

    def judge(number: int, genotype: Genotype) -> list[float]:
        figures, _ = table.evaluate(Trial(0, genotype), seed)
        child_seed = keyed_seed(seed, genotype.id)
        proxies = [proxy_value(run, genotype, name, batch, child_seed) for name in NAMES]
        return [figures["validation_accuracy"], *proxies]

    return judged(file, ("accuracy", *NAMES), genotypes, judge, progress)


def judged(
    file: RowFile,
    columns: Sequence[str],
    genotypes: Sequence[Genotype],
    judge: Callable[[int, Genotype], Sequence[float]],
    progress: Callable[[int], None],
) -> list[Row]:
    """Returns the rows of a file, which takes what a judge says of the children it lacks.

    `judge` is called with a child's place and the child, `progress` with the number of rows so far.
    """
    if file.rows:
        progress(len(file.rows))
    for number in range(len(file.rows), len(genotypes)):
        figures = judge(number, genotypes[number])
        named = zip(columns, figures, strict=True)
        file.append({"genotype_id": genotypes[number].id, **dict(named)})
        progress(len(file.rows))
    return file.rows


def correlations(rows: Sequence[Row]) -> dict[str, float]:
    """Returns each proxy's rank correlation (Spearman) with the accuracy, the highest first."""
    accuracy = [row["accuracy"] for row in rows]
    names = [name for name in rows[0] if name not in ("genotype_id", "accuracy")]
    ranks = {n: float(spearmanr([row[n] for row in rows], accuracy).statistic) for n in names}
    return dict(sorted(ranks.items(), key=lambda pair: -pair[1]))


def drawn(space: SearchSpace, children: int, seed: int) -> list[Genotype]:
    """Returns so many different random children, the same ones for a seed."""
    rng, different = Random(keyed_seed(seed, "children")), dict[str, Genotype]()
    while len(different) < children:
        genotype = space.sample(rng)
        different.setdefault(genotype.id, genotype)
    return list(different.values())


def check_rows(file: RowFile, genotypes: Sequence[Genotype]) -> None:
    """Raises ValueError where a file has rows of other children than these."""
    ids = [*(genotype.id for genotype in genotypes), "no more"]
    for number, (row, expected) in enumerate(zip(file.rows, ids, strict=False), 1):
        if row["genotype_id"] != expected:
            raise ValueError(
                f"{file.path} has genotype {row['genotype_id']} in row {number}, this study judges "
                f"{expected}: it belongs to another study; use a new folder"
            )
