"""The examples of README.md and CONTRIBUTING.md are complete, and run."""

import pytest
from command import TINY, run
from documents import named_files, python_blocks
from representatives import some_slow

import nas_lightning as nl


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    for name, content in named_files("CONTRIBUTING.md").items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return f"hydra.searchpath=[file://{tmp_path}/conf]"


def tiny(*without: str) -> list[str]:
    return [o for o in TINY if not o.startswith(without)]


@pytest.mark.slow
def test_the_example_strategy_searches_and_resumes(plugins, tmp_path):
    run("search", plugins, "strategy=annealed", "hydra.run.dir=run", *TINY, "retrain=false")
    first = (tmp_path / "run/result.json").read_text()
    (tmp_path / "run/result.json").unlink()
    run("search", "resume=run", "trust=true")
    assert first.split('"genotype_id"')[1][:20] in (tmp_path / "run/result.json").read_text()


@pytest.mark.parametrize("strategy", [pytest.param("darts", marks=pytest.mark.slow), "random"])
def test_the_example_space_is_searched_by_both_kinds_of_strategy(plugins, tmp_path, strategy):
    short = {"darts": ["strategy.epochs=2"], "random": ["strategy.trials=2", "retrain=false"]}
    run("search", plugins, "search_space=layers", f"strategy={strategy}", *short[strategy],
        "hydra.run.dir=run", *tiny("strategy", "search_space"))  # fmt: skip
    assert (tmp_path / "run/report.html").is_file()


@pytest.mark.slow
def test_the_example_data_set_is_searched(plugins, tmp_path):
    from PIL import Image

    for label, colour in enumerate(("oak", "elm")):
        folder = tmp_path / "leaves" / colour
        folder.mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (24 + number, 30), (90 * label, 9 * number, 50)).save(
                folder / f"{number}.png"
            )
    run("search", plugins, "data=leaves", "data.batch_size=4", "hydra.run.dir=run", *tiny("data"))
    assert (tmp_path / "run/child/last.ckpt").is_file()


def test_the_lightning_example_runs_in_at_most_20_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = python_blocks("docs/by_hand.md")
    assert len([line for line in example.splitlines() if line.strip()]) <= 20
    exec(compile(example, "docs/by_hand.md", "exec"), {})
    assert "normal/node_2/inputs" in capsys.readouterr().out


def test_the_readmes_ten_lines_search_in_python(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    search = nl.search
    monkeypatch.setattr(
        nl, "search", lambda **given: search(**given, overrides=TINY), raising=False
    )
    (example,) = [b for b in python_blocks("README.md") if "nl.search" in b]
    assert len([line for line in example.splitlines() if line.strip()]) <= 10
    exec(compile(example, "README.md", "exec"), {})
    assert 0 < float(capsys.readouterr().out.splitlines()[-1]) <= 1


EXAMPLES = ("options", "table", "genotype")


@pytest.mark.parametrize("name", some_slow(EXAMPLES, "options"))
def test_the_examples_in_python_run(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    example = python_blocks("docs/python.md")[EXAMPLES.index(name)]
    small = ", ".join(map(repr, TINY))
    example = example.replace('"strategy.epochs=2", "child.epochs=2"', small)
    exec(compile(example, "docs/python.md", "exec"), {})


def test_the_example_of_signals_gives_logits():
    (example,) = [b for b in python_blocks("docs/spaces.md") if "signals" in b]
    names = {}
    exec(compile(example, "docs/spaces.md", "exec"), names)
    assert names["logits"].shape == (2, 10)


def test_the_readmes_five_lines_classify_an_image(finished, tmp_path, monkeypatch, capsys):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    (tmp_path / "RUN_DIR").symlink_to(finished)
    Image.new("L", (8, 8), 120).save("image.png")
    capsys.readouterr()
    (example,) = [b for b in python_blocks("README.md") if "load_child" in b]
    assert len([line for line in example.splitlines() if line.strip()]) <= 5
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip() in tuple("0123456789")
