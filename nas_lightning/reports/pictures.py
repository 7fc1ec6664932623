"""The drawings and plots of a report page as HTML; what a run did not leave is left out."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from nas_lightning.reports.chart import draw_legend
from nas_lightning.reports.markup import element, safe, section
from nas_lightning.reports.measure import Measure
from nas_lightning.reports.palette import palette
from nas_lightning.reports.plots import draw_alpha_panels, draw_curves, draw_trials
from nas_lightning.reports.records import AlphaCurve, read_alphas, read_metrics, read_trials
from nas_lightning.reports.svg import picture, text_width

__all__ = ["alphas_section", "curves_section", "network_section", "trials_section"]

_SVG = "{http://www.w3.org/2000/svg}"
_NAMES = ("svg", "g", "rect", "circle", "path", "text", "tspan", "title")
_TAGS = frozenset(_SVG + name for name in _NAMES)
_PHONE = 310.0
_SMALLEST = 0.7


def network_section(path: Path) -> str:
    """Returns the drawing of a genotype, each of its graphs apart, and the same as text.

    Raises:
        ValueError: the file is not a drawing of ours.
    """
    if not path.exists():
        return ""
    drawing = _read_drawing(path)
    cells = [_alone(graph) for graph in drawing.findall(f"{_SVG}svg[@class='graph']")]
    words = drawing.findtext(f"{_SVG}title", "")
    text = element("summary", "The same as text") + element("pre", safe(words))
    return section(
        "The found network",
        element("div", "".join(element("div", cell, "cell") for cell in cells), "cells")
        + element("details", text),
    )


def alphas_section(path: Path) -> str:
    """Returns how the preference for each option went, one small chart a choice.

    Raises:
        ValueError: as of `read_alphas`.
    """
    alphas = read_alphas(path)
    if not alphas:
        return ""
    parts = [
        element(
            "p",
            "The weight of each option over the epochs, one chart a choice, all on the same axes; "
            "below its name stands the option that leads at the end, if one does.",
            "pale",
        ),
        _legend(alphas),
    ]
    for cell, panels in draw_alpha_panels(alphas).items():
        parts.append(element("h3", safe(cell)) if cell else "")
        parts.append(element("div", "".join(panels), "panels"))
    return section("How the search decided", "".join(parts))


def curves_section(path: Path, title: str) -> str:
    """Returns the curves of a metrics.csv under a title.

    Raises:
        ValueError: as of `read_metrics`.
    """
    charts = draw_curves(read_metrics(path))
    return section(title, element("div", "".join(charts), "charts") if charts else "")


def trials_section(path: Path, measure: Measure, objective: str = "") -> str:
    """Returns the scores of a black-box search's trials by their main metric.

    Args:
        path: the file of the trials.
        measure: the main metric.
        objective: where the search went by rewards of another kind, what these are; their
            drawing comes first.

    Raises:
        ValueError: as of `read_trials`.
    """
    drawings = []
    if objective and (rewards := read_trials(path, "reward")):
        drawings.append(draw_trials(rewards, Measure("reward", is_share=False), objective))
    if trials := read_trials(path, f"validation_{measure.name}"):
        drawings.append(draw_trials(trials, measure))
    together = element("div", "".join(drawings), "charts" if len(drawings) > 1 else "wide")
    return section("Trials", together if drawings else "")


def _legend(alphas: Sequence[AlphaCurve]) -> str:
    items = []
    for name, paint in palette(curve.option for curve in alphas).items():
        entry, height = draw_legend([(name, paint)], 0, 13)
        items.append(element("li", picture(30 + text_width(name, 11), height, entry, name)))
    return element("ul", "".join(items), "legend")


def _read_drawing(path: Path) -> ElementTree.Element:
    cure = f"{path} must be a drawing that nas-lightning wrote; draw it anew or remove it"
    try:
        drawing = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise ValueError(f"{cure} ({error})") from None
    for part in drawing.iter():
        if part.tag not in _TAGS:
            raise ValueError(f"{cure} (it holds '{part.tag}')")
        active = [name for name in part.attrib if name.startswith("on") or "href" in name]
        if active:
            raise ValueError(f"{cure} (it holds '{active[0]}')")
    return drawing


def _alone(graph: ElementTree.Element) -> str:
    graph.attrib.pop("x", None)
    graph.attrib.pop("y", None)
    title = graph.findtext(f"{_SVG}text", "")
    width = float(graph.attrib.get("width", 0))
    least = min(width, max(_PHONE, _SMALLEST * width))
    graph.attrib.update({"role": "img", "aria-label": title, "style": f"min-width:{least:.0f}px"})
    ElementTree.register_namespace("", _SVG[1:-1])
    return ElementTree.tostring(graph, encoding="unicode")
