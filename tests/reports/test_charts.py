"""Charts are Vega-Lite specifications that show what a run left."""

import json
from xml.etree import ElementTree

import pytest

from nas_lightning.core.scale import Scale
from nas_lightning.reports.alpha_charts import draw_alphas, draw_heat_map
from nas_lightning.reports.charts import draw_comparison, figures
from nas_lightning.reports.curve_charts import draw_curves, draw_trials
from nas_lightning.reports.drawing import draw
from nas_lightning.reports.metric import MainMetric
from nas_lightning.reports.records import AlphaCurve, TrialRecord
from nas_lightning.reports.rendering import chart_svg
from nas_lightning.search_spaces.custom import CustomSpace, example

SVG = "{http://www.w3.org/2000/svg}"
ALPHAS = (
    AlphaCurve("normal/node_2", "normal/edge_0_2", "skip_connect", ((0, 0.5), (1, 0.3))),
    AlphaCurve("normal/node_2", "normal/edge_0_2", "sep_conv_3x3", ((0, 0.5), (1, 0.7))),
    AlphaCurve("reduction/node_2", "reduction/edge_1_2", "<none>", ((0, 0.5), (1, 0.4))),
)
METRICS = {
    "search/train_loss": ((1.0, 2.0), (2.0, 1.0)),
    "search/validation_loss": ((1.0, 2.1), (2.0, 1.2)),
    "search/validation_accuracy": ((1.0, 0.5), (2.0, 0.75)),
    "time_s": ((1.0, 4.0),),
}
TRIALS = tuple(
    TrialRecord(number, "ab", {"validation_accuracy": score, "parameters": 10.0 * number})
    for number, score in enumerate((0.5, 0.4, 0.8))
)
every_alpha_chart = pytest.mark.parametrize("draw", [draw_alphas, draw_heat_map])


def rows(chart) -> list[dict]:
    """Returns the data of all parts of a chart."""
    return [row for data in chart.to_dict()["datasets"].values() for row in data]


def texts(chart) -> list[str]:
    """Returns the texts of a chart's picture, from the first to the last."""
    parts = ElementTree.fromstring(chart_svg(chart)).iter(f"{SVG}text")
    return ["".join(part.itertext()) for part in parts]


def encodings(part, channel: str) -> list[dict]:
    """Returns all encodings of a channel in a specification."""
    if isinstance(part, list):
        return [found for each in part for found in encodings(each, channel)]
    if not isinstance(part, dict):
        return []
    own = [part["encoding"][channel]] if channel in part.get("encoding", {}) else []
    return own + [found for each in part.values() for found in encodings(each, channel)]


@every_alpha_chart
def test_each_choice_has_a_chart_in_its_cell(draw) -> None:
    cells = draw(ALPHAS).to_dict()["vconcat"]
    assert [cell["title"] for cell in cells] == ["normal", "reduction"]
    assert [cell["facet"]["sort"] for cell in cells] == [
        ["edge 0 \u2192 2\nsep_conv_3x3 0.70"],
        ["edge 1 \u2192 2\n<none> 0.40"],
    ]


@every_alpha_chart
def test_names_are_written_whatever_they_hold(draw) -> None:
    assert {"normal", "reduction", "<none>", "skip_connect", "sep_conv_3x3"} <= set(
        texts(draw(ALPHAS))
    )


def test_no_option_leads_where_all_weigh_the_same() -> None:
    even = [
        AlphaCurve("normal/node_2", "normal/edge_0_2", name, ((0, 0.5), (1, 0.5)))
        for name in ("skip_connect", "sep_conv_3x3")
    ]
    assert {row["choice"] for row in rows(draw_alphas(even))} == {"edge 0 \u2192 2"}
    assert not any(row["leads"] for row in rows(draw_alphas(even)))


def test_an_option_that_was_dropped_does_not_lead() -> None:
    points = {
        "skip_connect": ((0, 0.9),),
        "sep_conv_3x3": ((0, 0.1), (1, 0.6)),
        "none": ((1, 0.4),),
    }
    curves = [AlphaCurve("n/node_2", "n/edge_0_2", name, line) for name, line in points.items()]
    chart = draw_alphas(curves)
    assert [row["option"] for row in rows(chart) if row["leads"]] == ["sep_conv_3x3"]
    assert "edge 0 \u2192 2: sep_conv_3x3 0.60" in chart.to_dict()["description"]


