"""child.init: a child starts from another child's params or from the supernet's."""

import re
from shutil import copytree, rmtree

import pytest
import torch
from command import PUBLISHED, TINY, TINY_RANDOM, bits, run
from PIL import Image

from nas_lightning.callbacks.checkpoint_file import best_or_last
from nas_lightning.core.search_space import crop
from nas_lightning.training.child import ChildModule

pytestmark = pytest.mark.usefixtures("unreported")

SCALE = ("child.scale.cells=3", "child.scale.channels=2", "child.scale.flavour=search")
BARE = tuple(o for o in PUBLISHED if not o.startswith("genotype"))
SHORT = ("child.epochs=1",)
NET = """
from torch import nn
from nas_lightning import OneOf

def Net(input_shape, num_outputs, channels):
    conv = nn.Conv2d(input_shape[0], channels, 3, padding=1)
    act = OneOf("act", {"relu": nn.ReLU(), "line": nn.Conv2d(channels, channels, 1)})
    return nn.Sequential(conv, act, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(channels, num_outputs))
"""


@pytest.fixture
def started(monkeypatch):
    """Keeps the params with which the first training of a child started."""
    params = {}

    def keep(module, *_):
        if not params:  # baselines are trained after it
            params.update({k: v.clone() for k, v in module.network.state_dict().items()})

    monkeypatch.setattr(ChildModule, "on_fit_start", keep, raising=False)
    return params


@pytest.fixture
def refused(capsys, monkeypatch, tmp_path):
    """Gives the message with which a command ends."""

    def refused(*arguments):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit):
            run(*arguments)
        return " ".join(capsys.readouterr().err.split())

    return refused


@pytest.fixture(scope="module")
def three_classes(tmp_path_factory):
    """A folder of 8x8 images of three classes."""
    folder = tmp_path_factory.mktemp("data")
    for label, name in enumerate(("oak", "elm", "ash")):
        (folder / name).mkdir()
        for number in range(12):
            image = Image.new("L", (8, 8), 80 * label + number)
            image.save(folder / name / f"{number}.png")
    return f"data.path={folder}"


