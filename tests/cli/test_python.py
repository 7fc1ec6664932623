"""The calls in Python leave and return what the commands do."""

from functools import partial
from random import Random

import numpy as np
import pytest
import torch
from command import RANDOM, TINY, TINY_RANDOM, bits, result
from torch import nn

import nas_lightning as nl
from nas_lightning.cli.given import Given

QUICK = (
    "strategy.epochs=2",
    "child.epochs=1",
    "child.scale.channels=2",
    "child.scale.cells=3",
    "search_space.nodes=1",
    "search_space.scale.cells=3",
    "search_space.scale.channels=2",
    "callbacks=silent",
)
SMALL = tuple(o for o in QUICK if not o.startswith(("search_space", "child.scale.cells")))


class Wave(nn.Module):
    """A network of signals or tables with a choice, at the top of a module that is imported."""

    def __init__(self, input_shape: tuple[int, ...], num_outputs: int) -> None:
        super().__init__()
        size = int(np.prod(input_shape))
        self.flat = nn.Flatten()
        self.layer = nl.OneOf("layer", {"thin": nn.Linear(size, 8), "relu": _relu(size)})
        self.head = nn.Linear(8, num_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(self.flat(x)))


def _relu(size: int) -> nn.Module:
    return nn.Sequential(nn.Linear(size, 8), nn.ReLU())


def arrays(*shape, classes=3, seed=0):
    draw = np.random.default_rng(seed)
    y = np.arange(60) % classes
    x = draw.normal(size=(60, *shape)).astype(np.float32)
    return x + y.reshape(-1, *[1] * len(shape)), y


@pytest.fixture(scope="module")
def called(tmp_path_factory):
    """A search by its call, with the configuration of the fixture `finished`."""
    folder = tmp_path_factory.mktemp("called") / "run"
    return nl.search(folder=folder, overrides=TINY)


def test_a_call_leaves_the_files_of_the_command_to_the_bit(called, finished):
    assert bits(called.folder) == bits(finished)


def test_a_black_box_call_leaves_the_files_of_the_command(finished_random, tmp_path):
    run = nl.search(folder=tmp_path / "run", overrides=(*TINY_RANDOM, *RANDOM))
    assert bits(run.folder) == bits(finished_random)
    assert len(run.trials) == 3
    assert run.trials["genotype_id"].iloc[0] if "genotype_id" in run.trials else True
    assert run.alphas.empty


def test_a_run_has_its_genotype_drawn_and_its_tables(called):
    assert called.genotype.id == result(called.folder)["genotype_id"]
    assert called.genotype._repr_svg_().startswith("<svg")
    assert set(called.alphas) == {"epoch", "group", "choice", "option", "weight"}
    assert called.trials.empty
    assert "alphas" in " ".join(called.figures)
    assert called._repr_html_().startswith("<iframe")


def test_the_child_of_a_run_takes_the_data_that_were_given(called):
    from sklearn.datasets import load_digits

    images = load_digits().images[:3].astype(np.uint8)
    assert len(called.child.predict(list(images))) == 3


@pytest.mark.parametrize("give", [lambda x, y: ((x, y), (x, y)), lambda x, y: [x, y, x, y]])
def test_a_test_set_of_arrays_may_be_given(give):
    x, y = arrays(5)
    given = Given({"data": give(x, y)})
    assert given.overrides == ["data=arrays"]
    assert given.objects["data"]["test"][0] is x


def test_arrays_may_be_given_with_their_settings(tmp_path):
    x, y = arrays(2, 12)
    run = nl.search(
        data={"x": np.abs(x), "y": y, "kind": "signals", "batch_size": 16},
        search_space=Wave,
        strategy=partial(nl.Darts, epochs=1),
        folder=tmp_path / "run",
        overrides=["callbacks=silent"],
        retrain=False,
    )
    config = (run.folder / ".hydra" / "config.yaml").read_text()
    assert "kind: signals" in config
    assert "batch_size: 16" in config


def test_the_search_space_of_a_shown_genotype_may_be_an_object():
    space = nl.DartsSpace(nodes=1, scale=nl.Scale(channels=2, cells=3))
    genotype = space.validate(space.sample(Random(0)))
    assert nl.show(genotype, space).genotype == genotype


def test_a_value_is_given_as_it_is_whatever_characters_are_in_it(tmp_path):
    with pytest.raises(ValueError, match=r"""unknown export 'a\\b "c" 'd''; choose from: onnx"""):
        nl.search(export=["a\\b \"c\" 'd'"], folder=tmp_path / "run")


def test_a_run_of_another_command_is_not_resumed(called):
    with pytest.raises(ValueError, match="is a run of nas-search; use nas-search resume="):
        nl.train("darts_v2", folder=called.folder, resume=True)


