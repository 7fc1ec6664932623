"""The page that compares runs: tables, cost against what was reached, genotypes side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt
from altair.typing import ChartType
from markupsafe import Markup

from nas_lightning.reports.colours import CYCLE, dark_scheme
from nas_lightning.reports.metric import MainMetric
from nas_lightning.reports.numbers import count, duration
from nas_lightning.reports.page import read_network
from nas_lightning.reports.paper import page_style
from nas_lightning.reports.rendering import chart_parts, hover, javascript, plot, quantity, styled
from nas_lightning.reports.templates import fill

__all__ = ["COLUMNS", "cells_of", "comparison_html", "draw_costs"]

COLUMNS = ("", "runs", "test", "over a random genotype", "worth it", "params", "multiply-adds",
           "search samples", "search time")  # fmt: skip
MOST_DRAWINGS, MOST_BYTES = 12, 1_800_000  # of the whole page, which stays below 3 MB


def comparison_html(
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
    metrics: Mapping[str, MainMetric],
    notes: Sequence[str],
) -> str:
    """Returns the page of a comparison; without JavaScript its charts are pictures.

    Args:
        tables: by question the rows of groups, as `Comparison` holds them.
        metrics: by question what judged the runs.
        notes: sentences that stand above the tables.
    """
    charts = [_chart(rows, metrics[question]) for question, rows in tables.items()]
    with_chart, room = _fitting(charts, MOST_BYTES)
    networks, remarks = _networks(list(tables.values()))
    with_network, _ = _fitting([network for _, network in networks][:MOST_DRAWINGS], room)
    sections = []
    for place, (question, rows) in enumerate(tables.items()):
        numbers = [number for number, (table, _) in enumerate(networks) if table == place]
        drawings = [networks[number][1] for number in numbers if number in with_network]
        sections.append(
            {
                "title": question,
                "rows": [cells_of(row, metrics[question]) for row in rows],
                "chart": charts[place] if place in with_chart else None,
                "is_chart_left_out": place not in with_chart,
                "drawings": drawings,
                "left_out": len(numbers) - len(drawings),
                "folders": [(row["name"], row["folders"]) for row in rows],
            }
        )
    return fill(
        "comparison.html.jinja",
        columns=COLUMNS,
        sections=sections,
        notes=[*notes, *remarks],
        style=page_style(),
        dark=dark_scheme(),
        script=Markup(javascript()) if any(part["chart"] for part in sections) else "",
    )


def _chart(rows: Sequence[Mapping[str, Any]], metric: MainMetric) -> dict[str, Any] | None:
    chart = draw_costs(rows, metric)
    return None if chart is None else chart_parts(chart)


def _networks(
    tables: Sequence[Sequence[Mapping[str, Any]]],
) -> tuple[list[tuple[int, dict[str, Any]]], list[str]]:
    """Returns drawings, each with the place of its table, the best first; notes of broken ones."""
    ranked = [(rank, place) for place, rows in enumerate(tables) for rank in range(len(rows))]
    networks, broken = [], []
    for rank, place in sorted(ranked):
        row = tables[place][rank]
        try:
            network = read_network(Path(row["drawing"]))
        except ValueError as error:
            broken.append(f"{error}; the drawing is left out")
            continue
        if network is not None:
            networks.append((place, {"name": row["name"], "id": row["genotype"], **network}))
    return networks, broken


def _fitting(parts: Sequence[object], room: int) -> tuple[set[int], int]:
    """Returns the places of the parts that have room in the page, and the room that is left."""
    places = set()
    for place, part in enumerate(parts):
        if (size := len(str(part or ""))) <= room:
            places.add(place)
            room -= size
    return places, room


def cells_of(row: Mapping[str, Any], metric: MainMetric) -> list[str]:
    """Returns a group's row as texts, one for each of COLUMNS."""
    gain = "-" if row["gain"] is None else _signed(row["gain"], metric)
    if row["gain_interval"] is not None:
        gain += f" \u00b1 {_size(row['gain_interval'], metric)}"
    spread = "" if row["test_std"] is None else f" \u00b1 {_size(row['test_std'], metric)}"
    return [
        row["name"],
        str(row["runs"]),
        metric.text(row["test"]) + spread,
        gain,
        row["worth_it"] or "-",
        *(count(value and round(value)) for value in (row["parameters"], row["multiply_adds"])),
        count(row["samples"]),
        duration(row["seconds"]),
    ]


def _size(value: float, metric: MainMetric) -> str:
    return f"{100 * value:.2f}" if metric.is_share else f"{value:.3g}"


def _signed(value: float, metric: MainMetric) -> str:
    return f"{100 * value:+.2f}" if metric.is_share else f"{value:+.3g}"


def draw_costs(rows: Sequence[Mapping[str, Any]], metric: MainMetric) -> ChartType | None:
    """Returns what the groups reached against what their searches cost, on a log axis.

    A large dot is a group's mean with its deviation over seeds, the small ones are its runs. None
    where no group has both.
    """
    points, runs = [], []
    for row in rows:
        if row["samples"] and row["test"] is not None:
            spread = row["test_std"] or 0.0
            told = {"group": row["name"], "samples": row["samples"]}
            bounds = {"low": row["test"] - spread, "high": row["test"] + spread}
            points.append(told | {"test": row["test"], "runs": row["runs"]} | bounds)
            runs += [told | {"test": value} for value in row["tests"]]
    if not points:
        return None
    words = f"test {metric.words}"
    x = alt.X("samples:Q", title="training samples of the search").scale(type="log", padding=30)
    y = quantity("test", words, [each["test"] for each in (*points, *runs)], metric.is_share)
    colour = alt.Color("group:N", sort=None, scale=alt.Scale(range=list(CYCLE)))
    colour = colour.legend(orient="bottom", title=None, columns=1, labelLimit=500)
    shown = ["group:N", "runs:Q", hover("test", f"mean {words}", metric.is_share),
             alt.Tooltip("samples:Q", format=",")]  # fmt: skip
    base = plot(points).encode(x=x.axis(format="~s"), color=colour)
    bars = base.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q", title=words), y2="high:Q")
    dots = base.mark_circle(size=140, opacity=1).encode(y=y, tooltip=shown)
    small = plot(runs).mark_circle(size=26, opacity=0.55).encode(x=x, y=y, color=colour)
    chart = alt.layer(small, bars, dots).properties(width=520, height=300)
    return styled(chart, f"{words} against the cost of the search")
