"""nas-measure what=latency, and a child that is trained with its latency predicted."""

import json
from contextlib import redirect_stdout

import pytest
from command import result, rows, run

from nas_lightning.evaluation import timing
from nas_lightning.search_spaces.darts import DartsSpace

SPACE = ("search_space=darts", "data=digits", "search_space.nodes=1")
SPACE += ("child.scale.channels=2", "child.scale.cells=3")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("latency") / "run"
    printed = (folder.parent / "printed").open("w")
    with pytest.MonkeyPatch.context() as patch, printed, redirect_stdout(printed):
        patch.setattr(timing, "RUNS", 5)
        run("measure", "what=latency", f"hydra.run.dir={folder}", "children=4", *SPACE)
    return folder


def test_a_profile_is_written_and_compared_with_whole_children(study):
    profile = json.loads((study / "latency.json").read_text())
    assert (profile["runtime"], profile["threads"], profile["dtype"]) == ("torch", 1, "float32")
    stem = next(row for row in profile["operations"] if row["operation"] == "Stem 3x3")
    assert stem["input"] == [[1, 1, 8, 8]]
    assert stem["steps"][0].startswith("convolution(1x1x8x8, 6x1x3x3, ")
    assert all(row["median_ms"] >= 0 and row["count"] > 0 for row in profile["operations"])
    figures, children = result(study), rows(study / "children.csv")
    assert len(children) == figures["children"] == 4
    errors = sorted(abs(float(c["predicted_ms"]) / float(c["measured_ms"]) - 1) for c in children)
    assert figures["median_error"] == pytest.approx((errors[1] + errors[2]) / 2)
    assert figures["largest_error"] == pytest.approx(errors[3])


def test_what_is_printed_says_how_to_search_by_the_profile(study):
    lines = (study.parent / "printed").read_text().splitlines()
    assert lines[-3].startswith("  largest error ")
    assert lines[-1] == f"  nas-search {' '.join(SPACE)} hardware.latency={study}/latency.json"


def test_a_childs_latency_stands_beside_what_the_profile_predicts(study, tmp_path, capsys):
    genotype = tmp_path / "genotype.json"
    genotype.write_text(DartsSpace(nodes=1).sample(0).to_json())
    profile = f"hardware.latency={study / 'latency.json'}"
    short = ("child.epochs=1", "callbacks=silent", "data.max_images=200")
    folder = f"hydra.run.dir={tmp_path / 'run'}"
    run("train", f"genotype={genotype}", folder, profile, *short, *SPACE)
    child = json.loads((tmp_path / "run" / "result.json").read_text())["child"]
    assert child["predicted_latency_of"].startswith("torch, one thread, batch of 1, ")
    error = child["latency_ms"] / child["predicted_latency_ms"] - 1
    assert child["latency_error"] == pytest.approx(error)
    assert f"as predicted                     {child['predicted_latency_ms']:.2f} ms (torch, " in (
        capsys.readouterr().out
    )
    assert "predicted latency" in (tmp_path / "run" / "report.html").read_text()


WRONG = {
    "one child": (["children=1"], "children (1) must be at least 2; use e.g. 30"),
    "another export": (["export=[pt2]"], "unknown export 'pt2'; choose from: onnx"),
    "a profile": (["hardware.latency=here"], "hardware.latency (here) has no effect: nas-measure"),
    "no supernet": (
        ["search_space._target_=plug_ins.Separate"],
        "search space 'darts' has no supernet that tells its operations",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_measured_is_refused(name, tmp_path, capsys):
    arguments, message = WRONG[name]
    with pytest.raises(SystemExit):
        run("measure", "what=latency", f"hydra.run.dir={tmp_path}", *SPACE, *arguments)
    assert message in capsys.readouterr().err


def test_models_of_proxies_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("measure", "what=proxies", f"hydra.run.dir={tmp_path}", "export=[onnx]")
    assert "export=[onnx] has no effect: what=proxies writes no models" in capsys.readouterr().err
