"""How much of a table's Pareto front searches find: the hypervolume over evaluations.

Source of the measure: Zitzler & Thiele, 1999: the volume between a front and a reference point.
"""

from collections.abc import Sequence

from nas_lightning.benchmark.figures import Curve, quartiles
from nas_lightning.benchmark.simulation import SimulatedSearch
from nas_lightning.core.objective import Objective, as_costs, dominates
from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.pareto import non_dominated
from nas_lightning.evaluation.tabular import TabularEvaluation

__all__ = ["ReferenceFront", "hypervolume", "hypervolume_curve"]

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


class ReferenceFront:
    """The whole table's Pareto front, against which searches are measured.

    Args:
        evaluation: looks genotypes up.
        objective: keeps two values apart.
        point: the reference point that bounds the volume, a value (None: the table's worst) for
            each of the objective's two; () takes the table's worst of both.

    Attributes:
        front: the values of the table's non-dominated children.
        point: the reference point, complete.
        volume: what the table's front dominates.

    Raises: ValueError: the reference point has not one entry per value, or no child is better.
    """

    def __init__(
        self,
        evaluation: TabularEvaluation,
        objective: Objective,
        point: Sequence[float | None] = (),
    ) -> None:
        self.directions = objective.directions
        if len(self.directions) != 2 or len(point) not in (0, 2):
            raise ValueError(
                f"reference ({list(point)}) must be [], or have an entry (or null) for each of "
                f"{', '.join(objective.names)}, which must be two"
            )
        values = _values_of_table(evaluation, objective)
        worst = [
            min(column) if direction == "max" else max(column)
            for direction, column in zip(self.directions, zip(*values, strict=True), strict=True)
        ]
        self.point = tuple(
            w if value is None else float(value)
            for w, value in zip(worst, point or (None, None), strict=True)
        )
        self.front = [values[index] for index in non_dominated(values, self.directions)]
        self.volume = self.area(self.front)
        if self.volume <= 0:
            raise ValueError(
                f"reference ({list(self.point)}) must be worse than some child of the table in "
                f"both {' and '.join(objective.names)}, accuracies being shares in [0, 1]; use "
                "e.g. [0.8, null], where null is the table's worst value"
            )

    def area(self, points: Sequence[Values]) -> float:
        """Returns the hypervolume of some values."""
        return hypervolume(points, self.directions, self.point)

    def counted(self, points: Sequence[Values]) -> list[Values]:
        """Returns the points that add to the volume: those better than the reference point."""
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
    searches: Sequence[SimulatedSearch], reference: ReferenceFront
) -> tuple[Curve, list[float]]:
    """Returns quartiles over the searches after each evaluation, and the last share of each.

    Returns:
        "evaluations", "low", "median" and "high" (shares of the table's hypervolume), as long as
        the shortest search; and one share per search.
    """
    rows = [reference.shares(search.trials) for search in searches]
    length = min(map(len, rows))
    evaluations = [float(number) for number in range(1, length + 1)]
    curve = quartiles([shares[:length] for shares in rows])
    return {"evaluations": evaluations, **curve}, [shares[-1] for shares in rows]


def _values_of_table(evaluation: TabularEvaluation, objective: Objective) -> list[Values]:
    values = []
    for code in evaluation.table.rows:
        genotype = evaluation.table.space.decode(code)
        figures, _ = evaluation.evaluate(Trial(0, genotype), 0)
        values.append(objective.values({**figures, **objective.measure(genotype)}))
    return values
