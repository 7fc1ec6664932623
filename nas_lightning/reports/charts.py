"""The charts of a run by name, and those of its result: comparison and confusion."""

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import altair as alt
from altair.typing import ChartType

from nas_lightning.reports.alpha_charts import draw_alphas
from nas_lightning.reports.answer_charts import draw_calibration, draw_values
from nas_lightning.reports.colours import CYCLE, INK, PALE
from nas_lightning.reports.curve_charts import draw_curves, draw_trials
from nas_lightning.reports.metric import (
    MainMetric,
    input_word,
    metric_of,
    network_name,
    rewards_differ,
)
from nas_lightning.reports.records import (
    ChildRecords,
    read_alphas,
    read_child,
    read_metrics,
    read_trials,
)
from nas_lightning.reports.rendering import hover, plot, styled, value_axis

__all__ = ["draw_comparison", "draw_confusion", "figures"]

MOST_CLASSES = 20
BLUE, ORANGE = CYCLE[:2]
FOUND = "the found network"


def figures(
    folder: Path, result: Mapping[str, Any] | None = None, child: ChildRecords | None = None
) -> dict[str, ChartType]:
    """Returns the charts of a run's folder by name; what the run did not leave is left out.

    Each is a chart of Altair: "alphas" (the weight of every option), "trials" (the scores of a
    black-box search), "search" and "child" (the curves of their metrics), "comparison" (the child
    beside the baselines), "confusion" (which class is taken for which), "calibration" (share right
    by confidence), "values" (predicted against true ones).

    Args:
        folder: the run's folder.
        result: the content of result.json; None reads it.
        child: what the child left; None reads it.

    Raises: ValueError: a file of the run is damaged; the message names it.
    """
    if result is None:
        result = _json(folder / "result.json")
    metric = metric_of(result)
    objective = str(result["objective"]) if rewards_differ(result) else ""
    charts: dict[str, ChartType | None] = {}
    if alphas := read_alphas(folder / "alphas.csv"):
        charts["alphas"] = draw_alphas(alphas, result.get("choices"), result.get("options", ()))
    trials = read_trials(folder / "trials.jsonl")
    pareto = _json(folder / "pareto.json")
    members = {trial["trial"] for trial in pareto.get("front", ())}
    front = dict.fromkeys(pareto.get("names", ()), members)
    charts["trials"] = draw_trials(trials, metric, objective, front)
    if "trials" not in (result.get("search") or {}):  # a black-box search shows its trials instead
        charts["search"] = draw_curves(read_metrics(folder / "metrics.csv"), "The search")
    child = child or read_child(folder / "child")
    charts["child"] = draw_curves(child.metrics, "The training of the child")
    charts["comparison"] = draw_comparison(result, metric)
    charts["confusion"] = draw_confusion(*child.confusion, input_word(result))
    charts["calibration"] = draw_calibration(child.answers)
    charts["values"] = draw_values(child.values)
    return {name: chart for name, chart in charts.items() if chart is not None}


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def draw_comparison(result: Mapping[str, Any], metric: MainMetric) -> ChartType | None:
    """Returns the child's test metric beside the baselines'; None where there is one value only."""
    parts = {FOUND: result.get("child"), **(result.get("baselines") or {})}
    rows = [
        {"network": network_name(key), "value": value, "text": metric.text(value)}
        for key, part in parts.items()
        if isinstance(value := (part or {}).get(f"test_{metric.name}"), int | float)
        and isfinite(value)
    ]
    if len(rows) < 2:
        return None
    title = f"test {metric.words}{'' if metric.is_higher_better else ' (lower is better)'}"
    values = [float(row["value"]) for row in rows]
    axis = value_axis(values, metric.is_share)
    axis.labelOverlap = "greedy"
    room = alt.Scale(zero=False, padding=40)
    if metric.is_share:  # which has no room beyond 100 %
        beside = (max(values) - min(values)) / 8 or 0.05
        room = alt.Scale(domain=[max(0, min(values) - beside), min(1, max(values) + beside)])
    names = alt.Axis(grid=True, labelLimit=260, labelColor=INK, domain=False)
    base = plot(rows).encode(
        x=alt.X("value:Q", title=title, axis=axis, scale=room),
        y=alt.Y("network:N", title=None, sort=None, axis=names),
        color=alt.condition(f"datum.network == '{FOUND}'", alt.value(BLUE), alt.value(PALE)),
        tooltip=["network:N", hover("value", title, metric.is_share)],
    )
    dots = base.mark_circle(size=160, opacity=1)
    texts = base.mark_text(dy=-13, fontSize=11, fontWeight="bold").encode(text="text:N")
    words = "; ".join(f"{row['network']}: {row['text']}" for row in rows)
    chart = alt.layer(dots, texts).properties(width=360, height=40 * len(rows))
    return styled(chart, title, words)


def draw_confusion(
    names: Sequence[str], counts: Sequence[Sequence[int]], word: str = "image"
) -> ChartType | None:
    """Returns how many of each class (row) are taken for which (column); None of many classes.

    `word` is what one input is called.
    """
    if not 0 < len(names) <= MOST_CLASSES:
        return None
    rows = []
    for true, row in zip(names, counts, strict=True):
        for guess, count in zip(names, row, strict=True):
            share = count / max(1, sum(row))
            kind, shade = ("right", share) if guess == true else ("wrong", min(1.0, 3 * share))
            field = {"class": true, "guess": guess, "count": count}
            rows.append(field | {"share": share, "kind": kind, "shade": round(shade, 4)})
    side = 26 * len(names)
    base = plot(rows).encode(
        x=alt.X("guess:N", title="taken for", sort=None).axis(orient="top", labelAngle=-45),
        y=alt.Y("class:N", title=f"class of the {word}", sort=None),
        tooltip=["class:N", "guess:N", "count:Q", hover("share", "share of the class", True)],
    )
    colours = alt.Scale(domain=["right", "wrong"], range=[BLUE, ORANGE])
    fields = base.mark_rect(stroke="#d9dfe6", strokeWidth=0.5).encode(
        color=alt.Color("kind:N", legend=None, scale=colours),
        fillOpacity=alt.FillOpacity("shade:Q", legend=None).scale(domain=[0, 1], range=[0, 0.8]),
    )
    ink = alt.condition("datum.shade > 0.9", alt.value("#ffffff"), alt.value(INK))
    texts = base.mark_text(fontSize=11).encode(text="count:Q", color=ink)
    chart = alt.layer(fields, texts.transform_filter("datum.count > 0"))
    title = f"Test {word}s by class (row)"
    return styled(chart.properties(width=side, height=side), title)
