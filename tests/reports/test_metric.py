"""Reports are written for any main metric."""

from math import inf

import pytest

from nas_lightning.reports.metric import MainMetric, metric_of
from nas_lightning.reports.page import write_report
from nas_lightning.reports.summary import summary
from nas_lightning.reports.terminal import wrapped

RMSE = {"name": "rmse", "higher_is_better": False, "is_share": False}
RESULT = {
    "metric": RMSE,
    "strategy": "darts",
    "data": "folder",
    "data_name": "ages",
    "genotype_id": "abc",
    "space": "darts",
    "search": {"validation_rmse": 8.25, "cost": {"wall_s": 1, "training_samples": 2,
                                                 "gradient_steps": 3}},
    "child": {"test_rmse": 6.5, "test_r2": 0.5, "parameters": 10, "multiply_adds": 20},
    "baselines": {"random_genotype": {"test_rmse": 7.0}, "linear_regression": {"test_rmse": 9.0}},
}  # fmt: skip


def test_a_result_without_a_metric_is_judged_by_accuracy():
    assert metric_of({}) == MainMetric("accuracy", True, True)


@pytest.mark.parametrize(("value", "text"), [(1234.5, "1,234"), (None, "-"), (inf, "-")])
def test_values_that_are_no_shares_are_written_as_numbers(value, text):
    assert metric_of(RESULT).text(value).startswith(text)


def test_the_page_tells_the_data_and_the_metric_with_its_direction(tmp_path):
    page = write_report(tmp_path, RESULT).read_text()
    assert "<h1>darts on ages</h1>" in page
    assert "Test rmse (lower is better) of the found network is 0.5 below" in page
    assert "linear regression" in page
    assert "<b>6.5</b>" in page


def test_the_summary_tells_every_metric_of_the_child(tmp_path):
    text = summary(RESULT, "cells", tmp_path)
    assert "search validation rmse             8.25\n" in text
    assert "  linear regression                9\n" in text
    assert "child test r2                      0.5\n" in text


def test_the_summary_begins_with_the_verdict(tmp_path):
    verdict = {"answer": "worth it", "children": 24, "wins": 24, "more_children": 0}
    first, second = summary(RESULT | {"verdict": verdict}, "cells", tmp_path).split("\n")[1:3]
    assert first.startswith("Worth it: the network beats 24 of 24 random networks")
    assert second == ""


def test_the_summary_tells_other_rewards_and_the_size_of_the_random_child(tmp_path):
    baselines = {"random_genotype": {"test_rmse": 7.0, "parameters": 1234}}
    search = RESULT["search"] | {"reward": -0.71234}
    result = RESULT | {"search": search, "baselines": baselines, "objective": "mdl"}
    text = summary(result, "cells", tmp_path)
    assert "search reward (mdl)                -0.7123\n" in text
    assert "  random genotype, trained alike   7, 1,234 parameters\n" in text
    assert "reward" not in summary(result | {"objective": "accuracy"}, "cells", tmp_path)


def test_the_summary_explains_the_found_path_alone_where_it_stands(tmp_path):
    search = RESULT["search"] | {"discretized_validation_rmse": 20.0}
    line = "  of the found path alone          20, with the shared weights, before its own training"
    assert line in summary({**RESULT, "search": search}, "cells", tmp_path).splitlines()


def test_the_summary_ends_with_the_line_that_trains_a_network_that_is_not(tmp_path):
    *_, last = summary(RESULT | {"child": None}, "cells", tmp_path).splitlines()
    assert last == f"train it                           nas-train genotype={tmp_path}"


@pytest.mark.parametrize(
    ("shape", "word"), [([2, 96], "signal"), ([6], "row"), ([1, 8, 8], "image")]
)
def test_the_summary_calls_an_input_what_it_is(tmp_path, shape, word):
    text = summary({**RESULT, "input_shape": shape}, "cells", tmp_path)
    assert f"multiply-adds per {word}" in text


def test_the_summary_names_the_exported_files(tmp_path):
    (tmp_path / "child").mkdir()
    for name in ("model.pt2", "model.onnx", "last.ckpt"):
        (tmp_path / "child" / name).touch()
    assert summary(RESULT, "cells", tmp_path).splitlines()[-2:] == [
        f"onnx                               {tmp_path / 'child' / 'model.onnx'}",
        f"pt2                                {tmp_path / 'child' / 'model.pt2'}",
    ]


def test_the_summary_wraps_its_notes_but_not_its_paths(tmp_path):
    folder = tmp_path / "a folder whose name is much longer than any terminal that anyone has"
    note = "a random genotype, trained alike, does as well as the found network or better"
    lines = wrapped(summary(RESULT | {"notes": [note]}, "cells", folder), 60).splitlines()
    assert [line for line in lines if len(line) > 60 and str(folder) not in line] == []
    assert lines[-2:] == [
        f"files                              {folder}",
        f"report                             {folder / 'report.html'}",
    ]