def stored(folder):
    state = best_or_last(folder / "child")["state_dict"]
    return {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")}


def test_a_child_starts_from_that_of_a_run(finished, tmp_path, started, capsys):
    run("train", f"genotype={finished}", f"child.init={finished}", f"hydra.run.dir={tmp_path}/a",
        *BARE, *SHORT)  # fmt: skip
    before = stored(finished)
    assert f"child.init: all {len(before)} tensors of {finished}" in capsys.readouterr().out
    assert started.keys() == before.keys()
    assert all(torch.equal(started[name], before[name]) for name in before)


@pytest.mark.slow
def test_a_child_of_other_data_keeps_all_but_the_head(
    finished, tmp_path, started, three_classes, capsys
):
    run("train", f"genotype={finished}", f"child.init={finished}", "data=folder", three_classes,
        f"hydra.run.dir={tmp_path}/a", *BARE, "data.batch_size=4", "child.epochs=1")  # fmt: skip
    told = r"of .*; the head \(classifier\.weight, classifier\.bias\) starts anew, with 3 outputs"
    assert re.search(
        rf"child\.init: \d+ of \d+ tensors {told} instead of 10", capsys.readouterr().out
    )
    before = stored(finished)
    head = {"classifier.weight", "classifier.bias"}
    assert all(torch.equal(started[name], before[name]) for name in before.keys() - head)
    assert started["classifier.bias"].shape == (3,)


@pytest.mark.slow
def test_a_run_resumes_without_what_it_started_from(finished, tmp_path, monkeypatch):
    copytree(finished, tmp_path / "source")
    arguments = (f"genotype={finished}", "child.init=source", *BARE, "child.epochs=2")
    monkeypatch.chdir(tmp_path)
    run("train", "hydra.run.dir=whole", *arguments)
    fit = ChildModule.on_train_epoch_start

    def stop_in_second(module):
        if module.current_epoch == 1:
            raise KeyboardInterrupt
        fit(module)

    with monkeypatch.context() as patch:
        patch.setattr(ChildModule, "on_train_epoch_start", stop_in_second)
        with pytest.raises(SystemExit):
            run("train", "hydra.run.dir=parts", *arguments)
    rmtree(tmp_path / "source")
    run("train", "resume=parts")
    whole, parts = (bits(tmp_path / name) for name in ("whole", "parts"))
    assert {k: whole[k] == parts[k] for k in whole if "/" in k} == {
        k: True for k in whole if "/" in k
    }


def test_another_genotype_and_scale_are_refused(finished, trained, refused):
    init = f"child.init={finished}"
    said = refused("train", "genotype=darts_v2", init, *BARE)
    assert re.search(
        r"must hold a child of this genotype and scale, but the first tensor that", said
    )
    said = refused("train", f"genotype={finished}", init, *BARE, "child.scale.channels=4")
    assert re.search(r"differs is stem\S+: \(6, 1, 3, 3\) there, \(12, 1, 3, 3\) here; set", said)
    assert said.endswith("set child.scale.channels=2")


def test_the_child_of_a_search_inherits_the_supernet(tmp_path, started):
    run("search", f"hydra.run.dir={tmp_path}", *TINY, *SCALE, "child.init=supernet",
        "strategy.epochs=1", "data.max_images=200", "data.batch_size=50", *SHORT)  # fmt: skip
    content = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    for name, tensor in started.items():
        assert torch.equal(tensor, crop(content[f"supernet.{name}"], tensor.shape))


@pytest.mark.slow
def test_a_network_of_ones_own_inherits_what_it_takes_of_the_scale(
    tmp_path, monkeypatch, started, refused
):
    (tmp_path / "net_of_mine.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    short = ("data.batch_size=32", "data.max_images=200", "callbacks=silent", *SHORT)
    mine = ("search_space=custom", "search_space.network._target_=net_of_mine.Net", *short)
    said = refused("search", *mine, "search_space.scale.channels=4", "child.init=supernet")
    assert said.endswith("of the supernet's scale; set child.scale.channels=4")
    run("search", *mine, "strategy.epochs=1", "child.init=supernet", "hydra.run.dir=a")
    run("train", "genotype=a", "child.init=supernet", "hydra.run.dir=b", *short)
    content = torch.load("a/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    before = {name: content[f"supernet.{name}"] for name in started}
    assert all(torch.equal(started[name], before[name]) for name in before)
    said = refused("train", "genotype=a", "child.init=supernet", "child.scale.channels=8", *short)
    assert re.search(
        r"network\.0\.weight: \(16, .* there, \(8, .*; set child\.scale\.channels=16$", said
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("search", *TINY, "search_space.scale.channels=4", "child.init=supernet"),
            r"the supernet's scale; set child\.scale\.channels=4 child\.scale\.flavour=search",
        ),
        (
            ("search", *TINY, *SCALE, "child.init=supernet", "retrain=false"),
            r"child\.init \(supernet\) has no effect with retrain=false",
        ),
        (
            ("search", "strategy=random", *TINY_RANDOM, *SCALE, "child.init=supernet"),
            r"needs a supernet, and strategy RandomSearch trains none; choose",
        ),
        (
            ("search", *TINY, "child.init=old"),
            r"child\.init \(old\) must be null or supernet in nas-search: .*nas-train genotype=old",
        ),
        (("train", *PUBLISHED, "child.init=supernet"), r"must be the folder of a run in nas-train"),
        (
            ("train", "genotype={finished}", "child.init=supernet"),
            r"needs a child of the supernet's scale, but the first tensor that differs is \S+: .*; "
            r"set child\.scale\.flavour=search$",
        ),
        (("train", *PUBLISHED, "child.init=none"), r"'none' holds no trained child"),
    ],
)
def test_an_impossible_start_is_refused(refused, finished, tmp_path, arguments, message):
    arguments = [argument.format(finished=finished) for argument in arguments]
    assert re.search(message, refused(*arguments, f"hydra.run.dir={tmp_path}/run"))
    assert not (tmp_path / "run" / "metrics.csv").exists()
