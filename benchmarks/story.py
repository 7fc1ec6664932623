"""Draws the story of the field from its sweep: cost against test accuracy, and the found cells.

    make story    # or the sweep of docs/story.md, and then
    python benchmarks/story.py outputs/sweep/story [--picture docs/images/story.svg]

It prints a Markdown table, and puts the picture together: on the left mean and 95 % interval
(Student's t) of the test accuracy by the training samples of the search, the children of random
genotypes as a line; on the right the best found cell of each strategy.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any
from xml.etree import ElementTree

import altair as alt
from scipy.stats import t as student

from nas_lightning.reports.colours import CYCLE, INK, PALE
from nas_lightning.reports.rendering import chart_svg, plot, quantity, styled

TITLES = {
    "annealing": "annealing, full training (1988)",
    "reinforce": "RL, full training (2017)",
    "ppo": "NASNet: RL, proxy (2018)",
    "enas": "ENAS (2018)",
    "darts": "DARTS (2019)",
    "gdas": "GDAS (2019)",
}
CHART, CELLS, GAP = (560, 620), 3, 24  # pixels, drawings in a row, pixels
SVG = "http://www.w3.org/2000/svg"
BESIDE = 1.07
Row = dict[str, Any]


def read(sweep: Path) -> list[Row]:
    """Returns a row per strategy that has runs, in the order of the story.

    Raises: SystemExit: a run of the sweep has no result.
    """
    folders = sorted((each for each in sweep.glob("[0-9]*")), key=lambda each: int(each.name))
    if unfinished := [each.name for each in folders if not (each / "result.json").exists()]:
        raise SystemExit(f"unfinished: {', '.join(unfinished)}; nas-search resume={sweep}")
    runs = [json.loads((each / "result.json").read_text()) for each in folders]
    chances = {run["seed"]: chance(runs, run["seed"]) for run in runs}
    rows = []
    for strategy, title in TITLES.items():
        own = [(f, r) for f, r in zip(folders, runs, strict=True) if r["strategy"] == strategy]
        if not own:
            continue
        tests = [run["child"]["test_accuracy"] for _, run in own]
        rows.append(
            {
                "strategy": strategy,
                "title": title,
                **interval(tests),
                "tests": tests,
                "samples": mean(run["search"]["cost"]["training_samples"] for _, run in own),
                "chances": [chances[run["seed"]] for _, run in own],
                "drawing": str(own[tests.index(max(tests))][0] / "genotype.svg"),
            }
        )
    return rows


def chance(runs: Sequence[Row], seed: int) -> float:
    """Returns the mean test accuracy of the random children that a seed's runs share."""
    others = [run["verdict"]["others"] for run in runs if run["seed"] == seed]
    return mean(other["test_accuracy"] for other in max(others, key=len))


