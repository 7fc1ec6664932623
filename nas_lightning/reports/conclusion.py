"""Whether a search was worth it: its child beside random ones and what needs no search."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from nas_lightning.reports.metric import MainMetric, input_word, number_at
from nas_lightning.reports.numbers import count

__all__ = ["NAMES", "RANDOM", "Conclusion", "conclude", "verdict_words"]

RANDOM, RESNET = "random_genotype", "resnet"
NAMES = {  # of what is trained beside a child
    RANDOM: "a random genotype, trained alike,",
    RESNET: "a ResNet of its size, trained alike,",
}
LINEAR = "is simpler, faster and at least as good: these data may not need a network."
SIMPLER = {
    "logistic_regression": f"The logistic regression {LINEAR}",
    "linear_regression": f"The linear regression {LINEAR}",
    RESNET: "The ResNet of its size needs no search and is at least as good.",
}


@dataclass(frozen=True)
class Conclusion:
    """The answer in short, and the sentences that give its reasons.

    `outcome` is "better", "close" (within what chance may do), "not better", or "unknown".
    """

    outcome: str
    answer: str
    reasons: tuple[str, ...] = ()


def conclude(result: Mapping[str, Any], metric: MainMetric, tests: int = 0) -> Conclusion:
    """Returns whether the child of a result is better than what needs no search.

    `tests` is the number of inputs in the test set, 0 where it is not known. A verdict on random
    children takes the place of the one random genotype.
    """
    key, baselines = f"test_{metric.name}", result.get("baselines") or {}
    if (child := number_at(result, "child", key)) is None:
        return Conclusion("unknown", "Not known: no network was trained, so nothing was tested.")
    others = {name: v for name, b in baselines.items() if (v := number_at(b, key)) is not None}
    verdict = result.get("verdict")
    if not others and not verdict:
        return Conclusion("unknown", "Not known: nothing else was trained to compare it with.")
    sign = 1 if metric.is_higher_better else -1
    gains = {name: sign * (child - value) for name, value in others.items()}
    chances = {name: _chance(child, value, metric, tests) for name, value in others.items()}
    judged = [name for name in gains if not (verdict and name == RANDOM)]
    standing = _Standing(
        behind=[_name(name) for name in judged if gains[name] <= 0],
        close=[_name(name) for name in judged if 0 < gains[name] <= chances[name]],
        ahead=[_name(n).rstrip(",") for n in judged if gains[n] > max(0.0, chances[n])],
    )
    reasons = list[str]()
    if verdict:
        reasons += _beside_children(verdict, metric)
    elif RANDOM in others:
        reasons.append(_beside_random(child, others[RANDOM], baselines, metric))
    reasons += [SIMPLER[name] for name, gain in gains.items() if name in SIMPLER and gain <= 0]
    if chance := max(chances.values(), default=0.0):
        reasons.append(
            f"With {tests:,} test {input_word(result)}s, differences below about "
            f"{100 * chance:.1f} percentage points may be chance."
        )
    outcome, answer = standing.after(verdict) if verdict else standing.alone()
    return Conclusion(outcome, answer, tuple(reasons))


def verdict_words(verdict: Mapping[str, Any]) -> str:
    """Returns the verdict of a result as a sentence."""
    answer, children, wins = verdict["answer"], verdict["children"], verdict["wins"]
    networks = f"random network{'' if children == 1 else 's'} of its space, trained alike"
    words = f"{answer.capitalize()}: the network beats {wins} of {children} {networks}"
    if answer != "undecided":
        return f"{words}."
    if (more := verdict["more_children"]) is None:
        return f"{words}; more of them would hardly decide."
    about = "" if children == wins else "about "
    return f"{words}; {about}{more} more would decide (verdict.children={children + more})."


@dataclass(frozen=True)
class _Standing:
    """What the child is not better than, what by chance perhaps, and what it is better than."""

    behind: list[str]
    close: list[str]
    ahead: list[str]

    def alone(self) -> tuple[str, str]:
        """Returns outcome and answer where there is no verdict."""
        does = "does" if len(self.behind) == 1 else "do"
        if self.behind:
            answer = f"No: {' and '.join(self.behind)} {does} as well here or better."
        elif self.close:
            answer = f"Not shown: {self._chance}."
        else:
            return "better", f"Yes, on this test set: better than {' and '.join(self.ahead)}."
        more = f" It is better than {' and '.join(self.ahead)}." if self.ahead else ""
        return "not better" if self.behind else "close", answer + more

    def after(self, verdict: Mapping[str, Any]) -> tuple[str, str]:
        """Returns outcome and answer where the verdict comes first."""
        answers = [verdict_words(verdict)]
        if self.behind:
            does = "does" if len(self.behind) == 1 else "do"
            names = " and ".join(self.behind)
            answers.append(f"{names[0].upper()}{names[1:]} {does} as well here or better.")
        if self.close:
            answers.append(f"{self._chance[0].upper()}{self._chance[1:]}.")
        if self.ahead:
            answers.append(f"It is better than {' and '.join(self.ahead)}.")
        outcome = {"worth it": "better", "not worth it": "not better"}.get(
            verdict["answer"], "close"
        )
        return "not better" if self.behind else outcome, " ".join(answers)

    @property
    def _chance(self) -> str:
        return f"the gain over {' and '.join(self.close)} is small enough to be chance"


def _beside_children(verdict: Mapping[str, Any], metric: MainMetric) -> list[str]:
    """Returns what the verdict rests on."""
    low, high = (f"{100 * share:.3g} %" for share in verdict["win_share"])
    words = (
        f"It beats {low} to {high} of all random networks of its space (95 % interval, however "
        "often one looks)."
    )
    if verdict["answer"] == "worth it":
        words += " At most 1 in 20 searches that find no more than a random one do so well."
    elif verdict["answer"] == "not worth it":
        words += " More than 1 in 20 of them do as well."
    reasons = [words]
    if (difference := verdict["difference"]) is not None:
        ends = [_much(end, metric) for end in verdict["interval"] if end is not None]
        interval = f" (95 % interval {ends[0]} to {ends[1]})" if ends else ""
        side = "better" if difference >= 0 else "worse"
        unit = " percentage points" if metric.is_share else ""
        reasons.append(
            f"Its test {metric.words} is {_much(abs(difference), metric)}{unit} {side} than the "
            f"median of these random networks{interval}."
        )
    return reasons


def _much(value: float, metric: MainMetric) -> str:
    return f"{100 * value:.2f}" if metric.is_share else f"{value:.3g}"


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
    return NAMES.get(key, f"a {key.replace('_', ' ')}")
