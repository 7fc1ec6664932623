"""A genotype is drawn and measured, without any data."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command import result, run
from PIL import Image

SMALL = ("channels=2", "cells=3")
V2_PARAMETERS, V2_MULTIPLY_ADDS = 3_349_342, 528_359_040


@pytest.fixture
def show(tmp_path, monkeypatch, capsys):
    """Runs nas-show in an empty folder; gives what it prints."""
    monkeypatch.chdir(tmp_path)

    def show(*arguments):
        run("show", *arguments)
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    return show


def test_the_cells_and_the_published_size_are_printed(show):
    text = show("genotype=darts_v2")
    lines = text.splitlines()
    assert lines[:3] == [
        "genotype 22fe8593981f of space darts",
        "normal cell",
        "  2     = sep_conv_3x3(c_{k-2}) + sep_conv_3x3(c_{k-1})",
    ]
    assert "at 36 channels, 20 cells, images (3, 32, 32), 10 classes:" in lines
    assert lines[-4:] == [
        f"parameters               {V2_PARAMETERS:,}",
        f"multiply-adds            {V2_MULTIPLY_ADDS:,}",
        "memory                   18.3 MB",
        "drawing                  genotype.svg",
    ]


def test_the_same_is_printed_as_json(show):
    content = json.loads(show("genotype=darts_v2", "json=true"))
    assert content["id"] == "22fe8593981f"
    assert content["space"] == "darts"
    assert content["parameters"] == V2_PARAMETERS
    assert content["multiply_adds"] == V2_MULTIPLY_ADDS
    assert content["memory_mb"] > 4e-6 * V2_PARAMETERS
    assert content["choices"]["normal/edge_2_5"] == "dil_conv_3x3"


def test_a_drawing_and_nothing_else_is_written(show):
    show("genotype=darts_v2", *SMALL, "output=drawings/v2.svg")
    assert [str(p) for p in sorted(Path().rglob("*"))] == ["drawings", "drawings/v2.svg"]
    assert ElementTree.parse("drawings/v2.svg").getroot().tag.endswith("svg")


def test_no_drawing_is_written_where_none_is_wanted(show):
    assert "drawing" not in show("genotype=darts_v2", *SMALL, "output=null")
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("content", ["my own", None])
def test_a_command_that_writes_nothing_touches_nothing(show, content, tmp_path, monkeypatch):
    if content is not None:
        Path("error.txt").write_text(content)
    touched = []
    for name in ("unlink", "mkdir", "rename", "touch", "open"):  # the last writes, or reads
        real = getattr(Path, name)

        def record(path, *args, real=real, **options):
            touched.append(path.resolve())
            return real(path, *args, **options)

        monkeypatch.setattr(Path, name, record)
    show("genotype=darts_v2", *SMALL, "output=null")
    monkeypatch.undo()
    inside = {path for path in touched if path.is_relative_to(tmp_path) and path != tmp_path}
    assert inside == set()
    assert [p.read_text() for p in tmp_path.iterdir()] == ([] if content is None else [content])


def test_nothing_is_needed_of_a_folder_that_may_not_be_written(tmp_path, protect):
    (tmp_path / "error.txt").write_text("my own")
    protect(tmp_path)
    command = [sys.executable, "-m", "nas_lightning", "show", "darts_v2", *SMALL, "output=null"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "error.txt").read_text() == "my own"


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("x.svg", b"<svg"),
        ("x.png", b"\x89PNG\r\n\x1a\n"),
        ("x.PNG", b"\x89PNG\r\n\x1a\n"),
        ("x.pdf", b"%PDF-"),
    ],
)
def test_a_drawing_is_what_its_suffix_says(show, name, start):
    assert show("darts_v2", *SMALL, f"output={name}").endswith(f" {name}\n")
    assert Path(name).read_bytes().startswith(start)


def test_the_png_is_a_picture_of_the_drawing(show):
    show("darts_v2", *SMALL, "output=x.png")
    with Image.open("x.png") as picture:
        assert picture.width > picture.height > 300
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 20


@pytest.mark.parametrize(("name", "use"), [("x.jpg", "x.png"), ("cell", "cell.png")])
def test_another_suffix_is_refused_before_any_work(name, use, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        run("show", "genotype=nothing_of_that_name", f"output={name}")
    assert capsys.readouterr().err == (
        f"error: output ({name}) must end in .svg, .png, .pdf; use e.g. output={use}\n"
    )


def test_no_drawing_takes_the_place_of_another(show):
    Path("genotype.svg").write_text("my own")
    assert show("darts_v2", *SMALL).endswith(" genotype-2.svg\n")
    assert show("darts_v1", *SMALL).endswith(" genotype-3.svg\n")
    assert show("darts_v2", *SMALL).endswith(" genotype-2.svg\n")  # the same drawing is there
    assert Path("genotype.svg").read_text() == "my own"
    assert json.loads(show("darts_v1", *SMALL, "json=true"))["drawing"] == "genotype-3.svg"


def test_the_cells_fit_a_narrow_terminal(show, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = show("darts_v2", *SMALL, "output=null").splitlines()
    notation = [line for line in lines if line.startswith("Genotype(")]  # to be pasted
    assert len(notation) == 1
    assert max(len(line) for line in lines if line not in notation) <= 60


def test_a_child_of_any_size_is_measured(show):
    sizes = ("channels=48", "cells=14", "stem=imagenet", "input_shape=[3,224,224]")
    text = show("genotype=darts_v2", *sizes, "num_outputs=1000", "json=true")
    assert json.loads(text)["parameters"] == 4_718_752  # the paper's 4.7 M


def test_images_and_classes_are_the_published_childs(show):
    text = show("genotype=proxyless_mobile", "search_space=mobile", "json=true")
    size = json.loads(text)
    assert (size["parameters"], size["multiply_adds"]) == (4_080_512, 320_427_584)


def test_what_a_search_found_is_shown_by_its_folder(show, finished):
    text = show(f"genotype={finished}", *SMALL, "json=true")
    assert json.loads(text)["id"] == json.loads((finished / "genotype.json").read_text())["id"]


def test_a_run_is_shown_with_its_own_child(show, finished):
    lines = show(f"genotype={finished}", "output=null").splitlines()
    size = result(finished)["child"]
    assert lines[-4:] == [
        "at 2 channels, 3 cells, images (1, 8, 8), 10 classes:",
        f"parameters               {size['parameters']:,}",
        f"multiply-adds            {size['multiply_adds']:,}",
        f"memory                   {size['memory_mb']:,.3g} MB",
    ]


def test_a_runs_child_is_shown_at_another_size(show, finished):
    text = show(f"genotype={finished}", "output=null", "channels=4", "input_shape=[3,16,16]")
    assert "at 4 channels, 3 cells, images (3, 16, 16), 10 classes:" in text


def test_a_run_without_a_child_is_shown_for_its_data(show, searched):
    text = show(f"genotype={searched}", "output=null")
    assert "at 2 channels, 3 cells, images (1, 8, 8), 10 classes:" in text


def test_a_text_notation_is_shown(show):
    edges = ", ".join(["('sep_conv_3x3', 0), ('skip_connect', 1)"] * 4)
    cells = f"normal=[{edges}], normal_concat=[2, 3, 4, 5], reduce=[{edges}]"
    text = show(f'genotype="Genotype({cells}, reduce_concat=[2, 3, 4, 5])"', *SMALL)
    assert "  5     = sep_conv_3x3(c_{k-2}) + skip_connect(c_{k-1})" in text


@pytest.mark.parametrize("place", ["taken/x.svg", "."])
def test_a_drawing_that_cannot_be_written_is_named(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("taken").touch()
    with pytest.raises(SystemExit):
        run("show", "genotype=darts_v2", *SMALL, f"output={place}")
    error = capsys.readouterr().err
    assert error.startswith(f"error: output ({place}) cannot be written: ")
    assert error.endswith("or give output=null\n")
    assert os.listdir() == ["taken"]


def test_a_sweep_shows_every_genotype(show):
    text = show("-m", "genotype=darts_v1,darts_v2", *SMALL, "json=true", "output=null")
    assert [json.loads(line)["id"] for line in text.splitlines()] == [
        "3b9039fdf4bc",
        "22fe8593981f",
    ]


def test_the_text_notation_of_a_space_that_has_one_is_told(show):
    text = "|nor_conv_1x1~0|+|none~0|none~1|+|skip_connect~0|avg_pool_3x3~1|none~2|"
    arguments = ("search_space=nasbench201", f"genotype='{text}'", *SMALL)
    assert text in show(*arguments).splitlines()
    assert json.loads(show(*arguments, "json=true"))["text"] == text


@pytest.mark.parametrize(
    ("name", "space", "parameters"),
    [
        ("nasbench201_best", "nasbench201", 1_073_466),
        ("setn", "darts", 4_619_206),
        ("proxyless_mobile", "mobile", 4_080_512),
    ],
)
def test_a_published_genotype_of_any_space_is_shown_by_its_name_alone(
    name, space, parameters, show
):
    content = json.loads(show(f"genotype={name}", "json=true"))
    assert (content["space"], content["parameters"]) == (space, parameters)
