"""The plots of a run as SVG: weights of options, training curves, scores of trials."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from nas_lightning.reports.chart import Chart, Curve, draw_chart, draw_legend, ending, thin
from nas_lightning.reports.measure import Measure
from nas_lightning.reports.palette import Paint, palette
from nas_lightning.reports.records import AlphaCurve, Points, TrialScore
from nas_lightning.reports.svg import element, number, picture, text

__all__ = ["draw_alpha_panels", "draw_alphas", "draw_curves", "draw_trials", "readable"]

_INK = "#1f2933"
_EPOCHS = "epochs done"
_MOST_POINTS = 60_000
_PANEL = (190.0, 150.0)
_GAP = 14.0


def draw_alpha_panels(alphas: Sequence[AlphaCurve]) -> dict[str, tuple[str, ...]]:
    """Returns one small chart a choice, by cell: what stands before the "/" of its name.

    All charts have the same axes; each names the option that leads at the end, if one does.
    """
    paints = palette(curve.option for curve in alphas)
    most = max(2, min(120, _MOST_POINTS // max(1, len(alphas))))
    shorter = [replace(curve, points=thin(curve.points, most)) for curve in alphas]
    highest = max((y for curve in shorter for _, y in curve.points), default=1.0)
    lowest = min((y for curve in shorter for _, y in curve.points), default=0.0)
    last = max((x for curve in shorter for x, _ in curve.points), default=1.0)
    first = min((x for curve in shorter for x, _ in curve.points), default=0.0)
    frame = Chart(
        "",
        x_limits=(first, last),
        y_limits=(min(0.0, lowest), highest),
        width=_PANEL[0],
        height=_PANEL[1],
    )
    choices: dict[str, list[AlphaCurve]] = {}
    for curve in shorter:
        choices.setdefault(curve.choice, []).append(curve)
    panels: dict[str, tuple[str, ...]] = {}
    for name, curves in choices.items():
        cell, _, choice = name.rpartition("/")
        panel = _draw_panel(frame, choice, curves, paints)
        panels[cell] = (*panels.get(cell, ()), panel)
    return panels


def draw_alphas(alphas: Sequence[AlphaCurve], columns: int = 5) -> str:
    """Returns all charts of `draw_alpha_panels` and their legend as one SVG document.

    Args:
        alphas: the curves.
        columns: how many charts stand beside each other, at least 1.
    """
    width = columns * (_PANEL[0] + _GAP) + _GAP
    paints = palette(curve.option for curve in alphas)
    entries, bottom = draw_legend(list(paints.items()), _GAP, 24, width - 2 * _GAP)
    parts, bottom = [entries], bottom + 12
    for cell, panels in draw_alpha_panels(alphas).items():
        parts.append(text(cell, _GAP, bottom + 30, 15, fill=_INK, font_weight=600))
        bottom += 44
        for index, panel in enumerate(panels):
            x = _GAP + index % columns * (_PANEL[0] + _GAP)
            y = bottom + index // columns * (_PANEL[1] + _GAP)
            parts.append(panel.replace("<svg ", f'<svg x="{number(x)}" y="{number(y)}" ', 1))
        bottom += -(-len(panels) // columns) * (_PANEL[1] + _GAP)
    paper = element("rect", width=width, height=bottom, fill="#ffffff")
    return picture(width, bottom, paper + "".join(parts), "weights of the options over the search")


def draw_curves(metrics: Mapping[str, Points]) -> tuple[str, ...]:
    """Returns one chart for each kind of metric: those whose names end alike share one.

    Args:
        metrics: by name, e.g. "search/train_loss"; durations (names in "_s") are left out.
    """
    kinds: dict[str, list[str]] = {}
    for name in metrics:
        if not name.endswith("_s"):
            kinds.setdefault(re.split(r"[/_]", name)[-1], []).append(name)
    return tuple(_draw_kind(kind, {n: metrics[n] for n in kinds[kind]}) for kind in _sorted(kinds))


def draw_trials(
    trials: Sequence[TrialScore], measure: Measure | None = None, stage: str = "validation"
) -> str:
    """Returns the score of each trial, and the best so far.

    Args:
        trials: the scores in order.
        measure: what the scores are; None means accuracy.
        stage: word before it, e.g. the images that it was measured on.
    """
    measure = measure or Measure()
    points = tuple((trial.number + 1.0, trial.score) for trial in trials)
    better = max if measure.is_higher_better else min
    best = tuple(
        (x, y) for (x, _), y in zip(points, accumulate((y for _, y in points), better), strict=True)
    )
    curves = (
        Curve("best so far", best, Paint("#cc4f0a", ""), "steps"),
        Curve("trial", points, Paint("#0068a8", ""), "points"),
    )
    chart = Chart(
        f"{stage} {measure.words} of each trial",
        key=tuple((curve.label, curve.paint) for curve in curves[::-1]),
        x_label="trial",
        is_share=measure.is_share,
        width=400,
        height=230,
    )
    return draw_chart(chart, curves)


def _draw_panel(
    frame: Chart, choice: str, curves: Sequence[AlphaCurve], paints: Mapping[str, Paint]
) -> str:
    lines = [Curve(c.option, c.points, paints[c.option], width=1.3) for c in curves]
    left = ending(lines)
    highest = max(line.points[-1][1] for line in left)
    leader, *equals = [line for line in left if line.points[-1][1] == highest]
    key = () if equals else ((f"{leader.label} {highest:.2f}", leader.paint),)
    others = [line for line in lines if line is not leader]
    chart = replace(frame, title=readable(choice), key=key)
    return draw_chart(chart, [*others, replace(leader, width=2.6)])


def _draw_kind(kind: str, metrics: Mapping[str, Points]) -> str:
    names = {name: name.rpartition("/")[2].replace("_", " ") for name in metrics}
    paints = palette(map(str, range(len(names)))).values()
    curves = [
        Curve(label, thin(metrics[name], 300), paint)
        for (name, label), paint in zip(names.items(), paints, strict=True)
    ]
    title = kind if len(curves) > 1 else next(iter(names.values()))
    is_share = kind in ("accuracy", "share", "f1", "match")
    key = tuple((curve.label, curve.paint) for curve in curves) if len(curves) > 1 else ()
    chart = Chart(title, key=key, x_label=_EPOCHS, is_share=is_share)
    return draw_chart(chart, curves)


def _sorted(kinds: Mapping[str, object]) -> list[str]:
    first = ("accuracy", "f1", "rmse", "loss", "entropy")
    places = {kind: place for place, kind in enumerate(first)}
    return sorted(kinds, key=lambda kind: (places.get(kind, len(first)), kind))


def readable(choice: str) -> str:
    """Returns the name of a choice as it stands over its chart.

    >>> readable("edge_0_2").replace("\u2192", "to")
    'edge 0 to 2'
    """
    edge = re.fullmatch(r"edge_([^_]+)_([^_]+)", choice)
    return f"edge {edge[1]} \u2192 {edge[2]}" if edge else choice.replace("_", " ")
