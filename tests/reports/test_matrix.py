"""Graphs of many plain edges are drawn as a table."""

from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest

from nas_lightning.core.graph import Edge, Graph
from nas_lightning.reports.drawing import draw
from nas_lightning.reports.page import write_report

SVG = "{http://www.w3.org/2000/svg}"
NAMES = tuple(str(number) for number in range(9))
SKIPS = tuple(Edge(a, b, "") for a, b in combinations(NAMES, 2) if int(b) - int(a) > 1)
OPS = tuple(Edge(a, b, "conv_3x3") for a, b in pairwise(NAMES))
DENSE = Graph("9 states", NAMES, (*OPS, *SKIPS, Edge("2", "8", "max_pool_3x3")))


@pytest.fixture(scope="module")
def drawing():
    return ElementTree.fromstring(draw([DENSE]))


def test_a_graph_is_dense_from_25_plain_edges_on():
    assert len(SKIPS) == 28
    assert "<circle" in draw([Graph("", NAMES, (*OPS, *SKIPS[:25]))])
    assert "<circle" not in draw([Graph("", NAMES, (*OPS, *SKIPS[:24]))])


def test_every_plain_edge_is_one_dot_in_its_row_and_column(drawing):
    dots = drawing.findall(f".//{SVG}circle")
    assert sorted((d.get("data-source"), d.get("data-target")) for d in dots) == sorted(
        (edge.source, edge.target) for edge in SKIPS
    )
    for end, axis in (("source", "cx"), ("target", "cy")):
        places = {(dot.get(f"data-{end}"), dot.get(axis)) for dot in dots}
        assert len(places) == len({name for name, _ in places})


def test_an_operation_names_its_source_where_that_is_not_the_node_before(drawing):
    written = [text.text for text in drawing.iter(f"{SVG}text")]
    assert written.count("conv_3x3") == len(OPS)
    assert "max_pool_3x3 (2)" in written


def test_rows_stand_in_the_order_of_the_nodes(drawing):
    rows = [t for t in drawing.iter(f"{SVG}text") if t.get("class") == "node"]
    assert tuple(row.text for row in rows) == NAMES
    heights = [float(row.get("y")) for row in rows]
    assert heights == sorted(heights)


def test_a_table_stands_in_a_report_too(tmp_path):
    (tmp_path / "genotype.svg").write_text(draw([DENSE]))
    page = write_report(tmp_path, {}).read_text()
    assert page.count("<circle") == sum(not e.label for e in DENSE.edges)
