"""What the report makes of a child's answers: calibration, mistakes, errors of values."""

import json
from pathlib import Path

import pytest

from nas_lightning.reports.answer_charts import calibration_of, draw_calibration, draw_values
from nas_lightning.reports.charts import figures
from nas_lightning.reports.page import write_report
from nas_lightning.reports.records import Answer, read_answers, read_mistakes, read_values

ANSWERS = [Answer("a", "a", 0.95), Answer("a", "b", 0.95), Answer("b", "b", 0.55)]
HEAD = "index,true,predicted,confidence\n"


@pytest.fixture
def child(tmp_path: Path) -> Path:
    (tmp_path / "child").mkdir()
    return tmp_path / "child"


def test_the_calibration_error_is_the_mean_gap_weighted_by_answers() -> None:
    calibration = calibration_of(ANSWERS)
    assert calibration.error == pytest.approx((2 * 0.45 + 1 * 0.45) / 3)
    assert [each["answers"] for each in calibration.bins] == [1, 2]
    assert calibration.confidence == pytest.approx((0.95 + 0.95 + 0.55) / 3)
    assert calibration.accuracy == pytest.approx(2 / 3)


def test_full_confidence_lies_in_the_last_bin() -> None:
    (last,) = calibration_of([Answer("a", "a", 1.0)]).bins
    assert (last["low"], last["high"]) == (0.9, 1.0)


def test_no_answer_makes_no_chart() -> None:
    assert draw_calibration([]) is None
    assert draw_values({}) is None


def test_the_page_tells_how_far_confidence_can_be_trusted(child: Path) -> None:
    (child / "predictions.csv").write_text(f"{HEAD}0,a,a,0.95\n1,a,b,0.95\n2,b,b,0.55\n")
    text = write_report(child.parent, {}).read_text()
    assert "Expected calibration error 45.0 %" in text
    assert "right less often than it says: confidence 81.7 %, right 66.7 %" in text


def test_mistakes_are_shown_with_their_pictures(child: Path) -> None:
    mistakes = [
        {"index": 7, "true": "<cat>", "predicted": "dog", "confidence": 0.91, "png": "iVBORw0="},
        {"index": 9, "true": "cat", "predicted": "dog", "confidence": 0.5, "lines": [[0, 1, 0.5]]},
    ]
    (child / "mistakes.json").write_text(json.dumps({"mistakes": mistakes}))
    text = write_report(child.parent, {}).read_text()
    assert 'src="data:image/png;base64,iVBORw0="' in text
    assert "<b>&lt;cat&gt;</b><span>taken for dog</span><small>91.00 %, input&nbsp;7" in text
    assert '<polyline points="0.0,58.0 50.0,2.0 100.0,30.0" class="line1"/>' in text


def test_values_are_drawn_against_the_true_ones(child: Path) -> None:
    (child / "predictions.csv").write_text(
        "index,output,true,predicted\n0,age,30,31.5\n0,height,1.7,1.6\n1,age,40,39\n"
    )
    values = read_values(child / "predictions.csv")
    assert values == {"age": ((30.0, 31.5), (40.0, 39.0)), "height": ((1.7, 1.6),)}
    assert read_answers(child / "predictions.csv") == ()
    assert list(figures(child.parent, {})) == ["values"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("predictions.csv", f"{HEAD}0,a,a,x\n", r"predictions.csv, line 2: 'confidence' must be a"),
        ("predictions.csv", "index,true\n", r"must have the columns true, predicted, confidence"),
        (
            "mistakes.json",
            '{"mistakes": [{}]}',
            r"mistakes.json must hold a list of mistakes \('index'\)",
        ),
        ("mistakes.json", "[", r"mistakes.json must hold a list of mistakes \(Expecting value"),
    ],
)
def test_a_damaged_file_is_named(child: Path, name: str, text: str, message: str) -> None:
    (child / name).write_text(text)
    read = read_answers if name == "predictions.csv" else read_mistakes
    with pytest.raises(ValueError, match=message):
        read(child / name)


def test_a_report_reads_each_table_of_the_child_once(tmp_path, monkeypatch):
    child = tmp_path / "child"
    child.mkdir()
    (child / "predictions.csv").write_text(f"{HEAD}0,a,a,0.95\n1,a,b,0.95\n")
    (child / "confusion.csv").write_text("class,a,b\na,1,1\nb,0,0\n")
    (child / "metrics.csv").write_text("epoch,child/train_loss\n0,1\n1,0.5\n")
    opened, function = [], Path.open

    def counted(path, *arguments, **more):
        opened.append(path.name)
        return function(path, *arguments, **more)

    monkeypatch.setattr(Path, "open", counted)
    write_report(tmp_path, {})
    counts = {name: opened.count(name) for name in opened if name.endswith(".csv")}
    # the head of the predictions tells their kind
    assert counts == {"metrics.csv": 1, "confusion.csv": 1, "predictions.csv": 2}