def interval(values: Sequence[float]) -> dict[str, float]:
    """Returns mean, and the ends of its 95 % interval by Student's t, within [0, 1]."""
    half = student.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    centre = mean(values)
    return {"mean": centre, "low": max(0.0, centre - half), "high": min(1.0, centre + half)}


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yields a Markdown table."""
    yield "| strategy | test accuracy, by seed | mean, 95 % interval | above random | samples |"
    yield f"|{' --- |' * 5}"
    for row in rows:
        tests = ", ".join(f"{100 * test:.1f}" for test in row["tests"])
        ends = f"{100 * row['mean']:.1f} %, {100 * row['low']:.1f} to {100 * row['high']:.1f}"
        above = row["mean"] - mean(row["chances"])
        yield f"| {row['title']} | {tests} | {ends} | {100 * above:+.1f} | {row['samples']:,.0f} |"
    chances = rows[0]["chances"]
    means = ", ".join(f"{100 * each:.1f}" for each in chances)
    yield f"| random genotypes | {means} | {100 * mean(chances):.1f} % | | 0 |"


def drawn(rows: Sequence[Row]) -> alt.Chart:
    """Returns test accuracy by cost; random children are the line."""
    values = [value for row in rows for value in (*row["tests"], *row["chances"])]
    least = max(0.0, min(values) - 0.1)  # an interval may end below
    names = [row["title"] for row in rows]
    colour = alt.Color("title:N", sort=None, scale=alt.Scale(domain=names, range=list(CYCLE)))
    colour = colour.legend(orient="bottom", title=None, columns=2, labelLimit=300)
    x = alt.X("place:Q", title="training samples of the search, the final training not counted")
    x = x.scale(type="log", padding=30).axis(format="~s")
    y = quantity("mean", "test accuracy of the found child", values, is_share=True)
    y = y.scale(zero=False, domain=[least, 1.0])
    costs = [row["samples"] for row in rows]
    rows = [  # equal costs stand beside each other
        row | {"place": row["samples"] * BESIDE ** costs[:number].count(row["samples"])}
        for number, row in enumerate(rows)
    ]
    base = plot(rows).encode(x=x, color=colour)
    bars = base.mark_rule(strokeWidth=2, clip=True).encode(y=alt.Y("low:Q", title=""), y2="high:Q")
    dots = base.mark_circle(size=150, opacity=1).encode(y=y)
    runs = [row | {"mean": test} for row in rows for test in row["tests"]]
    small = plot(runs).mark_circle(size=28, opacity=0.6).encode(x=x, y=y, color=colour)
    line = plot([{}]).mark_rule(strokeDash=[5, 3], color=PALE)
    line = line.encode(y=alt.YDatum(mean(rows[0]["chances"])))
    whole = alt.layer(line, small, bars, dots).properties(width=CHART[0], height=CHART[1])
    return styled(whole, "Cost against test accuracy; dashed: random genotypes, trained alike")


def put_together(chart: str, rows: Sequence[Row]) -> str:
    """Returns one SVG document: the chart, and beside it the best found cell of each strategy."""
    ElementTree.register_namespace("", SVG)
    parts, left = [placed(chart, 0, 0, "")], size(chart)[0] + GAP
    cells = [(Path(row["drawing"]).read_text(), row["title"]) for row in rows]
    wide = max(size(cell)[0] for cell, _ in cells) + GAP
    high = max(size(cell)[1] for cell, _ in cells) + 2 * GAP
    for number, (cell, title) in enumerate(cells):
        row, column = divmod(number, CELLS)
        parts.append(placed(cell, left + column * wide, row * high, title))
    width = left + CELLS * wide
    height = max(size(chart)[1], high * -(-len(cells) // CELLS))
    head = f'<svg xmlns="{SVG}" width="{width:g}" height="{height:g}" '
    head += f'viewBox="0 0 {width:g} {height:g}"><rect width="100%" height="100%" fill="#fff"/>'
    return head + "".join(parts) + "</svg>\n"


def size(svg: str) -> tuple[float, float]:
    """Returns a picture's width and height."""
    attributes = ElementTree.fromstring(svg).attrib
    return float(attributes["width"]), float(attributes["height"])


def placed(svg: str, x: float, y: float, title: str) -> str:
    """Returns a picture as a part of another one, its title above it."""
    picture = ElementTree.fromstring(svg)
    below = GAP if title else 0
    picture.attrib.update({"x": f"{x:g}", "y": f"{y + below:g}"})
    words = f'<text x="{x + 18:g}" y="{y + GAP:g}" font-family="Helvetica, Arial, sans-serif" '
    words += f'font-size="15" font-weight="bold" fill="{INK}">{title}</text>'
    return ElementTree.tostring(picture, encoding="unicode") + (words if title else "")


def main() -> None:
    """Prints the table and writes the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--picture", type=Path, default=Path("docs/images/story.svg"))
    options = parser.parse_args()
    rows = read(options.sweep)
    print("\n".join(lines(rows)))
    options.picture.write_text(put_together(chart_svg(drawn(rows)), rows))


if __name__ == "__main__":
    main()
