from xml.etree import ElementTree

import pytest

from nas_lightning.reports.chart import Chart, Curve, draw_chart, thin, ticks
from nas_lightning.reports.palette import Paint
from nas_lightning.reports.plots import draw_alpha_panels, draw_alphas, draw_curves, draw_trials
from nas_lightning.reports.records import AlphaCurve, TrialScore

SVG = "{http://www.w3.org/2000/svg}"
ALPHAS = (
    AlphaCurve("normal/node_2", "normal/edge_0_2", "skip_connect", ((0, 0.5), (1, 0.3))),
    AlphaCurve("normal/node_2", "normal/edge_0_2", "sep_conv_3x3", ((0, 0.5), (1, 0.7))),
    AlphaCurve("reduction/node_2", "reduction/edge_1_2", "<none>", ((0, 0.5), (1, 0.4))),
)


def _texts(drawing: str) -> list[str]:
    return [part.text or "" for part in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


def test_each_choice_has_a_chart_in_its_cell() -> None:
    panels = draw_alpha_panels(ALPHAS)
    assert {cell: len(charts) for cell, charts in panels.items()} == {"normal": 1, "reduction": 1}


def test_a_chart_names_its_edge_and_the_leading_option() -> None:
    assert _texts(draw_alpha_panels(ALPHAS)["normal"][0])[:2] == [
        "edge 0 \u2192 2",
        "sep_conv_3x3 0.70",
    ]


def test_no_option_leads_where_all_weigh_the_same() -> None:
    even = [
        AlphaCurve("normal/node_2", "normal/edge_0_2", name, ((0, 0.5), (1, 0.5)))
        for name in ("skip_connect", "sep_conv_3x3")
    ]
    texts = _texts(draw_alpha_panels(even)["normal"][0])
    assert not {"skip_connect 0.50", "sep_conv_3x3 0.50"} & set(texts)


def test_an_option_that_was_dropped_does_not_lead() -> None:
    points = {
        "skip_connect": ((0, 0.9),),
        "sep_conv_3x3": ((0, 0.1), (1, 0.6)),
        "none": ((1, 0.4),),
    }
    curves = [AlphaCurve("n/node_2", "n/edge_0_2", name, line) for name, line in points.items()]
    panel = draw_alpha_panels(curves)["n"][0]
    assert "sep_conv_3x3 0.60" in _texts(panel)
    assert "Last values: none: 0.4; sep_conv_3x3: 0.6" in panel


def test_all_alphas_make_one_picture_with_a_legend() -> None:
    texts = _texts(draw_alphas(ALPHAS, columns=2))
    assert texts[:3] == ["skip_connect", "sep_conv_3x3", "<none>"]
    assert "reduction" in texts


def test_plots_are_the_same_each_time() -> None:
    assert draw_alphas(ALPHAS) == draw_alphas(ALPHAS)


def test_a_long_search_is_drawn_with_few_points() -> None:
    long = tuple((float(epoch), 0.5) for epoch in range(5000))
    curves = [AlphaCurve("g", f"c{i}", "conv", long) for i in range(40)]
    assert sum(map(len, draw_alpha_panels(curves)[""])) < 120_000


def test_metrics_of_one_kind_share_a_chart() -> None:
    metrics = {
        "search/train_loss": ((1.0, 2.0), (2.0, 1.0)),
        "search/validation_loss": ((1.0, 2.1), (2.0, 1.2)),
        "search/validation_accuracy": ((1.0, 0.5), (2.0, 0.75)),
        "time_s": ((1.0, 4.0),),
    }
    accuracy, loss = draw_curves(metrics)
    assert _texts(accuracy)[0] == "validation accuracy"
    assert _texts(loss)[:3] == ["loss", "train loss", "validation loss"]


def test_an_accuracy_is_written_in_percent() -> None:
    (chart,) = draw_curves({"child/train_accuracy": ((1.0, 0.1), (2.0, 0.9))})
    assert "100 %" in _texts(chart)


def test_trials_are_points_under_the_best_so_far() -> None:
    scores = (0.5, 0.4, 0.8)
    drawing = draw_trials([TrialScore(i, "ab", score) for i, score in enumerate(scores)])
    picture = ElementTree.fromstring(drawing)
    heights = [float(part.attrib["cy"]) for part in picture.iter(f"{SVG}circle")]
    ways = [p.attrib["d"] for p in picture.iter(f"{SVG}path") if p.get("stroke-width") == "1.6"]
    assert len(heights) == 3
    assert [float(part.split("H")[0]) for part in ways[0].split("V")[1:]] == [
        heights[0],
        heights[2],
    ]


def test_a_single_point_is_drawn_as_a_dot() -> None:
    drawing = draw_chart(Chart("one"), [Curve("a", ((1.0, 5.0),), Paint("#000000", ""))])
    assert len(list(ElementTree.fromstring(drawing).iter(f"{SVG}circle"))) == 1


def test_a_chart_without_points_has_its_axes_only() -> None:
    drawing = draw_chart(Chart("none"), [Curve("a", (), Paint("#000000", ""))])
    assert _texts(drawing)[0] == "none"


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [
        (0, 1, (0, 0.5, 1)),
        (0.9611, 0.9889, (0.96, 0.97, 0.98, 0.99)),
        (3, 3, (2.6, 2.8, 3.0, 3.2, 3.4)),
        (0, 0, (-0.1, 0, 0.1)),
        (-1e-9, 2e-9, (-1e-9, 0, 1e-9, 2e-9)),
        (0, 45_000, (0, 20_000, 40_000, 60_000)),
    ],
)
def test_ticks_are_round_and_enclose_the_range(
    low: float, high: float, marks: tuple[float, ...]
) -> None:
    assert ticks(low, high, 3) == pytest.approx(marks, abs=1e-12)


def test_thinning_keeps_the_ends() -> None:
    points = tuple((float(i), float(i)) for i in range(100))
    assert [x for x, _ in thin(points, 4)] == [0, 33, 66, 99]
