"""Writes report.html: one page that shows a run, complete in itself, readable offline."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas_lightning.reports.chart import ticks
from nas_lightning.reports.confusion import confusion_section
from nas_lightning.reports.markup import (
    count,
    duration,
    element,
    figure,
    safe,
    section,
    table,
)
from nas_lightning.reports.measure import Measure, measure_of, rewards_differ
from nas_lightning.reports.pictures import (
    alphas_section,
    curves_section,
    network_section,
    trials_section,
)

__all__ = ["write_report"]

_COSTS = (
    ("wall_s", "wall time", duration),
    ("device_s", "device time", duration),
    ("training_samples", "training samples processed", count),
    ("gradient_steps", "gradient steps", count),
    ("children_trained", "children trained", count),
    ("epochs_trained", "epochs trained", count),
)
_BASELINES = {
    "random_genotype": "random genotype, trained alike",
    "logistic_regression": "logistic regression",
    "linear_regression": "linear regression",
}


def write_report(run_dir: Path, result: Mapping[str, Any]) -> Path:
    """Writes the report of a run from the files that it left, and returns the page's path.

    A section whose file or figures are not there is left out. All text is escaped.

    Args:
        run_dir: the run's folder; the page is written into it.
        result: the content of result.json; "notes", a list of sentences, is shown at the end.

    Raises:
        ValueError: a file of the run is damaged; the message names it.
        OSError: the page cannot be written.
    """
    data = result.get("data_name") or result.get("data", "a data set")
    title = f"{result.get('strategy', 'A strategy')} on {data}"
    measure = measure_of(result)
    objective = result["objective"] if rewards_differ(result) else ""
    is_black_box = "trials" in (result.get("search") or {})  # trials have a section of their own
    sections = (
        _header(title, result),
        _headline(result, measure),
        network_section(run_dir / "genotype.svg"),
        alphas_section(run_dir / "alphas.csv"),
        trials_section(run_dir / "trials.jsonl", measure, objective),
        "" if is_black_box else curves_section(run_dir / "metrics.csv", "The search"),
        curves_section(run_dir / "child" / "metrics.csv", "The training of the child"),
        confusion_section(run_dir / "child" / "confusion.csv"),
        _costs(result),
        _details(result, measure),
        _reproduction(result),
        _notes(result),
    )
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><title>{safe(title)}</title><style>{style}</style>'
    )
    body = element("main", "\n".join(part for part in sections if part))
    page = run_dir / "report.html"
    page.write_text(
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>{body}</body></html>\n',
        encoding="utf-8",
    )
    return page


def _header(title: str, result: Mapping[str, Any]) -> str:
    names = {"space": "search space", "data_name": "data set", "genotype_id": "genotype"}
    facts = "".join(
        element("div", element("dt", safe(names.get(key, key))) + element("dd", safe(result[key])))
        for key in ("space", "strategy", "data", "data_name", "seed", "genotype_id")
        if result.get(key) is not None
    )
    return element("header", element("h1", safe(title)) + element("dl", facts))


def _headline(result: Mapping[str, Any], measure: Measure) -> str:
    search, child = _part(result, "search"), _part(result, "child")
    baselines = _part(result, "baselines")
    figures = []
    path = f"discretized_validation_{measure.name}"
    searched = "of the supernet, all options mixed" if path in search else "of the search"
    for part, stage, key, remark in (
        (child, "test", f"test_{measure.name}", "of the trained child"),
        (search, "validation", f"validation_{measure.name}", searched),
        (search, "validation", path, "of the supernet, the found path alone"),
    ):
        if key in part:
            name = f"{stage} {measure.words}"
            figures.append(figure(name, measure.text(part[key]), remark))
    if "parameters" in child:
        figures.append(figure("parameters", count(child["parameters"]), "of the child"))
    if "multiply_adds" in child:
        adds = count(child["multiply_adds"])
        figures.append(figure("multiply-adds", adds, "for one image"))
    if rewards_differ(result):
        reward = f"{search['reward']:,.4g}"
        figures.append(figure("reward", reward, f"of objective {result['objective']}"))
    if "wall_s" in _part(search, "cost"):
        figures.append(figure("time", duration(search["cost"]["wall_s"]), "of the search"))
    bars = _comparison(child, baselines, measure)
    content = element("div", "".join(figures), "figures") + bars if figures else bars
    return section("Result", content)


def _comparison(child: Mapping[str, Any], baselines: Mapping[str, Any], measure: Measure) -> str:
    metric = f"test_{measure.name}"
    rows = [("the found network", child.get(metric))]
    for key in baselines:
        rows.append((_BASELINES.get(key, key), _part(baselines, key).get(metric)))
    known = [(name, float(value)) for name, value in rows if isinstance(value, int | float)]
    if len(known) < 2:
        return ""
    values = [value for _, value in known]
    marks = ticks(min(values), max(values), 3)
    low, high = marks[0], marks[-1]
    if measure.is_share:
        low, high = max(0.0, low), min(1.0, high)
    bars = "".join(
        _bar(name, measure.text(value), (value - low) / (high - low), name == rows[0][0])
        for name, value in known
    )
    ends = element("span", measure.text(low)) + element("span", measure.text(high))
    scale = "<span></span>" + element("div", ends, "ends") + "<span></span>"
    size = _part(baselines, "random_genotype").get("parameters")
    verdict = _verdict(rows, measure, f" ({count(size)} parameters)" if size else "")
    return element("div", bars + element("div", scale, "bar scale"), "bars") + verdict


def _bar(name: str, value: str, place: float, is_found: bool) -> str:
    track = f'<div class="track"><i style="left:{100 * place:.1f}%"></i></div>'
    content = element("span", safe(name)) + track + element("b", value)
    return element("div", content, "bar found" if is_found else "bar")


def _verdict(rows: Sequence[tuple[str, Any]], measure: Measure, size: str) -> str:
    values = dict(rows)
    found, other = values.get("the found network"), values.get(_BASELINES["random_genotype"])
    if not isinstance(found, int | float) or not isinstance(other, int | float):
        return ""
    side = "above" if found > other else "below"
    difference = abs(found - other)
    much = f"{100 * difference:.2f} percentage points" if measure.is_share else f"{difference:.3g}"
    words = f"{much} {side}" if difference else "equal to"
    direction = "" if measure.is_higher_better else " (lower is better)"
    return element(
        "p",
        f"Test {safe(measure.words)}{direction} of the found network is {words} that of a random "
        f"genotype of the same space, trained alike{size}: one pair of trainings, so a small "
        "difference may be chance.",
        "pale",
    )


def _costs(result: Mapping[str, Any]) -> str:
    parts = {"search": _part(result, "search"), "child": _part(result, "child")}
    columns = {name: _part(part, "cost") for name, part in parts.items()}
    columns = {name: cost for name, cost in columns.items() if cost}
    rows = [
        (words, *(write(cost.get(key)) for cost in columns.values()))
        for key, words, write in _COSTS
        if any(key in cost for cost in columns.values())
    ]
    heads = {"search": "search", "child": "training of the child"}
    head = ("", *(heads[name] for name in columns))
    return section("Cost", table(rows, head) if rows else "")


def _details(result: Mapping[str, Any], measure: Measure) -> str:
    headline = ["parameters", "multiply_adds", f"test_{measure.name}"]
    headline += [f"{part}validation_{measure.name}" for part in ("", "discretized_")] + ["reward"]
    rows = []
    for name in ("search", "child"):
        for key, value in _part(result, name).items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if is_number and key not in headline:
                rows.append((f"{name}: {key.replace('_', ' ')}", _readable(key, value, measure)))
    return section("Further figures", table(rows))


def _readable(key: str, value: float, measure: Measure) -> str:
    if key.startswith(("test_", "validation_", "discretized_")) and not key.endswith("loss"):
        return measure.text(value)
    return duration(value) if key.endswith("_s") else count(value)


def _reproduction(result: Mapping[str, Any]) -> str:
    command = result.get("command")
    shown = command if isinstance(command, str) else " ".join(map(str, command or ()))
    rows: list[tuple[object, ...]] = []
    for key, words in (("seed", "seed"), ("split", "split of the data"), ("threads", "threads")):
        if result.get(key) is not None:
            rows.append((words, result[key]))
    rows += _part(result, "versions").items()
    return section("Do it again", (element("pre", safe(shown)) if shown else "") + table(rows))


def _notes(result: Mapping[str, Any]) -> str:
    notes = "".join(element("li", safe(note)) for note in result.get("notes") or ())
    return section("Notes", element("ul", notes) if notes else "")


def _part(whole: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = whole.get(key)
    return part if isinstance(part, Mapping) else {}
