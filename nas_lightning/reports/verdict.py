"""Whether a search was worth it: its child beside a random genotype's and a linear model."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from nas_lightning.reports.metric import MainMetric, input_word, number_at
from nas_lightning.reports.templates import count

__all__ = ["Verdict", "judge"]

RANDOM = "random_genotype"


@dataclass(frozen=True)
class Verdict:
    """The answer in short, and the sentences that give its reasons.

    `outcome` is "better", "close" (within what chance may do), "not better", or "unknown".
    """

    outcome: str
    answer: str
    reasons: tuple[str, ...] = ()


def judge(result: Mapping[str, Any], metric: MainMetric, tests: int = 0) -> Verdict:
    """Returns whether the child of a result is better than what needs no search.

    `tests` is the number of inputs in the test set, 0 where it is not known.
    """
    key, baselines = f"test_{metric.name}", result.get("baselines") or {}
    if (child := number_at(result, "child", key)) is None:
        return Verdict("unknown", "Not known: no network was trained, so nothing was tested.")
    others = {name: v for name, b in baselines.items() if (v := number_at(b, key)) is not None}
    if not others:
        return Verdict("unknown", "Not known: nothing else was trained to compare it with.")
    sign = 1 if metric.is_higher_better else -1
    gains = {name: sign * (child - value) for name, value in others.items()}
    chances = {name: _chance(child, value, metric, tests) for name, value in others.items()}
    behind = [_name(name) for name, gain in gains.items() if gain <= 0]
    close = [_name(name) for name, gain in gains.items() if 0 < gain <= chances[name]]
    ahead = [_name(n).rstrip(",") for n, gain in gains.items() if gain > max(0.0, chances[n])]
    if behind:
        answer = f"No: {' and '.join(behind)} {'does' if len(behind) == 1 else 'do'} as well here"
        outcome, answer = "not better", f"{answer} or better."
    elif close:
        answer = f"Not shown: the gain over {' and '.join(close)} is small enough to be chance."
        outcome = "close"
    else:
        outcome, answer = "better", f"Yes, on this test set: better than {' and '.join(ahead)}."
    if ahead and (behind or close):
        answer += f" It is better than {' and '.join(ahead)}."
    reasons = [_beside_random(child, others[RANDOM], baselines, metric)] if RANDOM in others else []
    for name, gain in gains.items():
        if name != RANDOM and gain <= 0:
            reasons.append(
                f"The {_name(name).removeprefix('a ')} is simpler, faster and at least as good: "
                "these data may not need a network."
            )
    if chance := max(chances.values()):
        reasons.append(
            f"With {tests:,} test {input_word(result)}s, differences below about "
            f"{100 * chance:.1f} percentage points may be chance."
        )
    return Verdict(outcome, answer, tuple(reasons))


def _beside_random(
    child: float, other: float, baselines: Mapping[str, Any], metric: MainMetric
) -> str:
    """Returns how the child compares with the random genotype's."""
    difference = child - other
    points = f"{100 * abs(difference):.2f} percentage points"
    much = points if metric.is_share else f"{abs(difference):.3g}"
    words = f"{much} {'above' if difference > 0 else 'below'}" if difference else "equal to"
    parameters = baselines[RANDOM].get("parameters")
    size = f" ({count(parameters)} parameters)" if parameters else ""
    return (
        f"Test {metric.words}{'' if metric.is_higher_better else ' (lower is better)'} of the "
        f"found network is {words} that of a random genotype of the same space, trained "
        f"alike{size}: one pair of trainings, so a small difference may be chance."
    )


def _chance(child: float, other: float, metric: MainMetric, tests: int) -> float:
    """Returns two standard errors of the difference of two accuracies, 0 of other metrics.

    The same inputs judge both, which makes the true error smaller: this is on the safe side.
    """
    if not tests or metric.name != "accuracy":
        return 0.0
    return 2 * sqrt((child * (1 - child) + other * (1 - other)) / tests)


def _name(key: str) -> str:
    return "a random genotype, trained alike," if key == RANDOM else f"a {key.replace('_', ' ')}"
