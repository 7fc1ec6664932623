"""A genotype is drawn and measured, without any data."""

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command import result, run

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
    assert lines[-3:] == [
        f"parameters               {V2_PARAMETERS:,}",
        f"multiply-adds            {V2_MULTIPLY_ADDS:,}",
        "drawing                  genotype.svg",
    ]


def test_the_same_is_printed_as_json(show):
    content = json.loads(show("genotype=darts_v2", "json=true"))
    assert content["id"] == "22fe8593981f"
    assert content["space"] == "darts"
    assert content["parameters"] == V2_PARAMETERS
    assert content["multiply_adds"] == V2_MULTIPLY_ADDS
    assert content["choices"]["normal/edge_2_5"] == "dil_conv_3x3"


def test_a_drawing_and_nothing_else_is_written(show):
    show("genotype=darts_v2", *SMALL, "output=drawings/v2.svg")
    assert [str(p) for p in sorted(Path().rglob("*"))] == ["drawings", "drawings/v2.svg"]
    assert ElementTree.parse("drawings/v2.svg").getroot().tag.endswith("svg")


def test_no_drawing_is_written_where_none_is_wanted(show):
    assert "drawing" not in show("genotype=darts_v2", *SMALL, "output=null")
    assert list(Path().iterdir()) == []


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
    assert lines[-3:] == [
        "at 2 channels, 3 cells, images (1, 8, 8), 10 classes:",
        f"parameters               {size['parameters']:,}",
        f"multiply-adds            {size['multiply_adds']:,}",
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
