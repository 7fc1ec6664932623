"""profile_onnx.py: runs alone, and writes what hardware.latency reads."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from nas_lightning.core.scale import Scale
from nas_lightning.evaluation.latency import Latency
from nas_lightning.evaluation.latency_profile import profile_here, read_profile
from nas_lightning.search_spaces.darts import DartsSpace

pytest.importorskip("onnxruntime")
profile_onnx = pytest.importorskip("nas_lightning.deployment.profile_onnx")
SOURCE = Path(profile_onnx.__file__)
SPACE = DartsSpace(nodes=1, ops=("skip_connect", "sep_conv_3x3"))
SCALE = Scale(4, 3, flavour="child", input_shape=(1, 8, 8), num_outputs=3)
ROW = {"input": [[1]], "torch": "2.0", "spread_ms": 0.1, "count": 50}


def test_a_child_counts_its_operations_by_the_share_that_fused_children_take():
    rows = [
        ROW | {"id": "nothing", "operation": "nothing", "median_ms": 1.0},
        ROW | {"id": "a", "operation": "A", "median_ms": 3.0},
        ROW | {"id": "b", "operation": "B", "median_ms": 0.5},
    ]
    facts = {"operation": "child", "space": "s", "network": "n", "units": {"a": 2, "b": 1}}
    rows += [ROW | facts | {"id": f"{ms}", "median_ms": ms} for ms in (2.0, 3.0, 9.0)]
    profile = profile_onnx.profile(rows, 4)
    assert [row["median_ms"] for row in profile["operations"]] == [2.0, 0.0]
    (network,) = profile["networks"]
    assert (network["overhead_ms"], network["factor"], network["children"]) == (1.0, 0.5, 3)
    assert (profile["threads"], profile["versions"]["torch"]) == (4, "2.0")


@pytest.mark.slow  # the exporter takes a second per file
def test_a_profile_of_exported_operations_predicts_children_without_our_package(tmp_path):
    from nas_lightning.deployment.unit_files import write_children, write_units  # exports

    uses = Latency(SPACE, SCALE, replace(profile_here(1), grows=True)).uses
    write_units({use.unit.id: use.unit for use in uses}.values(), tmp_path / "onnx")
    write_children(SPACE, SCALE, uses, [SPACE.sample(0), SPACE.sample(1)], tmp_path / "onnx")
    shutil.copy(SOURCE, tmp_path)
    files = sorted(str(path) for path in (tmp_path / "onnx").iterdir())
    script = [sys.executable, "-I", "profile_onnx.py", *files, "--out", "latency.json"]
    printed = subprocess.run(script, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "hardware.latency=latency.json" in printed.stdout
    latency = Latency(SPACE, SCALE, read_profile(tmp_path / "latency.json", None))
    assert latency(SPACE.sample(Random(0))) > 0
    assert latency.profile.runtime == "onnxruntime"


def test_the_file_imports_nothing_but_numpy_and_onnxruntime():
    code = f"import sys; sys.path.insert(0, {str(SOURCE.parent)!r}); import profile_onnx; "
    code += "print(json.dumps([m for m in ('torch', 'nas_lightning') if m in sys.modules]))"
    script = [sys.executable, "-I", "-c", "import json; " + code]
    printed = subprocess.run(script, check=True, capture_output=True, text=True)
    assert json.loads(printed.stdout) == []


def test_what_is_no_onnx_file_is_refused(tmp_path, capsys):
    (tmp_path / "bad.onnx").write_text("bad")
    assert profile_onnx.main([str(tmp_path / "bad.onnx")]) == 1
    assert "files must be ONNX files that run here: " in capsys.readouterr().err
