import ast
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_lightning.search_spaces.notation import (
    CellText,
    read_darts_text,
    write_darts_text,
)

CELLS = {
    "normal": CellText((("sep_conv_3x3", 0), ("skip_connect", 1)), (2, 3)),
    "reduction": CellText((("max_pool_3x3", 1), ("dil_conv_5x5", 0)), (3, 2)),
}
TEXT = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1)], normal_concat=[2, 3], "
    "reduce=[('max_pool_3x3', 1), ('dil_conv_5x5', 0)], reduce_concat=[3, 2])"
)


TRAP = "__import__('pathlib').Path('trap').touch()"
DICTIONARY = (
    "{'normal': [('sep_conv_3x3', 0), ('skip_connect', 1)], 'normal_concat': [2, 3], "
    "'reduce': [('max_pool_3x3', 1), ('dil_conv_5x5', 0)], 'reduce_concat': [3, 2]}"
)


def text_with(normal="[('a', 0)]", concat="[2]", more=""):
    return f"Genotype(normal={normal}, normal_concat={concat}, reduce=[], reduce_concat=[]{more})"


def test_a_text_is_read_as_its_cells():
    assert read_darts_text(TEXT) == CELLS


def test_cells_are_written_as_their_text():
    assert write_darts_text(CELLS) == TEXT


def test_whitespace_line_breaks_and_order_of_the_fields_do_not_matter():
    text = (
        "\n Genotype(\n reduce_concat=(3, 2), reduce=(('max_pool_3x3', 1), ['dil_conv_5x5', 0]),"
        "\n normal=[('sep_conv_3x3', 0), ('skip_connect', 1)], normal_concat=range(2, 4),)\n"
    )
    assert read_darts_text(text) == CELLS


@pytest.mark.parametrize(
    ("concat", "states"),
    [
        ("range(2, 6)", (2, 3, 4, 5)),
        ("range(3)", (0, 1, 2)),
        ("range(2, 2)", ()),
        ("(2,)", (2,)),
    ],
)
def test_a_concatenation_is_a_range_or_a_list(concat, states):
    assert read_darts_text(text_with(concat=concat))["normal"].concat == states


@pytest.mark.parametrize(
    "text",
    [
        f"2019-01-01 12:00:00,000 genotype = {TEXT}",
        f"01/01 12:00:00 AM | genotype = {TEXT}\n",
        f"INFO:root:{TEXT}",
        f"[INFO] (search, epoch 49) genotype: {TEXT}",
        f"DARTS_V2 = {TEXT}",
        f"# found with seed 2\nFOUND = \\\n  genotypes.{TEXT}",
        f"nas.darts.genotypes.{TEXT}",
        TEXT.replace(")]", "),]").replace("Genotype(", "Genotype (\n  "),
        TEXT.replace("[2, 3]", "range(2, 4, 1)").replace("[3, 2]", "list((3, 2))"),
        TEXT.replace("[2, 3]", "list(range(2, 4))").replace("[3, 2]", "tuple([3, 2])"),
        TEXT[:-1] + ", connectN=None, connects=None)",
        DICTIONARY,
        f"{{'epoch': 3, 'genotype': {DICTIONARY}}}",
        f'{{"genotype": {json.dumps(ast.literal_eval(DICTIONARY))}, "epoch": 3}}',
        f'{{"level": "info", "message": "epoch 49 {TEXT}"}}',
        f"Genotype (epoch 3, it's best): {TEXT}",
        TEXT.replace("[2, 3]", "[2,  # it's the last (\n 3]"),
    ],
)  # fmt: skip
def test_a_text_is_read_as_people_paste_it(text):
    assert read_darts_text(text) == CELLS


NOISE = st.text("ab 0.,:;|=#'\"()[]{}\\\n")


@given(NOISE, st.sampled_from([TEXT, DICTIONARY]), NOISE)
@settings(max_examples=200, deadline=None)
def test_what_stands_around_a_text_does_not_matter(before, text, after):
    assert read_darts_text(f"{before} {text} {after}") == CELLS


