"""The report shows which class is taken for which."""

from xml.etree import ElementTree

import pytest

from nas_lightning.reports.charts import draw_confusion
from nas_lightning.reports.page import write_report
from nas_lightning.reports.records import read_confusion
from nas_lightning.reports.rendering import chart_svg

COUNTS = "class,ant,<bee>\nant,8,2\n<bee>,0,10\n"
TEXT = "{http://www.w3.org/2000/svg}text"


@pytest.fixture
def path(tmp_path):
    (tmp_path / "child").mkdir()
    return tmp_path / "child" / "confusion.csv"


def page(path):
    return write_report(path.parent.parent, {}).read_text()


def test_every_count_stands_in_its_field(path):
    path.write_text(COUNTS)
    drawing = ElementTree.fromstring(chart_svg(draw_confusion(*read_confusion(path))))
    texts = [text.text for text in drawing.iter(TEXT)]
    assert texts.count("8") == texts.count("2") == texts.count("10") == 1
    assert texts.count("<bee>") == 2
    assert "0" not in texts


def test_the_page_tells_the_commonest_confusions(path):
    path.write_text(COUNTS)
    assert "ant taken for &lt;bee&gt;</th><td>2 of 10</td>" in page(path)


def test_of_many_classes_the_commonest_confusions_alone_are_told(path):
    names = [f"c{n}" for n in range(30)]
    rows = [[name, *("3" if m == (n + 1) % 30 else "9" for m in range(30))] for n, name in
            enumerate(names)]  # fmt: skip
    path.write_text("\n".join(",".join(row) for row in [["class", *names], *rows]) + "\n")
    assert draw_confusion(*read_confusion(path)) is None
    assert page(path).count("9 of ") == 10


def test_no_file_leaves_no_section(path):
    assert "taken for which" not in page(path)


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
        read_confusion(path)
