"""docs/using_the_child.md works as it stands there, from top to bottom."""

import shlex

import pytest
from command import TINY, run
from documents import ROOT, commands, python_blocks
from PIL import Image

PAGE = "docs/using_the_child.md"
SCALE = ("child.scale.channels=", "child.scale.cells=")
SUPERNET = "child.init=supernet"


@pytest.fixture
def folder(finished, tmp_path, monkeypatch):
    """A folder with what the page names; it is the present one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "RUN_DIR").symlink_to(finished)
    for label, name in enumerate(("elm", "oak", "ash")):
        (tmp_path / "PATH" / name).mkdir(parents=True)
        for number in range(12):
            image = Image.new("L", (8, 8), 80 * label + number)
            image.save(tmp_path / "PATH" / name / f"{number}.png")
    image.save(tmp_path / "image.png")
    return tmp_path


@pytest.mark.slow
def test_the_blocks_of_python_run(folder, finished):
    (folder / "RUN_DIR").unlink()
    (folder / "RUN_DIR/child").mkdir(parents=True)  # a copy to which files are exported
    for name in ("child/last.ckpt", "result.json"):
        (folder / "RUN_DIR" / name).write_bytes((finished / name).read_bytes())
    names: dict[str, object] = {}
    for block in python_blocks(PAGE):
        exec(compile(block, PAGE, "exec"), names)
    assert names["features"].shape == (2, names["child"].num_features)
    assert names["loss"].requires_grad
    assert (folder / "RUN_DIR/child/model.onnx").is_file()
    assert (folder / "published/README.md").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in commands() if "child.init=" in c])
def test_the_commands_run(folder, command):
    assert command in (ROOT / PAGE).read_text()
    name, *arguments = shlex.split(command)
    kept = [a for a in arguments if not a.startswith(SCALE)]
    is_search = name == "nas-search"
    small = [o for o in TINY if is_search or not o.startswith(("strategy", "search_"))]
    run(name.removeprefix("nas-"), "hydra.run.dir=new", *kept, *small, "data.batch_size=4"
        if SUPERNET not in command else "data.batch_size=256")  # fmt: skip
    assert (folder / "new/child/last.ckpt").is_file()
