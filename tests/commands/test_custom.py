"""Search spaces of the user's own, as the documents show them."""

import ast
import warnings

import pytest
from command import rows, run
from documents import named_files, python_blocks
from omegaconf import OmegaConf

from nas_lightning.config.paths import config_dir

STRATEGIES = sorted(path.stem for path in (config_dir() / "strategy").glob("*.yaml"))
KINDS = ("darts", "enas", "random")  # the others are slow together
SHORT = ("child.epochs=1", "child.scale.channels=4", "search_space.scale.channels=4",
         "data.batch_size=256", "callbacks=silent")  # fmt: skip


@pytest.fixture
def net(tmp_path, monkeypatch):
    example = named_files("docs/custom.md")["my_net.py"]
    assert len([line for line in example.splitlines() if line.strip()]) <= 30
    (tmp_path / "my_net.py").write_text(example)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return ("search_space=custom", "search_space.network._target_=my_net.Net")


@pytest.mark.parametrize(
    "strategy", [s if s in KINDS else pytest.param(s, marks=pytest.mark.slow) for s in STRATEGIES]
)
def test_every_kind_of_strategy_searches_the_readmes_network(net, tmp_path, strategy):
    node = OmegaConf.load(config_dir() / "strategy" / f"{strategy}.yaml")
    more = ["strategy.epochs=2"] if "epochs" in node else []
    if "trials" in node:
        more = ["strategy.trials=2"]
        more += ["strategy.population=1"] * (strategy == "evolution")
    more += ["strategy.partial=1"] * (strategy == "pc_darts")
    more += ["strategy.growth=[0,0,0]"] * (strategy == "p_darts")
    more += ["export=[pt2]"] * (strategy == "random")
    run("search", *net, f"strategy={strategy}", "hydra.run.dir=run", *SHORT, *more)
    assert (tmp_path / "run/report.html").is_file()
    assert rows(tmp_path / "run/child/metrics.csv")
    assert (tmp_path / "run/child/model.pt2").is_file() == (strategy == "random")


@pytest.mark.parametrize(("number", "choice"), [(1, "view"), (2, "activation"), (3, "edge_0_1")])
def test_the_examples_of_other_data_run(tmp_path, monkeypatch, capsys, number, choice):
    monkeypatch.chdir(tmp_path)
    example = python_blocks("docs/custom.md")[number]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Lightning, about workers and short epochs
        exec(compile(example, "docs/custom.md", "exec"), {})
    printed = capsys.readouterr().out
    start = printed.index("{'")
    assert choice in ast.literal_eval(printed[start : printed.index("}", start) + 1])
