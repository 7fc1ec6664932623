"""How much of a table's Pareto front searches find: the hypervolume over evaluations.

Source of the measure: Zitzler & Thiele, 1999: the volume between a front and a reference point.
"""

from collections.abc import Sequence

from nas_lightning.benchmark.figures import quartiles
from nas_lightning.benchmark.simulation import Simulated
from nas_lightning.core.objective import Objective, as_costs, dominates
from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.pareto import non_dominated
from nas_lightning.evaluation.tabular import TabularEvaluation

__all__ = ["Yardstick", "hypervolume", "hypervolume_curve"]

Values = tuple[float, ...]


def hypervolume(points: Sequence[Values], directions: Sequence[str], reference: Values) -> float:
    """Returns the area that some pairs of values dominate, up to a reference point.

    >>> hypervolume([(0.9, 3.0), (0.7, 1.0)], ("max", "min"), (0.5, 5.0))
    1.2
    """
    right, top = as_costs(reference, directions)
    area = 0.0
    for x, y in sorted(as_costs(point, directions) for point in points):
        if x < right and y < top:
            area += (right - x) * (top - y)
            top = y
    return round(area, 12)


class Yardstick:
    """The whole table's front, against which searches are measured.

    Args:
        evaluation: looks genotypes up.
        objective: keeps two values apart.
        reference: the point that bounds the volume; None takes the table's worst of a value, and
            none at all means that of both.

    Attributes:
        front: the values of the table's non-dominated children.
        reference: the point, complete.
        volume: what the table's front dominates.

    Raises:
        ValueError: the reference point has not one entry a value, or nothing is better than it.
    """

    def __init__(
        self,
        evaluation: TabularEvaluation,
        objective: Objective,
        reference: Sequence[float | None] = (),
    ) -> None:
        self.directions = objective.directions
        if len(self.directions) != 2 or len(reference) not in (0, 2):
            raise ValueError(
                f"reference ({list(reference)}) must be [], or have an entry (or null) for each of "
                f"{', '.join(objective.names)}, which must be two"
            )
        every = _values_of_table(evaluation, objective)
        worst = [
            min(column) if direction == "max" else max(column)
            for direction, column in zip(self.directions, zip(*every, strict=True), strict=True)
        ]
        given = list(reference) or [None, None]
        self.reference = tuple(
            w if value is None else float(value) for w, value in zip(worst, given, strict=True)
        )
        self.front = [every[index] for index in non_dominated(every, self.directions)]
        self.volume = self.area(self.front)
        if self.volume <= 0:
            raise ValueError(
                f"reference ({list(self.reference)}) must be worse than some child of the table in "
                f"both {' and '.join(objective.names)}, accuracies being shares in [0, 1]; use "
                "e.g. [0.8, null], where null is the table's worst value"
            )

    def area(self, points: Sequence[Values]) -> float:
        """Returns the hypervolume of some values."""
        return hypervolume(points, self.directions, self.reference)

    def counted(self, points: Sequence[Values]) -> list[Values]:
        """Returns those that are better than the reference point, which make the volume."""
        return [point for point in points if self.area([point]) > 0]

    def shares(self, trials: Sequence[Trial]) -> list[float]:
        """Returns the share of the table's hypervolume that is found after each trial."""
        front, shares, share = list[Values](), list[float](), 0.0
        for trial in trials:
            new = trial.values
            if not any(old == new or dominates(old, new, self.directions) for old in front):
                front = [old for old in front if not dominates(new, old, self.directions)]
                front.append(new)
                share = self.area(front) / self.volume
            shares.append(share)
        return shares


def hypervolume_curve(
    searches: Sequence[Simulated], yardstick: Yardstick
) -> tuple[dict[str, list[float]], list[float]]:
    """Returns quartiles over the searches after each evaluation, and every search's last share.

    Returns:
        "evaluations", "low", "median" and "high" (shares of the table's hypervolume), as long as
        the shortest search; and one share a search.
    """
    found = [yardstick.shares(search.kept) for search in searches]
    length = min(map(len, found))
    rows = [shares[:length] for shares in found]
    counted = [float(number) for number in range(1, length + 1)]
    return {"evaluations": counted, **quartiles(rows)}, [shares[-1] for shares in found]


def _values_of_table(evaluation: TabularEvaluation, objective: Objective) -> list[Values]:
    space = evaluation.table.space
    every = []
    for code in evaluation.table.rows:
        genotype = space.decode(code)
        figures, _ = evaluation.evaluate(Trial(0, genotype), 0)
        every.append(objective.values({**figures, **objective.measure(genotype)}))
    return every
