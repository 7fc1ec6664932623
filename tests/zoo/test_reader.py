"""Genotypes by whatever a user names them with."""

import json
import os

import pytest

from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.zoo.reader import published_names, read_genotype

SPACE = DartsSpace()
DARTS_V2 = read_genotype("darts_v2", SPACE)
EDGES = ", ".join(["('sep_conv_3x3', 0), ('sep_conv_3x3', 1)"] * 4)
TEXT = (
    f"Genotype(normal=[{EDGES}], normal_concat=[2, 3, 4, 5], "
    f"reduce=[{EDGES}], reduce_concat=range(2, 6))"
)


@pytest.mark.parametrize("name", [name for name in published_names("darts") if name != "setn"])
def test_a_published_genotype_is_read_by_its_name_however_it_is_written(name):
    assert read_genotype(name, SPACE) == read_genotype(name.upper(), SPACE)


def test_a_published_genotype_that_needs_more_than_its_space_says_so():
    with pytest.raises(ValueError, match=r"'conv_3x1_1x3' of .*needs search_space=darts_setn"):
        read_genotype("setn", SPACE)


def test_a_file_is_read_by_its_path_and_its_folder(tmp_path, monkeypatch):
    (tmp_path / "genotype.json").write_text(DARTS_V2.to_json({"seed": 3}))
    monkeypatch.setenv("HOME", str(tmp_path))
    named = [str(tmp_path / "genotype.json"), str(tmp_path), "~/genotype.json", "~"]
    assert [read_genotype(text, SPACE) for text in named] == [DARTS_V2] * 4


def test_the_text_notation_is_read():
    genotype = read_genotype(TEXT, SPACE)
    assert genotype.mapping["normal/edge_0_5"] == "sep_conv_3x3"


def test_a_text_file_holds_the_notation_or_a_genotype_file(tmp_path):
    path = tmp_path / "best.txt"
    path.write_text(f"2019-01-01 12:00:00,000 genotype = {TEXT}\n")
    assert read_genotype(str(path), SPACE) == read_genotype(TEXT, SPACE)
    path.write_text(DARTS_V2.to_json())
    assert read_genotype(str(path), SPACE) == DARTS_V2


def test_a_text_file_without_a_genotype_is_named_with_the_place(tmp_path):
    path = tmp_path / "best.log"
    path.write_text(f"epoch 1\n{TEXT.replace('[', '[!', 1)} 0.9\n")
    with pytest.raises(ValueError, match=rf"^{path}: not a .*\(invalid syntax, in line 2: \"Gen"):
        read_genotype(str(path), SPACE)


def test_a_file_is_read_though_its_name_looks_like_a_notation(tmp_path):
    path = tmp_path / "copy (1)|2.json"
    path.write_text(DARTS_V2.to_json())
    assert read_genotype(str(path), SPACE) == DARTS_V2


def test_the_folder_of_an_unfinished_search_is_named_as_such(tmp_path):
    (tmp_path / ".hydra").mkdir()
    with pytest.raises(ValueError, match=r"genotype\.json: the search in this folder has not fini"):
        read_genotype(str(tmp_path), SPACE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("darts_v9", r"^genotype 'darts_v9' is neither .*: darts_v1, darts_v2, gdas_v1, "),
        ("", r"^genotype '' is neither a file nor a published genotype"),
        ("x" * 5000, r"^genotype 'x+' is neither a file"),
        ("__import__('os').system('touch hit')", r"^DARTS's notation is Genotype\(.*, got \"__imp"),
        ("Genotype(normal=[], normal_concat=[])", r"^Genotype\(\.\.\.\) takes normal, "),
        (f"({TEXT})" * 9, r"^not a genotype in DARTS's notation|^DARTS's notation is"),
        (os.devnull, r"^/dev/null: there is no such file; name a genotype's, or the folder of"),
    ],
)
def test_what_names_no_genotype_is_refused(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        read_genotype(text, SPACE)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_genotype_is_named(tmp_path):
    with pytest.raises(ValueError, match=rf"^{tmp_path}/genotype\.json: there is no such file"):
        read_genotype(str(tmp_path), SPACE)


WHOLE = json.loads(DARTS_V2.to_json())
FOREIGN = {key: value for key, value in WHOLE.items() if key != "id"} | {"space": "nasnet"}
OTHER = WHOLE | {"choices": WHOLE["choices"] | {"normal/edge_0_2": "skip_connect"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"the file is empty; name the genotype\.json of a run, the run's folder"),
        (b"hello", r"not valid JSON \(truncated\?\): .*; name the genotype\.json of a run"),
        (b"{}", r"has format 'nas-lightning/genotype', got None; name the genotype\.json of"),
        (DARTS_V2.to_json().encode()[:300], r"not valid JSON \(truncated\?\)"),
        (b"\x80\x04genotype", "is UTF-8 text, got other bytes; name the genotype"),
        (b" " * 1_000_001, "has at most 1,000,000 bytes, got 1,000,001"),
        (json.dumps(OTHER).encode(), "but its choices have id '.*': the file was changed; delete"),
        (json.dumps(FOREIGN).encode(), "of space 'nasnet', .*choose search_space=nasnet"),
        (json.dumps(WHOLE | {"choices": {}, "id": None}).encode(), "the file's id is None"),
    ],
)
def test_a_file_that_holds_no_genotype_is_refused_by_name(content, message, tmp_path):
    path = tmp_path / "genotype.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^{path}: .*{message}"):
        read_genotype(str(path), SPACE)


def test_a_file_that_may_not_be_read_is_named(tmp_path, protect):
    path = tmp_path / "genotype.json"
    path.write_text(DARTS_V2.to_json())
    protect(path, 0, os.R_OK)
    with pytest.raises(ValueError, match=rf"^{path}: .*Permission denied"):
        read_genotype(str(path), SPACE)
