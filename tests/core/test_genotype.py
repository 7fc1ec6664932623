import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_lightning.core.genotype import Genotype

TOY = Genotype.of("toy", {"b": "skip", "a": "conv"})


def file_with(**changes):
    """The file of the toy genotype with fields replaced, or left out where they are ..."""
    content = json.loads(TOY.to_json()) | changes
    return json.dumps({name: value for name, value in content.items() if value is not ...})


@settings(derandomize=True, deadline=None, database=None, max_examples=60)
@given(st.text(), st.dictionaries(st.text(), st.text(), max_size=5))
def test_a_genotype_survives_its_file(space, choices):
    genotype = Genotype.of(space, choices)
    read = Genotype.from_json(genotype.to_json({"run": "somewhere", "epochs": 3}))
    assert read == genotype
    assert read.id == genotype.id


def test_the_id_is_the_hash_of_the_canonical_json():
    text = '{"choices":{"a":"conv","b":"skip"},"space":"toy"}'
    assert TOY.id == hashlib.sha256(text.encode()).hexdigest()[:12]


def test_the_id_depends_on_space_and_choices_alone():
    assert Genotype.of("other", TOY.mapping).id != TOY.id
    assert Genotype.of("toy", {"a": "conv", "b": "conv"}).id != TOY.id
    assert Genotype.from_json(TOY.to_json({"seed": 1})).id == TOY.id


def test_a_file_documents_itself_and_keeps_its_provenance():
    assert json.loads(TOY.to_json({"seed": 3})) == {
        "format": "nas-lightning/genotype",
        "version": 1,
        "space": "toy",
        "choices": {"a": "conv", "b": "skip"},
        "id": TOY.id,
        "provenance": {"seed": 3},
    }


def test_genotypes_are_values_whatever_the_order_of_their_choices():
    same = Genotype.of("toy", {"a": "conv", "b": "skip"})
    assert len({TOY, same, Genotype.of("toy", {"a": "conv"})}) == 2
    assert same.choices == (("a", "conv"), ("b", "skip"))


def test_a_genotype_cannot_be_changed():
    with pytest.raises(AttributeError):
        TOY.space = "other"


def test_a_file_without_id_or_provenance_is_accepted():
    assert Genotype.from_json(file_with(id=..., provenance=...)) == TOY


def test_every_truncation_of_a_file_is_refused():
    text = TOY.to_json().rstrip()
    for length in range(len(text)):
        with pytest.raises(ValueError, match=r"is not valid JSON \(truncated\?\)"):
            Genotype.from_json(text[:length])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"not valid JSON \(truncated\?\): Expecting value: line 1 column 1"),
        ("[1, 2]", r"a genotype file holds a JSON object, got \[1, 2\]"),
        ("null", "a genotype file holds a JSON object, got None"),
        ("{}", "has format 'nas-lightning/genotype', got None"),
        (file_with(format="pickle"), "has format 'nas-lightning/genotype', got 'pickle'"),
        (file_with(version=2), "version 2 is unknown; this release reads version 1"),
        (file_with(version="1"), "version '1' is unknown; this release reads version 1"),
        (file_with(version=True), "version True is unknown"),
        (file_with(version=...), "version None is unknown"),
        (file_with(version=float("nan")), "version nan is unknown"),
        (file_with(space=7), r"needs 'space' \(text\) and 'choices' \(an object\)"),
        (file_with(space=...), r"needs 'space' \(text\) and 'choices' \(an object\)"),
        (file_with(choices=[["a", "conv"]]), r"needs 'space' \(text\) and 'choices'"),
        (file_with(choices={"a": 3}), "^the choice of 'a' must be text, got 3$"),
        (file_with(choices={"a": {"b": "c"}}), "the choice of 'a' must be text, got {'b': 'c'}"),
        (file_with(choices={"a": "skip"}), f"id is '{TOY.id}', but its choices have id '"),
        (file_with(id="0" * 12), "id is '000000000000', .*: the file was changed; delete its 'id'"),
        (file_with(id=None), "id is None, but"),
        ('{"space": "a", "space": "b"}', "the genotype file names 'space' twice"),
        (" " * 1_000_001, "at most 1,000,000 characters, got 1,000,001"),
        ("[" * 100_000, "nested too deeply to be one"),
        ('{"a":' * 100_000, "nested too deeply to be one"),
        ('{"format": ' + "9" * 5000 + "}", "5000 digits"),
    ],
)
def test_what_is_no_genotype_file_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Genotype.from_json(text)


def test_a_long_value_is_cut_in_a_message():
    with pytest.raises(ValueError, match=r"got 'x{56}\.\.\.$"):
        Genotype.from_json(file_with(format="x" * 10_000))


def test_nothing_in_a_file_is_run(tmp_path):
    trap = f"__import__('pathlib').Path({str(tmp_path / 'trap')!r}).touch()"
    read = Genotype.from_json(Genotype.of(trap, {trap: trap}).to_json({trap: trap}))
    assert read.choices == ((trap, trap),)
    assert not (tmp_path / "trap").exists()
