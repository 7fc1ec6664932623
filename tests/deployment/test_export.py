"""A trained child as one file: the same outputs, and all that is needed to use it inside."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from command import PUBLISHED, run
from PIL import Image

import nas_lightning
from nas_lightning.deployment import export
from nas_lightning.run import children

pytestmark = pytest.mark.usefixtures("unreported")

DOCUMENT = Path(__file__).parents[2] / "docs" / "deployment.md"


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    """The folder of a run whose child was written in every format."""
    folder = tmp_path_factory.mktemp("exported") / "RUN_DIR"
    shutil.copytree(finished / "child", folder / "child")
    export.export_child(folder, list(export.FORMATS))
    return folder


@pytest.fixture(scope="module")
def child(exported):
    return nas_lightning.load_child(exported)


def onnx_session(folder):
    import onnxruntime

    return onnxruntime.InferenceSession(folder / "child" / "model.onnx")


@pytest.mark.parametrize("number", [1, 5])
def test_the_onnx_file_gives_the_childs_outputs_for_any_batch(exported, child, number):
    images = torch.randn(number, 1, 8, 8)
    (found,) = onnx_session(exported).run(["outputs"], {"images": images.numpy()})
    np.testing.assert_allclose(found, child(images).detach().numpy(), atol=1e-5)  # of float32


@pytest.mark.parametrize("number", [1, 5])
def test_the_pt2_file_gives_the_childs_outputs_for_any_batch(exported, child, number):
    images = torch.randn(number, 1, 8, 8)
    module = torch.export.load(exported / "child" / "model.pt2").module()
    torch.testing.assert_close(module(images), child(images), atol=1e-5, rtol=0)  # of float32


def test_the_onnx_file_holds_class_names_and_preprocessing(exported, child):
    facts = onnx_session(exported).get_modelmeta().custom_metadata_map
    assert json.loads(facts["class_names"]) == list(child.class_names)
    assert json.loads(facts["preprocessing"]) == child.preprocessing
    assert json.loads(facts["task"])["targets"] == "classes"


def test_the_pt2_file_holds_class_names_and_preprocessing(exported, child):
    facts = {"class_names": "", "preprocessing": "", "task": ""}
    torch.export.load(exported / "child" / "model.pt2", extra_files=facts)
    assert json.loads(facts["class_names"]) == list(child.class_names)
    assert json.loads(facts["preprocessing"]) == child.preprocessing


@pytest.mark.parametrize("file", ["colour", "16-bit grey"])
def test_15_lines_classify_an_image_without_nas_lightning(exported, child, tmp_path, file):
    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
    (example,) = [block for block in blocks if "model.onnx" in block]
    assert len([line for line in example.splitlines() if line.strip()]) <= 15
    pixels = np.random.default_rng(0).integers(0, 256, (21, 30, 3), dtype=np.uint8)
    grey = pixels[..., 0].astype(np.uint16) * 257
    image = Image.fromarray(grey if file == "16-bit grey" else pixels)
    image.save(tmp_path / "image.png")
    (tmp_path / "RUN_DIR").symlink_to(exported)
    missing = "import sys\nfor name in ('nas_lightning', 'torch'): sys.modules[name] = None\n"
    outputs = "import json\nprint(json.dumps(model.run(None, {'images': x})[0].tolist()))\n"
    done = subprocess.run(
        [sys.executable, "-c", missing + example + outputs],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    name, found = done.stdout.splitlines()
    assert [name] == child.classify(tmp_path / "image.png"), done.stderr
    wanted = child(child.preprocess([tmp_path / "image.png"])).detach().numpy()
    np.testing.assert_allclose(json.loads(found), wanted, atol=1e-5)  # of float32


def test_a_command_writes_the_file_before_its_result(tmp_path, monkeypatch):
    written = []

    def noted(folder, formats, space):
        written.append((list(formats), (folder / "child" / "last.ckpt").is_file()))
        assert not (folder / "result.json").exists()
        return []

    monkeypatch.setattr(children, "export_child", noted)
    run("train", f"hydra.run.dir={tmp_path}", *PUBLISHED, "child.epochs=1", "export=[onnx,pt2]")
    assert written == [(["onnx", "pt2"], True)]


def test_a_file_with_other_outputs_is_removed_and_said(exported, child):
    path = exported / "child" / "wrong.pt2"
    path.touch()
    wanted = r"wrong\.pt2 must give the child's outputs to 1e-05, but differs by 5\.0e-01 on a"
    with pytest.raises(ValueError, match=wanted):
        export._check_outputs(child, lambda images: child(images) + 0.5, path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("export=[onx]",), "unknown export 'onx'; choose from: onnx, pt2"),
        (("export=[pt2]", "retrain=false"), "export=[pt2] needs a trained child, but retrain=fal"),
    ],
)
def test_an_export_that_cannot_be_is_refused_before_any_work(tmp_path, capsys, overrides, message):
    with pytest.raises(SystemExit):
        run("search", f"hydra.run.dir={tmp_path}", *overrides)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "checkpoints").exists()


def test_a_lacking_package_is_named_before_any_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(export.FORMATS, "onnx", ("onnx", "onnx_of_nobody"))
    with pytest.raises(SystemExit):
        run("search", f"hydra.run.dir={tmp_path}", "export=[onnx]")
    wanted = "export=[onnx] needs onnx_of_nobody; install nas-lightning[onnx]"
    assert wanted in capsys.readouterr().err