@pytest.mark.parametrize("around", ["{1} or {0}", "{0}; {1}", "{1}\n{0}, {1}"])
def test_code_around_a_text_is_not_run(around, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_darts_text(around.format(TEXT, TRAP)) == CELLS
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("score", ["0.13", "1e-05", "np.float32(0.13)", "tensor(0.13)"])
def test_pairs_of_a_node_in_brackets_of_their_own_are_read_with_their_scores(score):
    nested = (
        TEXT.replace("[('sep_conv_3x3', 0), ('skip_connect', 1)]",
                     f"((('sep_conv_3x3', 0, {score}), ('skip_connect', 1, {score})),)")
        .replace("[('max_pool_3x3', 1), ('dil_conv_5x5', 0)]",
                 f"[(('max_pool_3x3', 1, {score}), ('dil_conv_5x5', 0, {score}))]")
    )  # fmt: skip
    assert read_darts_text(f"<<<---->>> genotype : {nested}") == CELLS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT.replace("normal=", "normal=\n!"),
         r"notation: .* \(invalid syntax, in line 2: \"!\[\('sep_conv_3x3', 0\), "),
        (f"log\n{TEXT[:-1]}", r"notation: .* \('\(' was never closed, in line 2: \"Genotype\("),
        (f"{TEXT}\n{TEXT}", r"notation: .* holds 2 of them; leave the one that you mean"),
        (f"{TEXT} {DICTIONARY}", r"notation: .* holds 2 of them; leave the one that you mean"),
        (text_with(more=", normal=[('b', 1)]"),
         r"takes 'normal' once, got \"\[\('a', 0\)\]\" and \"\[\('b', 1\)\]\"; leave one"),
        (DICTIONARY.replace("'normal'", "'reduce_concat': [4], 'normal'"),
         r"takes 'reduce_concat' once, got '\[4\]' and '\[3, 2\]'; leave one of them"),
        (text_with(normal="[('a', 0), ('b', '1')]"), r"number 2 is \"\('b', '1'\)\""),
        (text_with(normal="[('a', 0), 'b']"), r"number 2 is 'b'$"),
        (text_with(normal="[(('a', 0), ('b', 1)), (('c', 0),)]"),
         r"node 2 of 'normal' must have two pairs \(operation, input\), got \"\(\('c', 0\),\)\""),
        (text_with(concat="range(2, 'x')"), r"range\(a, b\), got \"range\(2, 'x'\)\""),
        (text_with(concat="list()"), r"must list states .* got 'list\(\)'"),
        (text_with(more=", connectN=3"), "got connectN, normal"),
        ("{'normal': []}", "takes normal, .*; got normal$"),
        ("{**{}}", "takes normal, .*; got None$"),
    ],
)  # fmt: skip
def test_a_near_miss_is_refused_with_its_place(text, message):
    with pytest.raises(ValueError, match=message):
        read_darts_text(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TRAP, "DARTS's notation is Genotype"),
        (f"[Genotype for Genotype in [{TRAP}]]", "DARTS's notation is Genotype"),
        (f"(lambda Genotype: {TRAP})(0)", "DARTS's notation is Genotype"),
        (f"Genotype({TRAP})", "DARTS's notation is Genotype"),
        (f"{TEXT}._replace(normal={TRAP})", r"must end with its bracket, .* '\._replace'; nothing"),
        (f"{TEXT}[{TRAP}]", r"must end with its bracket, but goes on with '\[_'; nothing is run"),
        (text_with(more=f", **{TRAP}"), "got None, normal"),
        (text_with(more=f", more={TRAP}"), "got more, normal"),
        (text_with(normal=TRAP), "'normal' and its concat must be literals; nothing is run"),
        (text_with(normal=f"[('a', {TRAP})]"), "must be literals; nothing is run"),
        (text_with(normal=f"[(f'{{{TRAP[:10]}}}', 0)]"), "must be literals; nothing is run"),
        (text_with(normal=f"[('a', 0) for a in [{TRAP}]]"), "must be literals; nothing is run"),
        (text_with(normal=f"[(x := {TRAP}, 0)]"), "must be literals; nothing is run"),
        (text_with(concat=TRAP), r"'normal_concat' must list states or be range\(a, b\)"),
        (text_with(concat=f"range({TRAP})"), "must be literals; nothing is run"),
        (text_with(concat=f"range(*[{TRAP}])"), "must be literals; nothing is run"),
        (text_with(normal=f"[('a', 0, np.float32({TRAP}))]"), "must be literals; nothing is run"),
        (text_with(concat=f"list({TRAP})"), r"must list states or be range\(a, b\)"),
        (f"{{'normal': {TRAP}}}", "takes normal, .*; got normal$"),
        (f"{{{TRAP}: []}}", "takes normal, .*; got None$"),
        (text_with(concat=f"({TRAP}).range(2)"), r"must list states or be range\(a, b\)"),
    ],
)
def test_code_in_a_genotype_is_refused_and_never_run(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        read_darts_text(text)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a genotype in DARTS's notation: ''"),
        (
            TEXT[:40],
            r"not a genotype in DARTS's notation: \"Genotype\(normal=\[\('sep_conv_3x3', 0",
        ),
        (text_with(normal="-" * 100_000 + "1"), "not a genotype in DARTS's notation"),
        ("(" * 5000, r"not a genotype in DARTS's notation: '\({77}\.\.\.'"),
        ("Genotype\0()", "not a genotype in DARTS's notation"),
        ("Cell()", r"DARTS's notation is Genotype\(normal=\[\.\.\.\].* got 'Cell\(\)'"),
        ("Genotype()", "takes normal, normal_concat, reduce, reduce_concat; got nothing"),
        ("Genotype(normal=[])", "takes normal, .*; got normal$"),
        (text_with(normal="{'a': 0}"), r"'normal' must list pairs \(operation, input\), got \"\{"),
        (text_with(normal="[('a', 0, 1, 2)]"), r"must list pairs .* got \"\[\('a', 0, 1, 2\)\]"),
        (text_with(normal="[(0, 'a')]"), "must list pairs"),
        (text_with(normal="[('a', True)]"), "must list pairs"),
        (text_with(normal="[('a', 1.0)]"), "must list pairs"),
        (text_with(normal="{[]}"), "must be literals"),
        (text_with(concat="range(2, 6, 2)"), "'normal_concat' must list states"),
        (text_with(concat="range()"), "'normal_concat' must list states"),
        (text_with(concat="range(10**9)"), "must be literals"),
        (text_with(concat="range(1000000000)"), "'normal_concat' must list states"),
        (text_with(concat="['2']"), "'normal_concat' must list states"),
        (text_with(concat="2"), "'normal_concat' must list states"),
    ],
)
def test_a_text_of_another_form_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        read_darts_text(text)