@pytest.mark.parametrize("shape", [(2, 12), (5,)], ids=["signals", "tables"])
def test_signals_and_tables_are_searched_trained_and_loaded(shape, tmp_path):
    x, y = arrays(*shape)
    run = nl.search(
        data=(x, y),
        search_space=Wave,
        strategy=partial(nl.Darts, epochs=1),
        folder=tmp_path / "run",
        overrides=["child.epochs=1", "callbacks=silent", "data.batch_size=16"],
    )
    assert run.result["child"]["test_accuracy"] >= 0
    assert run.result["baselines"]["random_genotype"]["test_accuracy"] >= 0
    assert len(run.child.predict(x[:4])) == 4
    assert (run.folder / "report.html").stat().st_size > 0


def test_arrays_of_images_are_searched_like_a_data_set(tmp_path):
    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 255, (80, 8, 8), dtype=np.uint8), np.arange(80) % 4
    options = ["data.batch_size=16", "data.augmentation=null"]
    run = nl.search(data=(x, y), folder=tmp_path / "run", overrides=[*QUICK, *options])
    assert run.result["data"] == "arrays"
    assert len(run.child.predict(x[:2])) == 2


def test_objects_of_the_users_own_take_the_place_of_options(tmp_path):
    space = nl.DartsSpace(nodes=1, scale=nl.Scale(channels=2, cells=3))
    run = nl.search(
        search_space=space,
        strategy=partial(nl.Gdas, epochs=1),
        folder=tmp_path / "run",
        overrides=SMALL[1:],
        retrain=False,
    )
    assert run.genotype.space == "darts"
    assert run.result["strategy"] == "Gdas"


def test_an_interrupted_call_resumes_to_the_same_bits(called, tmp_path, monkeypatch):
    from nas_lightning.commands import search

    class Kill(BaseException):
        pass

    def killed(*_):
        raise Kill

    with monkeypatch.context() as patch:
        patch.setattr(search, "write_genotype", killed)
        with pytest.raises(Kill):
            nl.search(folder=tmp_path / "run", overrides=TINY)
    run = nl.search(folder=tmp_path / "run", overrides=TINY, resume=True)
    assert bits(run.folder) == bits(called.folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": "digit"}, "unknown data 'digit'; choose from: .*digits"),
        ({"strategy": "dart"}, "unknown strategy 'dart'; choose from: .*darts"),
        ({"strategy": 3}, r"strategy \(int\) must be the name of an option, a class, or what"),
        ({"search_space": nn.Linear(1, 1)}, r"search_space \(Linear\) must be the name of an"),
        ({"data": {"x": []}}, r"data \(dict\) must be the name of an option, a path"),
        (
            {"data": {"x": [], "y": [], "kinds": 1}},
            "unknown key 'data.kinds'; choose from: ",
        ),
        ({"data": 3}, r"data \(int\) must be the name of an option, a path, a LightningDataModule"),
        ({"overrides": ["child.epochs=0"]}, r"child.epochs \(0\) must be at least 1"),
        ({"overrides": ["sede=1"]}, "unknown key 'sede'"),
        ({"hardware": 3}, r"hardware \(3\) must be the name of an option: cpu"),
        ({"resume": True}, "resume=True needs the run's folder; give folder=RUN_DIR"),
        (
            {"strategy": nl.Darts, "overrides": ["strategy.epochs=3"]},
            "overrides: strategy.epochs=3 has no effect beside strategy=Darts, an object",
        ),
        (
            {"strategy": nl.Darts, "hardware": "ddp_cpu"},
            r"hardware.devices \(2\) must be 1 where strategy are objects",
        ),
    ],
)
def test_a_mistake_is_a_readable_error_and_leaves_no_run(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        nl.search(**arguments)


def test_an_unknown_argument_lists_what_there_is():
    with pytest.raises(TypeError, match="unknown argument 'sede'; choose from: seed, search_space"):
        nl.search(sede=1)


def test_a_published_genotype_is_trained_by_a_call(tmp_path):
    tiny = [o for o in QUICK if o.startswith(("child", "callbacks"))]
    run = nl.train("darts_v2", folder=tmp_path / "run", overrides=tiny)
    assert run.result["child"]["test_accuracy"] > 0


def test_a_genotype_is_shown_with_its_size():
    found = nl.show("darts_v2")
    assert found.size["parameters"] == 3_349_342
    assert found._repr_svg_().startswith("<svg")
    assert "multiply-adds" in str(found)
    assert nl.load_genotype("darts_v2") == found.genotype
    assert nl.show(found.genotype).size == found.size


def test_every_space_and_strategy_of_the_configuration_is_a_name():
    assert {"Darts", "Gdas", "RandomSearch", "DartsSpace", "NasBench201Space"} <= set(dir(nl))
    assert issubclass(nl.Darts, nl.OneShotStrategy)
    with pytest.raises(AttributeError, match=r"has no attribute 'Dart'; it has: .*Darts"):
        _ = nl.Dart
