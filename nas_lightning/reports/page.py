"""Writes report.html: one page that shows a run, complete in itself, readable offline."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

from nas_lightning.reports.answer_charts import calibration_of
from nas_lightning.reports.charts import figures
from nas_lightning.reports.colours import dark_scheme
from nas_lightning.reports.conclusion import conclude, verdict_words
from nas_lightning.reports.lineage import fork_words
from nas_lightning.reports.metric import (
    PATH_REMARK,
    MainMetric,
    input_word,
    metric_of,
    rewards_differ,
)
from nas_lightning.reports.numbers import count, duration
from nas_lightning.reports.paper import coloured, page_style
from nas_lightning.reports.records import read_child, read_mistakes
from nas_lightning.reports.rendering import chart_parts, javascript
from nas_lightning.reports.templates import fill
from nas_lightning.reports.usage import next_steps, uses

__all__ = ["read_network", "write_report"]

SVG = "{http://www.w3.org/2000/svg}"
TAGS = {SVG + n for n in ("svg", "g", "rect", "circle", "path", "text", "tspan", "title")}
# What drawings of ours are made of: nothing of it loads anything, or has a style of its own.
TEXTS = {"class", "data-source", "data-target"}
PAINTS = {"fill", "stroke", "stroke-width", "stroke-dasharray"}
PLACES = {"cx", "cy", "d", "dy", "height", "overflow", "r", "rx", "viewBox", "width", "x", "y"}
LETTERS = {"font-family", "font-size", "font-weight", "role", "text-anchor"}
PLAIN = re.compile(r"[\w\s#.,%'+-]*")  # no url(...), and no escape that spells it
MOVES = re.compile(r"((translate|rotate)\([\d\s.,e+-]*\)\s*)*")
PHONE, SMALLEST = 310.0, 0.7  # drawings are not shrunk below this width, or share of theirs
MOST_PAIRS = 10


def write_report(run_dir: Path, result: Mapping[str, Any]) -> Path:
    """Writes the report of a run from the files that it left, and returns the page's path.

    A section whose file or figures are not there is left out. All text is escaped. The charts are
    interactive by a script in the page; without JavaScript their pictures are shown. Colours are
    those that the reader's system prefers, light or dark.

    Args:
        run_dir: the run's folder; the page is written into it.
        result: the content of result.json; "notes", a list of sentences, is shown at the end.

    Raises:
        ValueError: a file of the run is damaged; the message names it.
        OSError: the page cannot be written.
    """
    page = run_dir / "report.html"
    page.write_text(fill("page.html.jinja", **_content(run_dir, result)), encoding="utf-8")
    return page


def _content(run_dir: Path, result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the page's template shows, by name."""
    metric, records = metric_of(result), read_child(run_dir / "child")
    conclusion = conclude(result, metric, len(records.answers))
    charts = {name: chart_parts(chart) for name, chart in figures(run_dir, result, records).items()}
    return {
        "result": result,
        "search": _part(result, "search"),
        "child": _part(result, "child"),
        "metric": metric,
        "word": input_word(result),
        "path_remark": PATH_REMARK,
        "has_reward": rewards_differ(result),
        "verdict": verdict_words(result["verdict"]) if result.get("verdict") else "",
        "lineage": fork_words(result["fork"]) if result.get("fork") else "",
        "conclusion": conclusion,
        "uses": uses(run_dir, result),
        "next_steps": next_steps(run_dir, result, conclusion),
        "network": read_network(run_dir / "genotype.svg"),
        "charts": charts,
        "confused": _confused(*records.confusion),
        "calibration": calibration_of(records.answers) if records.answers else None,
        "mistakes": [_drawn(one) for one in read_mistakes(run_dir / "child" / "mistakes.json")],
        "has_validation": any("validation" in name for name in records.metrics),
        "details": _details(result, metric),
        "style": page_style(),
        "script": Markup(javascript()) if charts else "",
        "dark": dark_scheme(),
    }


def _drawn(mistake: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a mistake with its lines as points of polylines in a field of 100 to 60."""
    values = [value for line in mistake["lines"] for value in line]
    low = min(values, default=0.0)
    span = max(1e-9, max(values, default=0.0) - low)
    lines = []
    for line in mistake["lines"]:
        step = 100 / max(1, len(line) - 1)
        heights = (58 - 56 * (value - low) / span for value in line)
        lines.append(" ".join(f"{step * place:.1f},{y:.1f}" for place, y in enumerate(heights)))
    return {**mistake, "lines": lines}


def read_network(path: Path) -> dict[str, Any] | None:
    """Returns the drawing of a genotype, each of its graphs apart, and the same as text.

    Raises: ValueError: the file is not a drawing of ours.
    """
    if not path.exists():
        return None
    drawing = _read_drawing(path)
    ElementTree.register_namespace("", SVG[1:-1])
    graphs = []
    for graph in drawing.findall(f"{SVG}svg[@class='graph']"):
        width = float(graph.attrib.get("width", 0))
        least = min(width, max(PHONE, SMALLEST * width))
        title = graph.findtext(f"{SVG}text", "")
        graph.attrib |= {"role": "img", "aria-label": title, "style": f"min-width:{least:.0f}px"}
        graph.attrib = {k: v for k, v in graph.attrib.items() if k not in ("x", "y")}
        graphs.append(coloured(ElementTree.tostring(graph, encoding="unicode")))
    return {"graphs": graphs, "words": drawing.findtext(f"{SVG}title", "")}


def _read_drawing(path: Path) -> ElementTree.Element:
    cure = f"{path} must be a drawing that nas-lightning wrote; draw it anew or remove it"
    try:
        drawing = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise ValueError(f"{cure} ({error})") from None
    for part in drawing.iter():
        foreign = [part.tag] if part.tag not in TAGS else []
        foreign += [name for name, value in part.attrib.items() if not _is_ours(name, value)]
        if foreign:
            raise ValueError(f"{cure} (it holds '{foreign[0]}')")
    return drawing


def _is_ours(name: str, value: str) -> bool:
    """Returns whether drawings of ours have such an attribute, which then loads nothing."""
    if name == "transform":
        return MOVES.fullmatch(value) is not None
    is_plain = name in PAINTS | PLACES | LETTERS and PLAIN.fullmatch(value) is not None
    return is_plain or name in TEXTS


def _confused(names: Sequence[str], counts: Sequence[Sequence[int]]) -> list[tuple[str, str]]:
    pairs = sorted(
        (-times, f"{name} taken for {other}", f"{times} of {sum(row)}")
        for name, row in zip(names, counts, strict=True)
        for other, times in zip(names, row, strict=True)
        if name != other and times
    )
    return [(pair, share) for _, pair, share in pairs[:MOST_PAIRS]]


def _details(result: Mapping[str, Any], metric: MainMetric) -> list[tuple[str, str]]:
    """Returns the numbers of the result that stand nowhere else, with their names."""
    shown = ["parameters", "multiply_adds", "memory_mb", "latency_ms"]
    shown += ["predicted_latency_ms"]
    shown += [f"test_{metric.name}", "reward"]
    shown += [f"{part}validation_{metric.name}" for part in ("", "discretized_")]
    rows = []
    for stage in ("search", "child"):
        for key, value in _part(result, stage).items():
            if type(value) in (int, float) and key not in shown:
                write = duration if key.endswith("_s") else count
                if key.startswith(("test_", "validation_", "discretized_")):
                    write = count if key.endswith("loss") else metric.text
                rows.append((f"{stage}: {key.replace('_', ' ')}", write(value)))
    return rows


def _part(whole: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = whole.get(key)
    return part if isinstance(part, Mapping) else {}
