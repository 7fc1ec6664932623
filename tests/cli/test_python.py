"""The calls in Python leave and return what the commands do."""

from functools import partial
from random import Random

import numpy as np
import pytest
import torch
from command import RANDOM, TINY, TINY_RANDOM, bits, result
from omegaconf import OmegaConf
from own_module import CLASSES, NUMBERS, TABLE, Wave, arrays

import nas_lightning as nl
from nas_lightning.config.making import make
from nas_lightning.config.paths import config_dir
from nas_lightning.data.batches import View
from nas_lightning.reports import page
from nas_lightning.run.folder import RunFolder

pytestmark = pytest.mark.usefixtures("unreported")

QUICK = (
    "strategy.epochs=1",
    "child.epochs=1",
    "child.scale.channels=2",
    "child.scale.cells=3",
    "search_space.nodes=1",
    "search_space.scale.cells=3",
    "search_space.scale.channels=2",
    "callbacks=silent",
)
FEW = ("data.max_images=200", "data.batch_size=50")
SMALL = tuple(o for o in QUICK if not o.startswith(("search_space", "child.scale.cells")))


@pytest.fixture(scope="module")
def called(unreported, tmp_path_factory):
    """A reported search by its call, with the configuration of the fixture `finished`."""
    folder = tmp_path_factory.mktemp("called") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas_lightning.run.outcome.write_report", page.write_report)
        return nl.search(folder=folder, overrides=TINY)


def test_a_call_leaves_the_files_of_the_command_to_the_bit(called, finished):
    assert bits(called.folder) == bits(finished)


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(2, 12), (5,)], ids=["signals", "tables"])
def test_signals_and_tables_are_searched_trained_and_loaded(shape, reported, tmp_path):
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
    size = run.result["child"]["parameters"]
    assert nl.show(run.folder).size["parameters"] == size
    assert f"inputs {shape}, 3 classes" in str(nl.show(run.folder, Wave))
    assert str(run) == (
        f"run in {run.folder}: genotype {run.genotype.id} of space custom, child test accuracy "
        f"{100 * run.result['child']['test_accuracy']:.2f} %, {size:,} parameters"
    )
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
        overrides=[*SMALL[1:], *FEW],
        retrain=False,
    )
    assert run.genotype.space == "darts"
    assert run.result["strategy"] == "gdas"  # a class of ours is its option
    assert run.result["command"].startswith("nl.search(search_space=<darts ")
    for load in (nl.load_child, nl.show):
        with pytest.raises(ValueError, match=r"search_space \(darts\) was passed to this run from"):
            load(run.folder) if load is nl.show else _space_of(run.folder)


def _space_of(folder):
    """Makes the space that a run's configuration names."""
    return make(RunFolder(folder).config.search_space, "search_space", kind=nl.SearchSpace)


@pytest.mark.slow
def test_a_published_genotype_is_trained_by_a_call_that_tests_it_once(tmp_path, monkeypatch):
    made, loader = [], View.test_dataloader

    def counted(view):
        made.append(view)
        return loader(view)

    monkeypatch.setattr(View, "test_dataloader", counted)
    tiny = [o for o in QUICK if o.startswith(("child", "callbacks"))]
    run = nl.train("darts_v2", folder=tmp_path / "run", overrides=tiny, baselines=False)
    assert run.result["child"]["test_accuracy"] > 0
    assert len(made) == 1


@pytest.mark.slow
def test_the_child_of_a_run_is_trained_again_with_its_settings(called, tmp_path):
    again = nl.train(called.folder, folder=tmp_path / "run")
    assert result(again.folder)["child"] == result(called.folder)["child"]


@pytest.mark.slow
def test_arrays_of_a_run_must_be_passed_again_to_train_its_child(tmp_path, monkeypatch):
    wave = {"search_space": Wave, "overrides": TABLE["overrides"]}
    strategy = partial(nl.Darts, epochs=1)
    arguments = {"strategy": strategy, "retrain": False, **wave}
    few = ["data.batch_size=16"]
    searched = nl.search(data=(NUMBERS, CLASSES), folder=tmp_path / "run", **arguments)
    with pytest.raises(ValueError, match="are arrays that were passed from Python; pass"):
        nl.train(searched.folder, folder=tmp_path / "none")
    again = nl.train(
        searched.folder, data=(NUMBERS, CLASSES), folder=tmp_path / "again", overrides=few
    )
    assert again.result["child"]["cost"]["epochs_trained"] == 1
    assert again.result["data"] == "arrays"


def test_a_genotype_of_a_smaller_space_of_darts_is_found_by_its_own_option():
    option = OmegaConf.load(config_dir() / "search_space" / "darts_s4.yaml")
    genotype = make(option, "search_space").sample(0)
    assert "noise" in str(genotype)
    assert nl.show(genotype).space.validate(genotype) == genotype


def test_a_genotype_is_printed_with_its_choices():
    assert str(nl.load_genotype("nasbench201_best")) == (
        "genotype 135a27b3884a of space nasbench201\n"
        "  edge_0_1=nor_conv_3x3 edge_0_2=nor_conv_3x3 edge_0_3=skip_connect\n"
        "    edge_1_2=nor_conv_3x3 edge_1_3=nor_conv_3x3 edge_2_3=nor_conv_1x1"
    )


def test_a_child_is_loaded_with_the_class_of_its_search_space(called):
    class Small(nl.DartsSpace):
        def __init__(self):
            super().__init__(nodes=1)

    assert nl.load_child(called.folder, Small).genotype == called.genotype


def test_a_genotype_is_shown_with_its_size():
    shown = nl.show("darts_v2")
    assert shown.size["parameters"] == 3_349_342
    assert shown._repr_svg_().startswith("<svg")
    assert "multiply-adds" in str(shown)
    assert nl.load_genotype("darts_v2") == shown.genotype
    assert nl.show(shown.genotype).size == shown.size


def test_every_space_and_strategy_of_the_configuration_is_a_name():
    assert not {"re", "Any", "Path", "import_module", "cli", "core", "TYPE_CHECKING"} & set(dir(nl))
    assert {"Darts", "Gdas", "RandomSearch", "DartsSpace", "NasBench201Space"} <= set(dir(nl))
    assert issubclass(nl.Darts, nl.OneShotStrategy)
    with pytest.raises(AttributeError, match=r"has no attribute 'Dart'; it has: .*Darts"):
        _ = nl.Dart


def test_a_call_leaves_the_callers_draws_and_threads_alone(tmp_path):
    torch.manual_seed(7)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    typed = [*QUICK, *FEW, "hardware.threads=2"]
    nl.search(folder=tmp_path / "run", overrides=typed, retrain=False)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_a_genotype_is_trained_and_a_child_loaded_with_what_builds_its_module(tmp_path):
    arguments = {"data": (NUMBERS, CLASSES), **TABLE}
    space = nl.CustomSpace(Wave, scale=nl.Scale(input_shape=(4,), num_outputs=2))
    run = nl.train(space.sample(0), folder=tmp_path / "run", **arguments)
    assert run.child_metrics.shape[0] == 1
    assert run.metrics.empty
    assert len(nl.load_child(run.folder, Wave).predict(NUMBERS[:2])) == 2
    with pytest.raises(ValueError, match="must be a SearchSpace, or what builds the module"):
        nl.load_child(run.folder, "custom")
    with pytest.raises(ValueError, match="the genotype is of a module of your own; give it"):
        nl.show(run.genotype)
    assert "inputs (4,), 2 classes" in str(
        nl.show(run.genotype, space, input_shape=(4,), num_outputs=2)
    )
