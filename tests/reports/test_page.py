import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import vl_convert

from nas_lightning.core.graph import Edge, Graph
from nas_lightning.evaluation.verdict import Verdict
from nas_lightning.reports.drawing import draw
from nas_lightning.reports.page import write_report

COST = {
    "wall_s": 61.2,
    "device_s": 60.0,
    "training_samples": 20160,
    "gradient_steps": 630,
    "children_trained": 0,
    "epochs_trained": 15,
}
RESULT: dict[str, Any] = {
    "space": "darts",
    "strategy": "darts",
    "data": "digits",
    "seed": 3,
    "genotype_id": "3f2a9c01bd77",
    "split": "9f86d081884c7d65",
    "versions": {"python": "3.11.2", "torch": "2.9.0"},
    "threads": 2,
    "command": "nas-search seed=3",
    "search": {"validation_accuracy": 0.9652, "alpha_entropy_start": 2.0794, "cost": COST},
    "child": {"test_accuracy": 0.9889, "parameters": 68234, "multiply_adds": 3204480, "cost": COST},
    "baselines": {
        "random_genotype": {"test_accuracy": 0.9833},
        "logistic_regression": {"test_accuracy": 0.9611},
    },
    "notes": ["A deliberate difference."],
}
SECTIONS = [
    "What was found",
    "Is it better than not searching?",
    "How do I use it?",
    "What next?",
    "Notes",
    "How the search decided",
    "Trials",
    "The search",
    "The training of the child",
    "Cost",
    "Further figures",
    "Do it again",
]
VOID = ("meta", "rect", "path", "circle", "line")


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.links: list[str] = []
        self.headings: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.open += [] if tag in VOID else [tag]
        self.links += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href")
        ]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        self.headings += [data] if self.open[-1:] == ["h2"] else []


def _write_run(folder: Path) -> Path:
    edges = (Edge("a", "0", "sep_conv_3x3"), Edge("0", "b", ""))
    files = {
        "genotype.svg": draw([Graph("normal cell", ("a", "0", "b"), edges)]),
        "alphas.csv": "epoch,group,choice,option,weight\n-1,n/2,n/edge_0_2,conv,0.5\n",
        "metrics.csv": "epoch,search/train_loss,time_s\n0,2.0,1\n1,1.0,2\n",
        "child/metrics.csv": "epoch,child/train_loss\n0,2.0\n1,1.0\n",
        "trials.jsonl": json.dumps({"event": "told", "trial": 0, "validation_accuracy": 0.5})
        + "\n",
    }
    (folder / "child").mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True, scope="module")
