"""The verdict of a run: its child beside random ones, trained alike until they decide."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nas_lightning.config.schema import VerdictConfig
from nas_lightning.core.checks import at_least
from nas_lightning.evaluation.verdict import UNDECIDED, Verdict
from nas_lightning.reports.conclusion import NAMES, RANDOM
from nas_lightning.run.baselines import random_child
from nas_lightning.run.run import Run
from nas_lightning.training.cost_meter import CostMeter

__all__ = ["check_verdict", "unbeaten", "verdict_of"]

DEFAULT = asdict(VerdictConfig())


def check_verdict(
    settings: Mapping[str, Any], is_compared: bool, cure: str, init: object = None
) -> None:
    """Refuses settings of the verdict that are impossible, or have no effect.

    `cure` is the override by which a child is compared with others, `init` the start that the
    child has.

    Raises: ValueError: the number of children is below 0, nothing is compared, or not fairly.
    """
    at_least("verdict.children", settings["children"], 0, use=24)
    changed = [key for key, value in DEFAULT.items() if settings[key] != value]
    if changed and not is_compared:
        key = changed[0]
        raise ValueError(
            f"verdict.{key} ({settings[key]}) has no effect where the child is not compared; give "
            f"{cure}, or leave it out"
        )
    if init is not None and settings["children"] > DEFAULT["children"]:
        raise ValueError(
            f"verdict.children ({settings['children']}) random networks start anew, and the child "
            f"from child.init ({init}), so they do not compare; leave one of them out"
        )


def verdict_of(
    run: Run, child: Mapping[str, Any], baselines: Mapping[str, Any], most: int
) -> dict[str, Any] | None:
    """Returns whether a run's child is worth its search, by at most `most` random children.

    The first one is the baselines'; the others are trained one by one until the answer is certain,
    all on the same data in the same order. Their figures are added to the verdict's, and the cost
    of those that were trained for it. None of 0 children, and of a child with a start (child.init)
    that random ones lack.
    """
    if not most or run.parts.recipe.init is not None:
        return None
    task, cost = run.parts.task, CostMeter()
    test = f"test_{task.metric}"
    others, verdict = [baselines[RANDOM]], None
    while True:
        figures = [task.worst if other.get(test) is None else other[test] for other in others]
        verdict = Verdict(child[test], figures, task.higher_is_better)
        if verdict.answer != UNDECIDED or len(others) >= most:
            break
        others.append(random_child(run, len(others) + 1))
        cost.add(others[-1].get("cost", {}))
    return verdict.as_dict() | {
        "most_children": most,
        "others": [{name: other.get(name) for name in ("genotype_id", test)} for other in others],
        "cost": cost.as_dict(),
    }


def unbeaten(
    run: Run,
    child: Mapping[str, Any] | None,
    baselines: Mapping[str, Any] | None,
    verdict: Mapping[str, Any] | None,
) -> list[str]:
    """Returns a note for each baseline that the found child does not beat.

    Beside several random children the first one has none: the verdict says how many are beaten.
    """
    if not child or not baselines:
        return []
    key, task = f"test_{run.parts.task.metric}", run.parts.task
    is_told = verdict is not None and verdict["children"] > 1
    return [
        f"{NAMES.get(name, name.replace('_', ' '))} does as well as the found network or better "
        "on this test set"
        for name, figures in baselines.items()
        if figures[key] is not None
        and task.reward(figures[key]) >= task.reward(child[key])
        and not (is_told and name == RANDOM)
    ]
