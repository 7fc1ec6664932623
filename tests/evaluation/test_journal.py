"""The journal of a black-box search survives kill -9."""

import json

import pytest

from nas_lightning.evaluation.journal import Journal

ASKED = {"event": "asked", "trial": 0, "genotype_id": "a"}
TOLD = {"event": "told", "trial": 0, "genotype_id": "a", "reward": 0.5}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "trials.jsonl"


def test_an_event_is_in_the_file_before_the_search_goes_on(path):
    journal = Journal(path)
    journal.append(ASKED)
    assert path.read_text() == json.dumps(ASKED) + "\n"
    journal.append(TOLD)
    assert len(path.read_text().splitlines()) == 2


def test_a_journal_is_read_again(path):
    first = Journal(path)
    first.append(ASKED)
    first.append(TOLD)
    again = Journal(path)
    assert list(again.events()) == [ASKED, TOLD]
    assert list(again.told()) == [TOLD]
    assert again.asked(0)
    assert not again.asked(1)


@pytest.mark.parametrize("torn", ['{"event": "to', json.dumps(TOLD)])
def test_a_last_line_without_its_end_is_dropped_from_the_file_too(path, torn):
    Journal(path).append(ASKED)
    with path.open("a") as file:
        file.write(torn)
    assert list(Journal(path).events()) == [ASKED]
    assert path.read_text() == json.dumps(ASKED) + "\n"


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        "3",
        "[" * 50_000,
        '{"event": "bought", "trial": 0}',
        '{"event": "told"}',
        '{"event": "told", "trial": "0"}',
        '{"event": "told", "trial": true}',
        "\x00",
    ],
)
def test_a_line_that_is_no_event_is_named_with_the_cure(path, line):
    Journal(path).append(ASKED)
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=rf"{path}, line 2 is no event of a search: b.*; remove"):
        Journal(path)