def test_all_options_stand_in_one_legend_in_their_colours() -> None:
    scale = encodings(draw_alphas(ALPHAS).to_dict(), "color")[0]["scale"]
    assert scale["domain"] == ["skip_connect", "sep_conv_3x3", "<none>"]
    assert scale["range"][:2] == ["#008f68", "#0068a8"]


def test_an_option_has_one_colour_in_a_custom_spaces_drawing_and_chart() -> None:
    scale = Scale(input_shape=(1, 8, 8), num_outputs=10)
    space = CustomSpace(example, scale=scale)
    curves = [
        AlphaCurve(c.group, c.name, option, ((0, 0.5),))
        for c in space.choices
        for option in c.options
    ]
    scale = encodings(draw_alphas(curves, None, space.option_names).to_dict(), "color")[0]["scale"]
    colours = dict(zip(scale["domain"], scale["range"], strict=True))
    for seed in range(8):
        drawing = draw(space.graphs(space.sample(seed)), space.option_names)
        parts = ElementTree.fromstring(drawing).findall(f".//{SVG}g/*")
        fields = [part for part in parts if part.get("class") == "label"]
        names = [parts[parts.index(field) + 1].text for field in fields]
        assert [field.get("stroke") for field in fields] == [colours[name] for name in names]


def test_an_edge_is_named_by_its_nodes_and_marked_where_it_was_taken() -> None:
    choices = {
        "normal/edge_0_2": {"name": "c_{k-2} \u2192 2", "taken": "skip_connect"},
        "reduction/edge_1_2": {"name": "c_{k-1} \u2192 2"},
    }
    chart = draw_alphas(ALPHAS, choices)
    assert [cell["facet"]["sort"] for cell in chart.to_dict()["vconcat"]] == [
        ["\u2713 c_{k-2} \u2192 2\nskip_connect 0.30"],
        ["c_{k-1} \u2192 2\n<none> 0.40"],
    ]
    assert [row["option"] for row in rows(chart) if row["taken"] and row["leads"]] == [
        "skip_connect"
    ]


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_few_epochs_have_whole_ticks_that_all_differ(epochs: int) -> None:
    points = tuple((float(epoch), 0.97201 + epoch / 10_000) for epoch in range(1, epochs + 1))
    chart = draw_curves({"child/train_accuracy": points}, "The child")
    axis = encodings(chart.to_dict(), "x")[0]["axis"]
    assert axis["values"] == list(range(1, epochs + 1))
    shares = [text for text in texts(chart) if text.endswith("%")]
    assert 1 <= len(shares) == len(set(shares))


def test_the_only_value_of_a_chart_is_written_on_its_axis() -> None:
    assert "0.0042" in texts(draw_curves({"child/lr": ((1.0, 0.0042),)}, "The child"))


def test_the_darkest_shade_is_the_largest_weight_and_white_is_zero() -> None:
    scale = encodings(draw_heat_map(ALPHAS).to_dict(), "color")[0]["scale"]
    assert (scale["domain"], scale["range"]) == ([0.0, 0.7], ["#ffffff", "#00365a"])


def test_weights_that_are_all_zero_are_drawn_white() -> None:
    drawing = chart_svg(draw_heat_map([AlphaCurve("g", "c", "o", ((0, 0.0), (1, 0.0)))]))
    paths = ElementTree.fromstring(drawing).iter(f"{SVG}path")
    fields = [path for path in paths if path.get("aria-roledescription") == "rect mark"]
    assert [field.get("fill") for field in fields] == ["rgb(255, 255, 255)"] * 2


@pytest.mark.parametrize(("draw", "most"), [(draw_alphas, 12_000), (draw_heat_map, 2_400)])
def test_a_long_search_is_drawn_with_few_points(draw, most: int) -> None:
    long = tuple((float(epoch), 0.5) for epoch in range(5000))
    curves = [AlphaCurve("g", f"c{i}", "conv", long) for i in range(40)]
    assert sum(len(row["weight"]) for row in rows(draw(curves))) <= most


def test_a_start_alone_is_drawn_as_dots() -> None:
    (_, lines, _) = draw_alphas([AlphaCurve("g", "c", "o", ((0, 1.0),))]).to_dict()["vconcat"][0][
        "spec"
    ]["layer"]
    assert lines["mark"]["point"]


def test_metrics_of_one_kind_share_a_chart() -> None:
    charts = draw_curves(METRICS, "The search").to_dict()["concat"]
    assert [chart["title"] for chart in charts] == ["validation accuracy", "loss"]
    assert encodings(charts[1], "color")[0]["scale"]["domain"] == ["train loss", "validation loss"]
    assert (
        "train loss: 1; validation loss: 1.2" in draw_curves(METRICS, "t").to_dict()["description"]
    )


