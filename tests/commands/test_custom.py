"""Search spaces of the user's own, as the documents show them."""

import ast
import json
import warnings

import pytest
from command import rows, run
from documents import named_files, python_blocks
from omegaconf import OmegaConf

from nas_lightning.config.paths import config_dir
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.custom import CustomSpace

STRATEGIES = sorted(path.stem for path in (config_dir() / "strategy").glob("*.yaml"))
LAYER = ("heads", "ratio")  # what each block of the transformer chooses
SHORT = ("child.epochs=1", "child.scale.channels=4", "search_space.scale.channels=4",
         "data.batch_size=256", "callbacks=silent")  # fmt: skip


def network_of(document, path, folder, monkeypatch):
    """Writes the network that a document shows into a folder; returns what searches it."""
    module, name = path.split(".")
    example = named_files(document)[f"{module}.py"]
    (folder / f"{module}.py").write_text(example)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(folder)
    return example, ("search_space=custom", f"search_space.network._target_={module}.{name}")


@pytest.fixture
def net(tmp_path, monkeypatch):
    example, chosen = network_of("docs/custom.md", "my_net.Net", tmp_path, monkeypatch)
    assert len([line for line in example.splitlines() if line.strip()]) <= 30
    return chosen


@pytest.fixture
def transformer(tmp_path, monkeypatch):
    return network_of("docs/transformer.md", "vit.Transformer", tmp_path, monkeypatch)[1]


def with_all_strategies(*fast):
    """Parametrises over the strategies; but for the fast ones they are slow together."""
    cases = [s if s in fast else pytest.param(s, marks=pytest.mark.slow) for s in STRATEGIES]
    return pytest.mark.parametrize("strategy", cases)


def search(net, strategy, *more):
    node = OmegaConf.load(config_dir() / "strategy" / f"{strategy}.yaml")
    more += ("strategy.epochs=2",) * ("epochs" in node)
    if "trials" in node:
        more += ("strategy.trials=2",) + ("strategy.population=1",) * (strategy == "evolution")
    more += ("strategy.partial=1",) * (strategy == "pc_darts")
    more += ("strategy.growth=[0,0,0]",) * (strategy == "p_darts")
    more += ("export=[pt2]",) * (strategy == "random")
    run("search", *net, f"strategy={strategy}", "hydra.run.dir=run", *SHORT, *more)


@with_all_strategies("darts")
def test_every_kind_of_strategy_searches_the_readmes_network(net, tmp_path, strategy):
    search(net, strategy)
    assert (tmp_path / "run/report.html").is_file()
    assert rows(tmp_path / "run/child/metrics.csv")
    assert (tmp_path / "run/child/model.pt2").is_file() == (strategy == "random")


def test_the_transformer_has_as_many_genotypes_as_its_document_says(transformer):
    import vit  # the file that the document shows

    space = CustomSpace(vit.Transformer).fitted(Scale(16, input_shape=(1, 8, 8), num_outputs=10))
    assert space.count() == 9 + 81 + 729 == 819


@pytest.mark.slow
@with_all_strategies("gdas")
def test_every_kind_of_strategy_searches_depth_and_what_is_in_each_layer(
    transformer, tmp_path, strategy, capsys
):
    search(transformer, strategy)
    result = json.loads((tmp_path / "run/result.json").read_text())
    genotype = json.loads((tmp_path / "run/genotype.json").read_text())["choices"]
    inner = [f"blocks.{n}.{name}" for n in range(int(genotype["blocks"])) for name in LAYER]
    assert sorted(genotype) == sorted(["blocks", *inner])
    assert "blocks.0.heads" in (tmp_path / "run/report.html").read_text()
    capsys.readouterr()
    run("show", *transformer, "genotype=run", "output=null", "channels=4",
        "input_shape=[1,8,8]")  # fmt: skip
    shown = capsys.readouterr().out
    assert f"multiply-adds            {result['child']['multiply_adds']:,}" in shown


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "choice"), [(1, "view"), (2, "activation"), (3, "view"), (4, "edge_0_1")]
)
def test_the_examples_of_other_data_run(tmp_path, monkeypatch, capsys, number, choice):
    monkeypatch.chdir(tmp_path)
    example = python_blocks("docs/custom.md")[number]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Lightning, about workers and short epochs
        exec(compile(example, "docs/custom.md", "exec"), {})
    printed = capsys.readouterr().out
    start = printed.index("{'")
    assert choice in ast.literal_eval(printed[start : printed.index("}", start) + 1])
