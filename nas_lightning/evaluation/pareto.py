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
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: (as_costs(points[i], directions), i)):
        new, ahead = points[index], [points[i] for i in front]
        if not any(old == new or dominates(old, new, directions) for old in ahead):
            front.append(index)
    return sorted(front)


def pareto_front(trials: Sequence[Trial], objective: Objective) -> dict[str, Any]:
    """Returns pareto.json's "names" and "directions" of the values, and "front".

    The front lists {"trial", "genotype_id", "choices", "values"}, the best first value first. Only
    trials of the largest budget are compared.
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
