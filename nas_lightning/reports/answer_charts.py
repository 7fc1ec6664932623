"""How far the answers of a child can be trusted: calibration of classes, errors of values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import altair as alt
from altair.typing import ChartType

from nas_lightning.reports.colours import CYCLE, PALE
from nas_lightning.reports.records import Answer, Points, thin
from nas_lightning.reports.rendering import beside, hover, plot, styled

__all__ = ["Calibration", "calibration_of", "draw_calibration", "draw_values"]

BINS, SIDE = 10, 250
MOST_POINTS, MOST_OUTPUTS = 1000, 6
BLUE = CYCLE[0]


@dataclass(frozen=True)
class Calibration:
    """How confidence and correctness of some answers agree; all numbers are shares in [0, 1].

    Source: Guo et al., On calibration of modern neural networks, 2017 (arXiv:1706.04599),
    equation 3, with 10 bins of equal width.

    Attributes:
        bins: of each bin that has answers: its ends, their number, share right, mean confidence.
        error: the expected calibration error.
        confidence: the mean of all answers.
        accuracy: the share of all answers that is right.
    """

    bins: tuple[dict[str, float], ...]
    error: float
    confidence: float
    accuracy: float


def calibration_of(answers: Sequence[Answer]) -> Calibration:
    """Returns the calibration of at least one answer."""
    filled: dict[int, list[Answer]] = {}
    for answer in answers:
        place = min(BINS - 1, int(answer.confidence * BINS))
        filled.setdefault(place, []).append(answer)
    bins = []
    for place, members in sorted(filled.items()):
        right, sure = _accuracy(members), mean(answer.confidence for answer in members)
        ends = {"low": place / BINS, "high": (place + 1) / BINS}
        bins.append({**ends, "answers": len(members), "right": right, "confidence": sure})
    gaps = (each["answers"] * abs(each["right"] - each["confidence"]) for each in bins)
    confidence = mean(answer.confidence for answer in answers)
    return Calibration(tuple(bins), sum(gaps) / len(answers), confidence, _accuracy(answers))


def _accuracy(answers: Sequence[Answer]) -> float:
    return mean(float(answer.true == answer.predicted) for answer in answers)


def draw_calibration(answers: Sequence[Answer]) -> ChartType | None:
    """Returns the share right of each bin of confidences, with the diagonal; None of no answer."""
    if not answers:
        return None
    calibration = calibration_of(answers)
    share = alt.Axis(format=".0%", values=[0, 0.2, 0.4, 0.6, 0.8, 1])
    ends = alt.Scale(domain=[0, 1])
    right = alt.Y("right:Q", title="share right", axis=share, scale=ends)
    told = [hover("confidence", "mean confidence", True), hover("right", "share right", True)]
    told.append(alt.Tooltip("answers:Q", title="answers", format=","))
    base = plot(calibration.bins)
    bars = base.mark_rect(color=BLUE, opacity=0.3).encode(
        x=alt.X("low:Q", title="confidence", axis=share, scale=ends),
        x2="high:Q",
        y=right,
        y2=alt.datum(0),
        tooltip=told,
    )
    dots = base.mark_circle(color=BLUE, opacity=1).encode(
        x=alt.X("confidence:Q", title="confidence"),
        y=right,
        size=alt.Size("answers:Q", legend=None).scale(range=[20, 200]),
        tooltip=told,
    )
    chart = alt.layer(bars, _diagonal(ends), dots).properties(width=SIDE, height=SIDE)
    words = f"expected calibration error {100 * calibration.error:.1f} %"
    return styled(chart, "Share right by confidence", f"Share right by confidence; {words}")


def draw_values(values: Mapping[str, Points]) -> ChartType | None:
    """Returns a chart of predicted against true values for each output; None of no output."""
    charts: list[ChartType] = []
    for name, pairs in list(values.items())[:MOST_OUTPUTS]:
        rows = [{"true": true, "predicted": guess} for true, guess in thin(pairs, MOST_POINTS)]
        every = [value for row in rows for value in row.values()]
        ends = alt.Scale(domain=[min(every), max(every)])
        dots = plot(rows).mark_circle(color=BLUE, opacity=0.5, size=24)
        dots = dots.encode(
            x=alt.X("true:Q", title="true value", scale=ends).axis(tickCount=5),
            y=alt.Y("predicted:Q", title="predicted", scale=ends).axis(tickCount=5),
            tooltip=[hover("true", "true value"), hover("predicted", "predicted")],
        )
        chart = alt.layer(_diagonal(ends), dots)
        charts.append(chart.properties(title=name, width=SIDE, height=SIDE))
    return beside(charts, "Predicted against true values") if charts else None


def _diagonal(ends: alt.Scale) -> alt.Chart:
    line = plot([{"x": end, "y": end} for end in ends["domain"]])
    dashed = line.mark_line(color=PALE, strokeDash=[4, 3])
    diagonal: alt.Chart = dashed.encode(x=alt.X("x:Q", scale=ends), y=alt.Y("y:Q", scale=ends))
    return diagonal
