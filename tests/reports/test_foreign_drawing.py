"""A drawing in a run's folder that is not ours never gets into a page."""

from pathlib import Path

import pytest

from nas_lightning.core.graph import Edge, Graph
from nas_lightning.reports.drawing import draw
from nas_lightning.reports.page import read_network, write_report

SVG = '<svg xmlns="http://www.w3.org/2000/svg"'
AWAY = "http://evil.example/x"


def nested(attributes: str, tag: str = "rect") -> str:
    return f'{SVG}><svg class="graph"><{tag} {attributes}/></svg></svg>'


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("<svg", "no element found|unclosed token"),
        (f"{SVG}><script/></svg>", "it holds .*script"),
        (f"{SVG}><style>@import '{AWAY}';</style></svg>", "it holds .*style"),
        (f'{SVG}><image href="{AWAY}"/></svg>', "it holds .*image"),
        (f'{SVG} onload="x()"/>', "it holds 'onload'"),
        (nested(f'style="background: url({AWAY})"'), "it holds 'style'"),
        (nested(f'fill="url({AWAY})"'), "it holds 'fill'"),
        (nested(f'fill="URL( {AWAY} )"'), "it holds 'fill'"),
        (nested(f'stroke="\\75 rl({AWAY})"'), "it holds 'stroke'"),
        (nested(f'font-family="x; src: url({AWAY})"', "text"), "it holds 'font-family'"),
        (nested(f'transform="translate(1 2) url({AWAY})"', "g"), "it holds 'transform'"),
        (nested(f'filter="url({AWAY}#f)"'), "it holds 'filter'"),
        (nested(f'mask="url({AWAY}#m)"'), "it holds 'mask'"),
        (nested(f'cursor="url({AWAY}), auto"'), "it holds 'cursor'"),
        (nested('fill="image-set(&quot;x&quot; 1x)"'), "it holds 'fill'"),
    ],
)
def test_a_foreign_drawing_is_refused(tmp_path: Path, text: str, culprit: str) -> None:
    (tmp_path / "genotype.svg").write_text(text)
    with pytest.raises(ValueError, match=rf"genotype.svg must be a drawing .*{culprit}"):
        write_report(tmp_path, {})


@pytest.mark.parametrize("names", [("a", "b_{k}"), tuple(f"url({number})" for number in range(9))])
def test_every_drawing_of_ours_is_read(tmp_path: Path, names: tuple[str, ...]) -> None:
    edges = [Edge(a, b, "url(x)") for i, b in enumerate(names) for a in names[:i]]
    (tmp_path / "genotype.svg").write_text(draw((Graph("url(x)", names, tuple(edges)),)))
    network = read_network(tmp_path / "genotype.svg")
    assert network is not None
    assert len(network["graphs"]) == 1
