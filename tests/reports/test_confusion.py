"""The report shows which class is taken for which."""

import pytest

from nas_lightning.reports.confusion import confusion_section

COUNTS = "class,ant,<bee>\nant,8,2\n<bee>,0,10\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "confusion.csv"


def test_every_count_stands_in_the_table(path):
    path.write_text(COUNTS)
    page = confusion_section(path)
    assert page.count("<td style=") == 4
    assert ">8</td>" in page
    assert "&lt;bee&gt;" in page
    assert "ant taken for &lt;bee&gt;" in page
    assert "2 of 10" in page


def test_of_many_classes_the_commonest_confusions_are_told(path):
    names = [f"c{n}" for n in range(30)]
    rows = [[name, *("3" if m == (n + 1) % 30 else "9" for m in range(30))] for n, name in
            enumerate(names)]  # fmt: skip
    path.write_text("\n".join(",".join(row) for row in [["class", *names], *rows]) + "\n")
    page = confusion_section(path)
    assert "<td style=" not in page
    assert page.count("9 of ") == 10


def test_no_file_leaves_no_section(path):
    assert confusion_section(path) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class,a,b\na,1,x\nb,1,1\n", r"confusion.csv must hold counts \(.*'x'\); remove it"),
        ("class,a,b\na,1,1\n", r"confusion.csv must hold a row and a column for each class"),
    ],
)
def test_a_damaged_file_is_named(path, text, message):
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        confusion_section(path)
