"""The Pareto front of a search: the trials that no other one dominates."""

from collections.abc import Sequence
from typing import Any

from nas_lightning.core.objective import Objective, as_costs, dominates
from nas_lightning.core.strategy import Trial

__all__ = ["non_dominated", "pareto_front"]


def non_dominated(points: Sequence[tuple[float, ...]], directions: tuple[str, ...]) -> list[int]:
    """Returns the indices of the points that no other one dominates, of equal ones the first.

    The points are sorted once, so that each is compared with the front so far only. Directions
    are "max" or "min", one per value.

    >>> non_dominated([(0.9, 7.0), (0.8, 5.0), (0.7, 6.0)], ("max", "min"))
    [0, 1]
    """
    costs = [as_costs(point, directions) for point in points]
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: (costs[i], i)):
        beaten = (
            points[i] == points[index] or dominates(points[i], points[index], directions)
            for i in front
        )
        if not any(beaten):
            front.append(index)
    return sorted(front)


def pareto_front(trials: Sequence[Trial], objective: Objective) -> dict[str, Any]:
    """Returns the content of pareto.json: plain data, the best first value first.

    Only trials of the largest budget are compared.

    Returns:
        "names" and "directions" of the values, and "front": a list of {"trial", "genotype_id",
        "choices", "values"}.
    """
    largest = max((trial.budget for trial in trials), default=1.0)
    whole = [trial for trial in trials if trial.budget == largest]
    met = [trial for trial in whole if objective.is_met(trial.measurements)]
    chosen = [met[i] for i in non_dominated([trial.values for trial in met], objective.directions)]
    chosen.sort(key=lambda t: (as_costs(t.values, objective.directions)[0], t.number))
    return {
        "names": list(objective.names),
        "directions": list(objective.directions),
        "front": [
            {
                "trial": trial.number,
                "genotype_id": trial.genotype.id,
                "choices": trial.genotype.mapping,
                "values": dict(zip(objective.names, trial.values, strict=True)),
            }
            for trial in chosen
        ],
    }
