"""A file of rows survives kill -9."""

import re

import pytest

from nas_lightning.evaluation.journal import RowFile

COLUMNS = ("name", "size", "worth")
ROW = {"name": "a", "size": 1 / 3, "worth": -1e-300}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "rows.csv"


def test_a_row_is_in_the_file_at_once_and_is_read_again_to_the_bit(path):
    file = RowFile(path, COLUMNS)
    file.append(ROW)
    assert len(path.read_text().splitlines()) == 2
    assert RowFile(path, COLUMNS).rows == [ROW] == file.rows


@pytest.mark.parametrize("torn", ["b,1", "b,1,2", '"b'])
def test_a_last_row_without_its_end_is_dropped_from_the_file_too(path, torn):
    RowFile(path, COLUMNS).append(ROW)
    whole = path.read_text()
    with path.open("a") as file:
        file.write(torn)
    assert RowFile(path, COLUMNS).rows == [ROW]
    assert path.read_text() == whole


def test_a_torn_header_is_written_anew(path):
    path.parent.mkdir()
    path.write_text("name,si")
    assert RowFile(path, COLUMNS).rows == []
    assert path.read_text() == "name,size,worth\n"


@pytest.mark.parametrize("line", ["b,1", "b,1,2,3", "b,1,much", ""])
def test_a_row_that_is_none_is_named_with_the_cure(path, line):
    RowFile(path, COLUMNS).append(ROW)
    with path.open("a") as file:
        file.write(line + "\n")
    message = f"{path}, line 3 is no row of a name and 2 numbers: '{line}'; remove the file"
    with pytest.raises(ValueError, match=re.escape(message)):
        RowFile(path, COLUMNS)


def test_a_file_of_other_columns_is_refused(path):
    RowFile(path, ("name", "size"))
    with pytest.raises(ValueError, match=r"must have the columns name, size, worth, it has name, "):
        RowFile(path, COLUMNS)
