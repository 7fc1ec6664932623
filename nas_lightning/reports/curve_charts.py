"""What a run measured over time: metrics over epochs, scores over trials and against costs."""

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate
from typing import Any

import altair as alt
from altair.typing import ChartType

from nas_lightning.reports.colours import CYCLE
from nas_lightning.reports.metric import MainMetric
from nas_lightning.reports.records import Points, TrialRecord, thin
from nas_lightning.reports.rendering import beside, hover, plot, quantity, whole_ticks

__all__ = ["draw_curves", "draw_trials"]

SIZE = {"width": 250, "height": 150}
MOST_POINTS = 300
BLUE, ORANGE = CYCLE[:2]
FIRST = ("accuracy", "f1", "rmse", "loss", "entropy")  # kinds of metrics, in this order
SHARES = ("accuracy", "share", "f1", "match")
COSTS = {
    "parameters": "parameters",
    "multiply_adds": "multiply-adds",
    "latency_ms": "latency (ms)",
}


def draw_curves(metrics: Mapping[str, Points], title: str) -> ChartType | None:
    """Returns a chart for each kind of metric, those whose names end alike; None of no metric.

    Names are e.g. "search/train_loss"; durations (names in "_s") are left out.
    """
    kinds: dict[str, dict[str, Points]] = {}
    for name, points in metrics.items():
        if not name.endswith("_s"):
            kind = re.split(r"[/_]", name)[-1]
            kinds.setdefault(kind, {})[name.rpartition("/")[2].replace("_", " ")] = points
    places = {kind: place for place, kind in enumerate((*FIRST, *sorted(set(kinds) - set(FIRST))))}
    charts = [_draw_kind(kind, kinds[kind]) for kind in sorted(kinds, key=places.__getitem__)]
    curves = [curve for kind in kinds.values() for curve in kind.items()]
    last = "; ".join(f"{name}: {points[-1][1]:.4g}" for name, points in curves)
    return beside(charts, title, f"{title}. Last values: {last}") if charts else None


def _draw_kind(kind: str, curves: Mapping[str, Points]) -> ChartType:
    rows = []
    for name, points in curves.items():
        x, y = zip(*thin(points, MOST_POINTS), strict=True)
        rows.append({"curve": name, "epoch": x, "value": y})
    epochs = [epoch for points in curves.values() for epoch, _ in points]
    first, last = min(epochs), max(epochs)
    sides = {"domain": [first - 1, last + 1]} if first == last else {"zero": False, "nice": False}
    values = [value for points in curves.values() for _, value in points]
    legend = alt.Legend(orient="bottom", title=None, columns=2) if len(curves) > 1 else None
    axis = alt.Axis(values=whole_ticks(first, last, 8), grid=False, format="d")
    value = hover("value", kind, kind in SHARES)
    lines = plot(rows).transform_flatten(["epoch", "value"]).mark_line(point={"size": 14})
    chart: ChartType = lines.encode(
        x=alt.X("epoch:Q", title="epochs done", axis=axis).scale(**sides),
        y=quantity("value", kind, values, kind in SHARES),
        color=alt.Color("curve:N", legend=legend).scale(domain=list(curves), range=list(CYCLE)),
        tooltip=["curve:N", hover("epoch", "epochs done"), value],
    )
    return chart.properties(title=kind if len(curves) > 1 else next(iter(curves)), **SIZE)


def draw_trials(
    trials: Sequence[TrialRecord],
    metric: MainMetric,
    objective: str,
    front: Mapping[str, Collection[int]],
) -> ChartType | None:
    """Returns the score of each trial over time and against each cost; None where none has one.

    Args:
        trials: in the order of time.
        metric: the main metric.
        objective: "", or the kind of the rewards that led the search; they are drawn first.
        front: numbers of the trials on the Pareto front, by the names of the values it trades.
    """
    score = f"validation_{metric.name}"
    charts: list[ChartType] = []
    if objective:
        reward = MainMetric("reward", is_share=False)
        charts += _draw_scores(trials, "reward", f"{objective} reward", reward)
    charts += _draw_scores(trials, score, f"validation {metric.words}", metric)
    for cost in COSTS:
        charts += _draw_costs(trials, score, cost, metric, front.get(cost, ()))
    return beside(charts, "Trials of the search") if charts else None


def _draw_scores(
    trials: Sequence[TrialRecord], name: str, words: str, metric: MainMetric
) -> list[ChartType]:
    """Returns the score of each trial, and the best so far; nothing of no score."""
    scored = [trial for trial in trials if name in trial.values]
    scored.sort(key=lambda trial: trial.number)  # workers finish in another order
    best = accumulate((t.values[name] for t in scored), max if metric.is_higher_better else min)
    rows = []
    for trial, so_far in zip(scored, best, strict=True):
        told = {"trial": trial.number + 1, "genotype": trial.genotype}
        rows.append(told | {"kind": "trial", "score": trial.values[name]})
        rows.append(told | {"kind": "best so far", "score": so_far})
    if not rows:
        return []
    colour = alt.Color("kind:N", legend=alt.Legend(orient="bottom", title=None))
    numbers, scores = zip(*((row["trial"], row["score"]) for row in rows), strict=True)
    ticks = alt.Axis(values=whole_ticks(min(numbers), max(numbers), 8), grid=False, format="d")
    base = plot(rows).encode(
        x=alt.X("trial:Q", axis=ticks).scale(domain=[min(numbers) - 0.5, max(numbers) + 0.5]),
        y=quantity("score", words, scores, metric.is_share),
        color=colour.scale(domain=["trial", "best so far"], range=[BLUE, ORANGE]),
        tooltip=["trial:Q", "genotype:N", hover("score", words, metric.is_share)],
    )
    line = base.transform_filter("datum.kind !== 'trial'").mark_line(interpolate="step-after")
    points = base.transform_filter("datum.kind === 'trial'").mark_circle(size=40, opacity=0.7)
    chart = alt.layer(line, points).properties(title=f"{words} of each trial", **SIZE)
    return [chart]


def _draw_costs(
    trials: Sequence[TrialRecord], score: str, cost: str, metric: MainMetric, front: Collection[int]
) -> list[ChartType]:
    rows: list[dict[str, Any]] = []
    for trial in trials:
        if score in trial.values and cost in trial.values:
            told = {"trial": trial.number + 1, "genotype": trial.genotype}
            told |= {"score": trial.values[score], "cost": trial.values[cost]}
            kind = "Pareto front" if trial.number in front else "other trials"
            rows.append(told | {"kind": kind})
    if not rows:
        return []
    words, scores = score.replace("_", " "), [row["score"] for row in rows]
    key = alt.Legend(orient="bottom", title=None) if front else None
    colour = alt.Color("kind:N", legend=key)
    price = alt.Tooltip("cost:Q", title=COSTS[cost], format=",")
    base = plot(rows).encode(
        x=alt.X("cost:Q", title=COSTS[cost]).scale(zero=False).axis(format="~s", tickCount=5),
        y=quantity("score", words, scores, metric.is_share),
        color=colour.scale(domain=["Pareto front", "other trials"], range=[ORANGE, BLUE]),
        tooltip=["trial:Q", "genotype:N", hover("score", words, metric.is_share), price],
    )
    points = base.mark_circle(size=40, opacity=0.7)
    return [points.properties(title=f"{words} against {COSTS[cost]}", **SIZE)]
