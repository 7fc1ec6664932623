"""How well zero-cost proxies rank the children of a benchmark table."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from random import Random

from nas_lightning.core.seeding import keyed_seed
from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.candidates import Candidates
from nas_lightning.evaluation.proxies import PROXIES
from nas_lightning.evaluation.tabular import TabularEvaluation
from nas_lightning.evaluation.zero_cost import SIZES, first_batch, proxy_value

__all__ = ["correlations", "rows_csv", "study"]

Row = dict[str, float | str]


def study(
    run: Candidates,
    table: TabularEvaluation,
    children: int,
    batch_size: int,
    seed: int,
    tell: Callable[[int], None] = lambda number: None,
) -> list[Row]:
    """Returns proxies and tabular validation accuracy of different random children.

    Args:
        run: what to judge on and with.
        table: tells the accuracy.
        children: how many, at least 2.
        batch_size: images that a proxy sees; all children see the same.
        seed: seed of the draws and of the children's params.
        tell: is told how many are done.

    Raises:
        ValueError: a number is out of its range.
    """
    most = run.space.count()
    if not 2 <= children <= most or batch_size < 2:
        raise ValueError(
            f"children ({children}) must be between 2 and the space's {most}, batch_size "
            f"({batch_size}) at least 2; use e.g. 200 and 64"
        )
    batch = first_batch(run, batch_size)
    rng, drawn = Random(keyed_seed(seed, "children")), dict[str, Row]()
    while len(drawn) < children:
        genotype = run.space.sample(rng)
        if genotype.id not in drawn:
            own = keyed_seed(seed, genotype.id)
            figures, _ = table.evaluate(Trial(0, genotype), seed)
            row: Row = {"genotype_id": genotype.id, "accuracy": figures["validation_accuracy"]}
            for name in (*PROXIES, *SIZES):
                row[name] = proxy_value(run, genotype, name, batch, own)
            drawn[genotype.id] = row
            tell(len(drawn))
    return list(drawn.values())


def correlations(rows: Sequence[Row]) -> dict[str, float]:
    """Returns Spearman's rank correlation of every proxy with the accuracy, the highest first."""
    from scipy.stats import spearmanr

    accuracy = [row["accuracy"] for row in rows]
    names = [name for name in rows[0] if name not in ("genotype_id", "accuracy")]
    found = {
        name: float(spearmanr([row[name] for row in rows], accuracy).statistic) for name in names
    }
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def rows_csv(rows: Sequence[Mapping[str, float | str]]) -> str:
    """Returns a row a child."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
