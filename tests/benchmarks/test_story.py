"""The story's picture, made of the folder of a sweep."""

import json
from xml.etree import ElementTree

import pytest
from story import SVG, TITLES, drawn, lines, put_together, read

from nas_lightning.reports.rendering import chart_svg

CELL = f'<svg xmlns="{SVG}" width="60" height="80"><text>a cell</text></svg>'


@pytest.fixture
def sweep(tmp_path):
    """Two seeds of every strategy; the second is worth 0.1 more, as its random children are."""
    jobs = [(strategy, seed) for seed in range(2) for strategy in TITLES]
    for number, (strategy, seed) in enumerate(jobs):
        folder = tmp_path / str(number)
        folder.mkdir()
        result = {
            "strategy": strategy,
            "seed": seed,
            "child": {"test_accuracy": 0.7 + 0.1 * seed},
            "search": {"cost": {"training_samples": 1000 * (1 + number)}},
            "verdict": {"others": [{"test_accuracy": 0.5 + 0.1 * seed}]},
        }
        (folder / "result.json").write_text(json.dumps(result))
        (folder / "genotype.svg").write_text(CELL)
    return tmp_path


def test_rows_have_the_mean_over_seeds_and_the_best_cell(sweep):
    first = read(sweep)[0]
    assert first["mean"] == pytest.approx(0.75)
    assert first["samples"] == 4000
    assert first["drawing"] == str(sweep / "6" / "genotype.svg")


def test_the_table_tells_how_far_above_random_genotypes(sweep):
    assert "| 70.0, 80.0 | 75.0 %" in (row := list(lines(read(sweep)))[2])
    assert "| +20.0 | 4,000 |" in row


def test_the_picture_is_one_document_with_a_cell_of_each_strategy(sweep):
    rows = read(sweep)
    picture = put_together(chart_svg(drawn(rows)), rows)
    assert ElementTree.fromstring(picture).tag == f"{{{SVG}}}svg"
    assert picture.count("a cell") == len(TITLES)


def test_an_unfinished_sweep_says_how_to_resume_it(sweep):
    (sweep / "3" / "result.json").unlink()
    with pytest.raises(SystemExit, match=f"unfinished: 3; nas-search resume={sweep}"):
        read(sweep)
