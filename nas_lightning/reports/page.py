"""Writes report.html: one page that shows a run, complete in itself, readable offline."""

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

from nas_lightning.reports.charts import figures_of
from nas_lightning.reports.metric import MainMetric, metric_of, rewards_differ
from nas_lightning.reports.records import read_confusion
from nas_lightning.reports.rendering import chart_svg, javascript
from nas_lightning.reports.templates import fill

__all__ = ["write_report"]

SVG = "{http://www.w3.org/2000/svg}"
TAGS = {SVG + n for n in ("svg", "g", "rect", "circle", "path", "text", "tspan", "title")}
PHONE, SMALLEST = 310.0, 0.7  # drawings are not shrunk below this width, or share of theirs
MOST_PAIRS = 10
NAMES = {"space": "search space", "data_name": "data set", "genotype_id": "genotype"}
STAGES = {"search": "search", "child": "training of the child"}
COSTS = {
    "wall_s": "wall time",
    "device_s": "device time",
    "training_samples": "training samples processed",
    "gradient_steps": "gradient steps",
    "children_trained": "children trained",
    "epochs_trained": "epochs trained",
}

Rows = list[tuple[Any, ...]]


def write_report(run_dir: Path, result: Mapping[str, Any]) -> Path:
    """Writes the report of a run from the files that it left, and returns the page's path.

    A section whose file or figures are not there is left out. All text is escaped. The charts are
    interactive by a script in the page; without JavaScript their pictures are shown.

    Args:
        run_dir: the run's folder; the page is written into it.
        result: the content of result.json; "notes", a list of sentences, is shown at the end.

    Raises:
        ValueError: a file of the run is damaged; the message names it.
        OSError: the page cannot be written.
    """
    metric = metric_of(result)
    data = result.get("data_name") or result.get("data", "a data set")
    charts = {
        name: {"spec": chart.to_dict(), "picture": Markup(chart_svg(chart))}
        for name, chart in figures_of(run_dir, result).items()
    }
    facts = ("space", "strategy", "data", "data_name", "seed", "genotype_id")
    command = result.get("command") or ()
    text = fill(
        "page.html.jinja",
        title=f"{result.get('strategy', 'A strategy')} on {data}",
        facts=[(NAMES.get(k, k), result[k]) for k in facts if result.get(k) is not None],
        figures=_headline(result, metric),
        verdict=_verdict(result, metric),
        network=_network(run_dir / "genotype.svg"),
        charts=charts,
        confused=_confused(run_dir / "child" / "confusion.csv"),
        costs=_costs(result),
        details=_details(result, metric),
        command=command if isinstance(command, str) else " ".join(map(str, command)),
        reproduction=_reproduction(result),
        notes=result.get("notes") or (),
        style=Markup(Path(__file__).with_name("page.css").read_text(encoding="utf-8")),
        script=Markup(javascript()) if charts else "",
    )
    page = run_dir / "report.html"
    page.write_text(text, encoding="utf-8")
    return page


def _headline(result: Mapping[str, Any], metric: MainMetric) -> Rows:
    """Returns the main figures: name, value, remark."""
    search, child = _part(result, "search"), _part(result, "child")
    path = f"discretized_validation_{metric.name}"
    searched = "of the supernet, all options mixed" if path in search else "of the search"
    rows: Rows = [
        (f"{stage} {metric.words}", metric.text(part[key]), remark)
        for part, stage, key, remark in (
            (child, "test", f"test_{metric.name}", "of the trained child"),
            (search, "validation", f"validation_{metric.name}", searched),
            (search, "validation", path, "of the supernet, the found path alone"),
        )
        if key in part
    ]
    if "parameters" in child:
        rows.append(("parameters", _count(child["parameters"]), "of the child"))
    if "multiply_adds" in child:
        rows.append(("multiply-adds", _count(child["multiply_adds"]), "for one image"))
    if rewards_differ(result):
        rows.append(("reward", f"{search['reward']:,.4g}", f"of objective {result['objective']}"))
    if "wall_s" in _part(search, "cost"):
        rows.append(("time", _duration(search["cost"]["wall_s"]), "of the search"))
    return rows