def drawings() -> Iterator[dict[str, str]]:
    """The pictures of the charts of all pages, each drawn once, which takes long."""
    draw_chart, made = vl_convert.vegalite_to_svg, dict[str, str]()

    def once(spec: dict[str, Any]) -> str:
        key = json.dumps(spec)
        if key not in made:
            made[key] = draw_chart(spec)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vl_convert, "vegalite_to_svg", once)
        yield made


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return _write_run(tmp_path)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a full run."""
    return write_report(_write_run(tmp_path_factory.mktemp("full")), RESULT).read_text("utf-8")


@pytest.fixture
def page(run_dir: Path) -> Callable[..., _Page]:
    def write(**changes: object) -> _Page:
        path = write_report(run_dir, {**RESULT, **changes})
        return _Page(path.read_text(encoding="utf-8"))

    return write


def test_a_full_run_has_every_section(full: str) -> None:
    assert _Page(full).headings == SECTIONS


def test_every_element_is_closed(full: str) -> None:
    assert _Page(full).open == []


def test_the_page_asks_nothing_of_the_network(full: str) -> None:
    assert _Page(full).links == []
    assert not {"link", "img", "iframe"} & set(_Page(full).names)
    shown = re.sub("<script.*?</script>", "", full, flags=re.DOTALL)
    addresses = set(re.findall(r"https?://[^\"'<> )]*", shown))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "@import" not in shown
    assert "url(" not in shown


def test_a_browser_is_told_to_load_nothing(full: str) -> None:
    policy = full.index("Content-Security-Policy\" content=\"default-src 'none';")
    assert policy < full.index("<style") < full.index("<script")


def test_each_chart_is_there_as_data_and_as_a_picture(full: str) -> None:
    shown = _Page(full)
    assert shown.names.count("noscript") == 5  # alphas, trials, two kinds of curves, comparison
    assert shown.names.count("script") == 5 + 2  # the libraries, and what calls them


def test_a_page_without_charts_has_no_script(tmp_path: Path) -> None:
    assert "script" not in _Page(write_report(tmp_path, {}).read_text(encoding="utf-8")).names


def test_a_page_is_small_enough_to_be_sent(run_dir: Path) -> None:
    head = "epoch,group,choice,option,weight\n"
    lines = [
        f"{epoch},n/{choice},n/edge_{choice}_9,option_{option},{option / 100 + epoch / 999:.6f}\n"
        for epoch in range(100)
        for choice in range(28)
        for option in range(8)
    ]
    (run_dir / "alphas.csv").write_text(head + "".join(lines))
    assert write_report(run_dir, RESULT).stat().st_size < 3_000_000


@pytest.mark.parametrize(
    "words",
    [
        "98.89 %",
        "98.33 %",
        "96.11 %",
        "96.52 %",
        "68,234",
        "3,204,480",
        "1 min 01 s",
        "20,160",
        "nas-search seed=3",
        "9f86d081884c7d65",
        "2.9.0",
        "A deliberate difference.",
        "0 = sep_conv_3x3(a)",
        "0.56 percentage points above",
    ],
)
def test_the_page_tells(full: str, words: str) -> None:
    assert words in _Page(full).text


def test_a_search_for_other_rewards_shows_them_before_the_metric(
    run_dir: Path, page: Callable[..., _Page]
) -> None:
    told = {"event": "told", "trial": 0, "validation_accuracy": 0.5, "reward": -0.71}
    (run_dir / "trials.jsonl").write_text(json.dumps(told) + "\n")
    search = {**RESULT["search"], "reward": -0.71234, "trials": 1}
    text = page(search=search, objective="mdl").text
    assert "-0.7123of objective mdl" in text
    assert text.index("mdl reward of each trial") < text.index("validation accuracy of each trial")
    assert "reward of each trial" not in page(search=search, objective="accuracy").text


def test_what_the_supernet_measured_is_told_apart(page: Callable[..., _Page]) -> None:
    text = page(search={"validation_accuracy": 0.5, "discretized_validation_accuracy": 0.25}).text
    assert "of the supernet, all options mixed" in text
    assert "of the supernet, the found path alone" in text


def test_the_size_of_the_random_child_is_told(page: Callable[..., _Page]) -> None:
    baselines = {"random_genotype": {"test_accuracy": 0.9989, "parameters": 190906}}
    assert "trained alike (190,906 parameters): one pair" in page(baselines=baselines).text


def test_the_verdict_stands_first(page: Callable[..., _Page]) -> None:
    verdict = Verdict(0.9, [0.8] * 24).as_dict()
    text = page(verdict=verdict).text
    assert text.count("Worth it: the network beats 24 of 24 random networks of its space") == 2
    assert text.index("Worth it: ") < text.index("What was found")


def test_a_child_worse_than_a_random_one_is_told(page: Callable[..., _Page]) -> None:
    baselines = {"random_genotype": {"test_accuracy": 0.9989}}
    assert "1.00 percentage points below" in page(baselines=baselines).text


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("alphas.csv", "How the search decided"),
        ("trials.jsonl", "Trials"),
        ("metrics.csv", "The search"),
        ("child/metrics.csv", "The training of the child"),
    ],
)
def test_a_missing_file_leaves_its_section_out(
    run_dir: Path, page: Callable[..., _Page], name: str, heading: str
) -> None:
    (run_dir / name).unlink()
    assert page().headings == [other for other in SECTIONS if other != heading]


def test_a_missing_drawing_leaves_no_text_of_it(run_dir: Path, page: Callable[..., _Page]) -> None:
    (run_dir / "genotype.svg").unlink()
    assert page().headings == SECTIONS
    assert "The same as text" not in page().text


def test_a_run_without_a_child_has_no_comparison(page: Callable[..., _Page]) -> None:
    text = page(child=None, baselines=None).text
    assert "96.52 %" in text
    assert "random genotype" not in text


def test_a_single_figure_is_not_compared(page: Callable[..., _Page]) -> None:
    assert "the found network" not in page(baselines=None).text


def test_equal_accuracies_are_called_equal(page: Callable[..., _Page]) -> None:
    baselines = {"random_genotype": {"test_accuracy": 0.9889}}
    assert "is equal to that of a random genotype" in page(baselines=baselines).text


def test_an_empty_result_gives_a_page(tmp_path: Path) -> None:
    text = write_report(tmp_path, {}).read_text(encoding="utf-8")
    assert _Page(text).headings == []


def test_text_from_the_user_has_no_meaning_as_markup(page: Callable[..., _Page]) -> None:
    attack = "<script>alert(1)</script>"
    names = ("space", "strategy", "data", "genotype_id", "split", "command")
    shown = page(**dict.fromkeys(names, attack), notes=[attack], versions={attack: attack})
    assert shown.names.count("script") == page().names.count("script")
    assert shown.text.count(attack) == 13


def test_names_in_the_tables_have_no_meaning_as_markup(
    run_dir: Path, page: Callable[..., _Page]
) -> None:
    head = "epoch,group,choice,option,weight\n"
    (run_dir / "alphas.csv").write_text(head + "0,<b>g,<b>cell/<b>c,<b>option,0.5\n")
    (run_dir / "metrics.csv").write_text("epoch,<b>loss\n0,1\n")
    shown = page()
    assert shown.names.count("b") == 5  # the main figures
    assert "<b>option" in shown.text


def test_the_same_run_gives_the_same_bytes(run_dir: Path, drawings: dict[str, str]) -> None:
    first = write_report(run_dir, RESULT).read_bytes()
    drawings.clear()
    assert write_report(run_dir, RESULT).read_bytes() == first


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("page", {"torch", "lightning", "hydra", "matplotlib", "pandas"}),
        ("drawing", {"torch", "altair", "vl_convert"}),
        ("png", {"altair"}),
        ("summary", {"torch", "jinja2"}),
    ],
)
def test_a_module_loads_no_more_than_it_needs(module: str, unwanted: set[str]) -> None:
    code = f"import sys, nas_lightning.reports.{module}; print({unwanted} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