def test_durations_alone_make_no_chart() -> None:
    assert draw_curves({"time_s": ((1.0, 4.0),)}, "The search") is None


def test_an_accuracy_is_written_in_percent() -> None:
    metrics = {"child/train_accuracy": ((1.0, 0.1), (2.0, 0.9))}
    assert {"20%", "80%"} <= set(texts(draw_curves(metrics, "The child")))


def test_trials_are_points_under_the_best_so_far() -> None:
    chart = draw_trials(TRIALS, MainMetric(), "", {})
    scored = [row for row in rows(chart) if row["kind"] in ("trial", "best so far")]
    assert [row["score"] for row in scored if row["kind"] == "trial"] == [0.5, 0.4, 0.8]
    assert [row["score"] for row in scored if row["kind"] != "trial"] == [0.5, 0.5, 0.8]


def test_the_best_so_far_follows_the_numbers_of_trials_that_workers_finish_in_any_order() -> None:
    chart = draw_trials([TRIALS[2], *TRIALS[:2]], MainMetric(), "", {})
    assert [row["score"] for row in rows(chart) if row["kind"] == "best so far"] == [0.5, 0.5, 0.8]


def test_the_best_error_is_the_lowest() -> None:
    trials = [TrialRecord(n, "", {"validation_rmse": x}) for n, x in enumerate((2.0, 1.0, 3.0))]
    chart = draw_trials(trials, MainMetric("rmse", False, False), "", {})
    assert [row["score"] for row in rows(chart) if row["kind"] != "trial"] == [2.0, 1.0, 1.0]


def test_trials_are_drawn_against_what_they_cost() -> None:
    parts = draw_trials(TRIALS, MainMetric(), "", {"parameters": {2}}).to_dict()["concat"]
    assert parts[1]["title"] == "validation accuracy against parameters"
    front = [r for r in rows(draw_trials(TRIALS, MainMetric(), "", {"parameters": {2}}))
             if r["kind"] == "Pareto front"]  # fmt: skip
    assert [(row["trial"], row["cost"]) for row in front] == [(3, 20.0)]


def test_trials_without_a_score_make_no_chart() -> None:
    assert draw_trials([TrialRecord(0, "ab", {})], MainMetric(), "", {}) is None


def test_a_child_is_compared_with_every_baseline() -> None:
    result = {
        "child": {"test_accuracy": 0.9},
        "baselines": {"random_genotype": {"test_accuracy": 0.8}, "other": {"test_loss": 1.0}},
    }
    chart = draw_comparison(result, MainMetric())
    assert [(row["network"], row["text"]) for row in rows(chart)] == [
        ("the found network", "90.00 %"),
        ("random genotype, trained alike", "80.00 %"),
    ]


@pytest.mark.parametrize(
    "chart",
    [
        lambda: draw_alphas(ALPHAS),
        lambda: draw_heat_map(ALPHAS),
        lambda: draw_curves(METRICS, "The search"),
        lambda: draw_trials(TRIALS, MainMetric(), "", {"parameters": {0}}),
    ],
    ids=["alphas", "heat map", "curves", "trials"],
)
def test_equal_data_give_equal_charts(chart) -> None:
    assert json.dumps(chart().to_dict()) == json.dumps(chart().to_dict())
    assert chart_svg(chart()) == chart_svg(chart())


def test_a_folder_gives_the_charts_of_what_it_holds(tmp_path) -> None:
    head = "epoch,group,choice,option,weight\n"
    (tmp_path / "alphas.csv").write_text(f"{head}-1,n,n/edge_0_2,conv,0.5\n")
    (tmp_path / "metrics.csv").write_text("epoch,search/train_loss\n0,2.0\n")
    assert list(figures(tmp_path)) == ["alphas", "search"]
    (tmp_path / "result.json").write_text('{"search": {"trials": 3}}')
    assert list(figures(tmp_path)) == ["alphas"]


@pytest.mark.parametrize("values", [(1.0, 0.4), (0.02, 0.0), (0.9, 0.9), (0.97, 0.955)])
def test_the_axis_of_shares_ends_at_0_and_100_percent(values):
    parts = ({"test_accuracy": value} for value in values)
    result = {"child": next(parts), "baselines": {"random_genotype": next(parts)}}
    chart = draw_comparison(result, MainMetric()).to_dict()
    low, high = chart["layer"][0]["encoding"]["x"]["scale"]["domain"]
    assert 0 <= low <= min(values) <= max(values) <= high <= 1
    assert low < high