def _verdict(result: Mapping[str, Any], metric: MainMetric) -> str:
    """Returns how the child compares with the random genotype's, "" without one of them."""
    other = _part(_part(result, "baselines"), "random_genotype")
    name = f"test_{metric.name}"
    values = (_part(result, "child").get(name), other.get(name))
    if not all(isinstance(value, int | float) and isfinite(value) for value in values):
        return ""
    difference = values[0] - values[1]
    much = f"{100 * abs(difference):.2f} percentage points"
    much = much if metric.is_share else f"{abs(difference):.3g}"
    words = f"{much} {'above' if difference > 0 else 'below'}" if difference else "equal to"
    size = f" ({_count(other['parameters'])} parameters)" if other.get("parameters") else ""
    return (
        f"Test {metric.words}{'' if metric.is_higher_better else ' (lower is better)'} of the "
        f"found network is {words} that of a random genotype of the same space, trained "
        f"alike{size}: one pair of trainings, so a small difference may be chance."
    )


def _network(path: Path) -> dict[str, Any] | None:
    """Returns the drawing of a genotype, each of its graphs apart, and the same as text.

    Raises:
        ValueError: the file is not a drawing of ours.
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
        graphs.append(Markup(ElementTree.tostring(graph, encoding="unicode")))
    return {"graphs": graphs, "words": drawing.findtext(f"{SVG}title", "")}


def _read_drawing(path: Path) -> ElementTree.Element:
    cure = f"{path} must be a drawing that nas-lightning wrote; draw it anew or remove it"
    try:
        drawing = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise ValueError(f"{cure} ({error})") from None
    for part in drawing.iter():
        foreign = [part.tag] if part.tag not in TAGS else []
        foreign += [name for name in part.attrib if name.startswith("on") or "href" in name]
        if foreign:
            raise ValueError(f"{cure} (it holds '{foreign[0]}')")
    return drawing


def _confused(path: Path) -> Rows:
    """Returns the pairs of classes that are confused most."""
    names, counts = read_confusion(path)
    pairs = [
        (-count, name, other, sum(row))
        for name, row in zip(names, counts, strict=True)
        for other, count in zip(names, row, strict=True)
        if name != other and count
    ]
    return [
        (f"{name} taken for {other}", f"{-count} of {whole}")
        for count, name, other, whole in sorted(pairs)[:MOST_PAIRS]
    ]


def _costs(result: Mapping[str, Any]) -> Rows:
    """Returns a table with its head: the cost of the search beside that of the child."""
    costs = {stage: _part(_part(result, stage), "cost") for stage in STAGES}
    costs = {stage: cost for stage, cost in costs.items() if cost}
    rows: Rows = [
        (words, *(_written(key, cost.get(key)) for cost in costs.values()))
        for key, words in COSTS.items()
        if any(key in cost for cost in costs.values())
    ]
    return [("", *(STAGES[stage] for stage in costs)), *rows] if rows else []


def _details(result: Mapping[str, Any], metric: MainMetric) -> Rows:
    """Returns all numbers of the result that stand nowhere else."""
    shown = ["parameters", "multiply_adds", f"test_{metric.name}", "reward"]
    shown += [f"{part}validation_{metric.name}" for part in ("", "discretized_")]
    rows: Rows = []
    for stage in STAGES:
        for key, value in _part(result, stage).items():
            if type(value) in (int, float) and key not in shown:
                is_metric = key.startswith(("test_", "validation_", "discretized_"))
                is_metric &= not key.endswith("loss")
                written = metric.text(value) if is_metric else _written(key, value)
                rows.append((f"{stage}: {key.replace('_', ' ')}", written))
    return rows


def _reproduction(result: Mapping[str, Any]) -> Rows:
    names = {"seed": "seed", "split": "split of the data", "threads": "threads"}
    rows = [(words, result[key]) for key, words in names.items() if result.get(key) is not None]
    return [*rows, *_part(result, "versions").items()]


def _part(whole: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = whole.get(key)
    return part if isinstance(part, Mapping) else {}


def _written(key: str, value: object) -> str:
    return _duration(value) if key.endswith("_s") else _count(value)


def _count(value: object) -> str:
    """Returns a number with thousands apart, a dash for anything but a finite number.

    >>> _count(1930618), _count(2.5)
    ('1,930,618', '2.5')
    """
    if not isinstance(value, int | float) or not isfinite(value):
        return "-"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3g}"


def _duration(value: object) -> str:
    """Returns seconds as people say them, a dash for anything but a finite number.

    >>> _duration(5.26), _duration(112.4), _duration(7384)
    ('5.3 s', '1 min 52 s', '2 h 03 min')
    """
    if not isinstance(value, int | float) or not isfinite(value):
        return "-"
    seconds = round(value)
    if value < 60:
        return f"{value:.1f} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
