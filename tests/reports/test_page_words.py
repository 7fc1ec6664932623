"""The page's words for any kind of run, and its colours on light and on dark paper."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from nas_lightning.core.graph import Edge, Graph
from nas_lightning.reports.colours import dark_scheme
from nas_lightning.reports.drawing import draw
from nas_lightning.reports.page import write_report
from nas_lightning.reports.summary import summary

CHILD: dict[str, Any] = {"test_accuracy": 0.9, "multiply_adds": 1000}


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (tmp_path / "child").mkdir()
    (tmp_path / "child" / "metrics.csv").write_text("epoch,child/train_loss\n0,2.0\n1,1.0\n")
    return tmp_path


def page(run_dir: Path, **result: object) -> str:
    """Returns a page's text, without its marks."""
    text = write_report(run_dir, {"child": CHILD, **result}).read_text("utf-8")
    shown = re.sub("<(script|style).*?</(script|style)>", "", text, flags=re.DOTALL)
    return unescape(re.sub("<[^>]*>", "", shown))


def test_every_colour_of_the_page_has_one_for_dark_paper(run_dir: Path) -> None:
    edges = (Edge("a", "0", "sep_conv_3x3"), Edge("0", "b", ""))
    (run_dir / "genotype.svg").write_text(draw([Graph("cell", ("a", "0", "b"), edges)]))
    (run_dir / "alphas.csv").write_text(
        "epoch,group,choice,option,weight\n-1,n/2,n/edge_0_2,conv,0.5\n"
    )
    (run_dir / "child" / "confusion.csv").write_text("class,a,b\na,8,2\nb,0,10\n")
    (run_dir / "child" / "predictions.csv").write_text(
        "index,true,predicted,confidence\n0,a,a,0.95\n"
    )
    text = write_report(run_dir, {"child": CHILD}).read_text("utf-8")
    pictures = re.sub("<script.*?</script>", "", text, flags=re.DOTALL)
    colours = re.findall(r"(?:fill|stroke)=\"([^\"]*)\"", pictures)
    assert {c for c in colours if not c.startswith(("var(", "none", "transparent"))} == set()
    specified = "".join(re.findall(r'application/json">(.*?)</script>', text))
    assert set(re.findall(r"#[0-9a-f]{6}", specified)) <= set(dark_scheme())
    assert "@media screen and (prefers-color-scheme: dark) { :root { --c1f2933: #e6e9ed;" in text


def test_a_child_without_a_validation_part_says_so(run_dir: Path) -> None:
    assert "There is no validation curve" in page(run_dir)
    (run_dir / "child" / "metrics.csv").write_text("epoch,child/validation_loss\n0,2.0\n")
    assert "There is no validation curve" not in page(run_dir)


def test_what_labels_leave_out_is_said(run_dir: Path) -> None:
    assert "no table of confusions, no list of mistakes" in page(run_dir, targets="labels")


def test_the_found_path_alone_is_explained(run_dir: Path) -> None:
    search = {"validation_accuracy": 0.9, "discretized_validation_accuracy": 0.3}
    words = "found path alone, with the shared weights, before its own training"
    assert words in page(run_dir, search=search)


@pytest.mark.parametrize(
    ("shape", "word"), [([1, 8, 8], "image"), ([2, 96], "signal"), ([6], "row"), (None, "input")]
)
def test_an_input_is_called_what_it_is(run_dir: Path, shape: list[int] | None, word: str) -> None:
    (run_dir / "child" / "confusion.csv").write_text("class,a,b\na,8,2\nb,0,10\n")
    (run_dir / "child" / "mistakes.json").write_text(
        '{"mistakes": [{"index": 3, "true": "a", "predicted": "b", "confidence": 0.5}]}'
    )
    text = page(run_dir, input_shape=shape)
    assert f"for one {word}" in text
    assert ("image" in text) == (word == "image")


def test_a_latency_stands_beside_the_predicted_one(tmp_path: Path) -> None:
    child = {"parameters": 7, "multiply_adds": 8, "test_accuracy": 0.5, "latency_ms": 2.0}
    child |= {"latency_measured": "median of 9 runs, 2 threads, batch of 1, Z80"}
    child |= {"onnx_latency_ms": 0.25, "predicted_latency_ms": 1.6, "predicted_latency_of": "Z80"}
    text = summary({"genotype_id": "a", "space": "darts", "child": child}, "", tmp_path)
    assert "latency per input                  2.00 ms on this CPU, 2 threads, batch o" in text
    assert "  of its ONNX file                 0.25 ms by ONNX Runtime" in text
    assert "  as predicted                     1.60 ms (Z80)" in text


def test_limits_of_latency_and_memory_have_units(run_dir: Path, tmp_path: Path) -> None:
    limits = {"latency_ms": 0.75, "memory_mb": 2, "parameters": 9_000}
    values = {"latency_ms": 0.7025039999986049, "memory_mb": 0.5, "parameters": 8_000}
    result = {"limits": limits, "within_limits": values}
    text = page(run_dir, **result)
    assert "limited latency0.703 mspredicted; the limit is 0.75 ms" in text
    assert "limited memory0.5 MBof the child; the limit is 2 MB" in text
    printed = summary({"genotype_id": "a", "space": "darts"} | result, "", tmp_path)
    assert "limit of latency                   predicted 0.703 ms of at most 0.75 ms\n" in printed
    assert "limit of parameters                8,000 of at most 9,000\n" in printed


def test_the_latency_stands_with_how_it_was_measured(run_dir: Path) -> None:
    measured = {"latency_ms": 3.456, "latency_measured": "median of 50 runs, one thread"}
    text = page(run_dir, child=CHILD | measured)
    assert "3.46 msmedian of 50 runs, one thread" in text
    assert "latency ms" not in text
