"""A loaded child gets another head, gives its features, and is saved and loaded again."""

import json
from dataclasses import asdict

import lightning as L
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from representatives import some_slow
from torch import nn

import nas_lightning as nl
from nas_lightning.config.making import make
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.deployment.load import LoadedChild
from nas_lightning.training.child import build_child

NAMES = ["oak", "elm", "ash"]
HERE = "nas_lightning.search_spaces"
SPACES = {
    "darts": f"{HERE}.darts.DartsSpace",
    "nasnet": f"{HERE}.nasnet.NasnetSpace",
    "enas_micro": f"{HERE}.enas_micro.EnasMicroSpace",
    "enas_macro": f"{HERE}.enas_macro.EnasMacroSpace",
    "nasbench201": f"{HERE}.nasbench201.NasBench201Space",
    "mobile": f"{HERE}.mobile.MobileSpace",
    "chain": f"{HERE}.chain.ChainSpace",
}


@pytest.fixture
def child(finished):
    return nl.load_child(finished)


@pytest.fixture
def images():
    return torch.randint(0, 256, (6, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()


def child_of(node, **scale):
    """Returns an untrained child of a space's smallest genotype that is drawn."""
    values = {"channels": 4, "cells": 3, "flavour": "child", "num_outputs": 5}
    scale = Scale(**values | {"input_shape": (3, 32, 32)} | scale)
    space = make(node, "search_space", kind=SearchSpace).fitted(scale)
    genotype = space.sample(3)
    card = {
        "version": nl.__version__,
        "space": node,
        "genotype": genotype.to_json(),
        "scale": asdict(scale),
        "class_names": list("abcde"),
        "task": {"targets": "classes"},
        "preprocessing": {"mean": [0.0] * 3, "std": [1.0] * 3},
    }
    return LoadedChild(build_child(space, genotype, scale, 0), space, card).eval()


@pytest.fixture(params=some_slow(SPACES, "mobile", "nasnet"))
def any_child(request):
    return child_of({"_target_": SPACES[request.param]})


def test_a_new_head_keeps_the_rest_and_names_its_outputs(child, images):
    other = child.with_head(NAMES)
    assert other.class_names == tuple(NAMES)
    assert list(other.predict(images)[0]) == NAMES
    x = child.preprocess(images)
    assert torch.equal(other.features(x), child.features(x))
    assert len(child.class_names) == 10


def test_a_new_head_depends_on_its_seed_alone(child, images):
    answers = [child.with_head(NAMES, seed=seed).predict(images) for seed in (0, 0, 1)]
    assert answers[0] == answers[1] != answers[2]


def test_a_child_with_a_new_head_trains_saves_and_loads(child, images, tmp_path):
    other = child.with_head(NAMES).train()
    x, y = other.preprocess(images), torch.arange(6) % 3
    optimizer = torch.optim.SGD(other.parameters(), 0.05)
    losses = []
    for _ in range(5):
        losses.append(F.cross_entropy(other(x), y))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    other.eval().save(tmp_path / "trees")
    loaded = nl.load_child(tmp_path / "trees")
    assert not loaded.training
    assert loaded.genotype == child.genotype
    assert loaded.preprocessing == child.preprocessing
    assert loaded.predict(images) == other.predict(images)


def test_the_saved_params_are_no_pickle(child, tmp_path):
    child.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    assert json.loads((tmp_path / "config.json").read_text())["class_names"] == list("0123456789")
    size = int.from_bytes((tmp_path / "model.safetensors").read_bytes()[:8], "little")
    assert json.loads((tmp_path / "model.safetensors").read_bytes()[8 : 8 + size])


class Tied(nn.Module):
    """Two layers that share one param, and a buffer that is a part of another."""

    def __init__(self, num_outputs):
        super().__init__()
        self.encode, self.decode = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
        self.decode.weight = self.encode.weight
        self.register_buffer("shifts", torch.arange(6.0).view(2, 3))
        self.register_buffer("shift", self.shifts[1])
        self.act = nl.OneOf("act", {"relu": nn.ReLU(), "tanh": nn.Tanh()})
        self.head = nn.Linear(3, num_outputs)

    def forward(self, x):
        return self.head(self.decode(self.act(self.encode(x + self.shift))))


def test_a_child_with_shared_params_is_saved_and_loads_equal(tmp_path):
    network = {"_target_": f"{__name__}.Tied", "_partial_": True}
    child = child_of(
        {"_target_": f"{HERE}.custom.CustomSpace", "network": network}, input_shape=(3,)
    )
    child.save(tmp_path)
    loaded, x = nl.load_child(tmp_path, Tied), torch.rand(2, 3)
    assert torch.equal(loaded(x), child(x))
    tied = loaded.network.network
    assert tied.encode.weight is tied.decode.weight


@pytest.mark.parametrize(
    ("targets", "answer"), [("labels", 0.5), ("values", 0.0)], ids=["labels", "values"]
)
def test_a_new_head_may_have_other_targets(child, images, targets, answer):
    other = child.with_head(["size", "age"], targets=targets)
    other.network.classifier = nn.Linear(8, 2)
    nn.init.zeros_(other.network.classifier.weight)
    nn.init.zeros_(other.network.classifier.bias)
    assert other.predict(images[:1]) == [{"size": answer, "age": answer}]
    with pytest.raises(ValueError, match=f"classify needs a network of classes, .* {targets}"):
        other.classify(images)


@pytest.mark.parametrize("names", [3, [], "oak", ["oak", "oak"], [1, 2]])
def test_names_of_a_head_that_are_none_are_refused(child, names):
    with pytest.raises(ValueError, match=r"class_names \(.*\) must be one text per output"):
        child.with_head(names)


def test_unknown_targets_of_a_head_are_refused(child):
    with pytest.raises(ValueError, match=r"unknown targets 'boxes'; choose from: classes, labels"):
        child.with_head(NAMES, targets="boxes")


@pytest.mark.parametrize("number", [3, 15])
@pytest.mark.parametrize("call", ["classify", "predict"])
def test_a_head_put_in_by_hand_is_told_how_to_name_its_classes(child, images, number, call):
    child.network.classifier = nn.Linear(8, number)
    message = rf"outputs \(6, {number}\) must be one per name in class_names \(10\).*with_head\("
    with pytest.raises(ValueError, match=message):
        getattr(child, call)(images)
    assert child.with_head(NAMES).class_names == tuple(NAMES)


def test_a_head_put_in_by_hand_is_not_saved(child, tmp_path):
    child.network.classifier = nn.Linear(8, 3)
    message = r"network \(classifier\.weight \(3, 8\)\) must be what the .* child\.with_head\("
    with pytest.raises(ValueError, match=message):
        child.save(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("x", "got"),
    [
        (np.zeros((1, 1, 8, 8), np.float32), r"got ndarray \(1, 1, 8, 8\)"),
        (torch.zeros(1, 3, 8, 8), r"got torch\.float32 \(1, 3, 8, 8\)"),
        (torch.zeros(1, 1, 8, 8).byte(), r"got torch\.uint8 \(1, 1, 8, 8\)"),
        (torch.zeros(8, 8), r"got torch\.float32 \(8, 8\)"),
        ("image.png", "got str"),
    ],
)
def test_what_is_no_batch_is_refused(child, x, got):
    for call, name in ((child, "child"), (child.features, r"child\.features")):
        message = rf"^{name}\(x\) takes a tensor of floats \(N, 1, 8, 8\), {got}; give {name}\("
        with pytest.raises(ValueError, match=message):
            call(x)


@pytest.mark.parametrize("mark", [".hydra/config.yaml", "multirun.yaml", "child/last.ckpt"])
def test_a_child_is_not_saved_into_the_folder_of_a_run(child, tmp_path, mark):
    (tmp_path / mark).parent.mkdir(exist_ok=True)
    (tmp_path / mark).touch()
    message = rf"^the folder '{tmp_path}' must not be that of a run.*; choose another one, e\.g\. '"
    with pytest.raises(ValueError, match=message):
        child.save(tmp_path)
    assert not (tmp_path / "config.json").exists()


def test_no_input_has_no_answer(child):
    assert (
        child.classify([])
        == child.predict([])
        == child.classify(torch.empty(0, 1, 8, 8, dtype=torch.uint8))
        == []
    )


def test_the_features_of_any_space_are_what_its_backbone_gives(any_child):
    x = torch.rand(2, 3, 32, 32)
    features = any_child.features(x)
    assert features.shape == (2, any_child.num_features)
    backbone = any_child.backbone.eval()
    assert backbone.num_features == any_child.num_features
    assert torch.equal(backbone(x), features)


def test_all_that_a_backbone_trains_is_used(any_child):
    backbone = any_child.backbone.train()
    backbone(torch.rand(2, 3, 32, 32)).square().sum().backward()
    trained = {name: p for name, p in backbone.named_parameters() if p.requires_grad}
    assert [name for name, param in trained.items() if param.grad is None] == []
    assert all(param.grad is None for param in any_child.parameters())


def test_any_space_keeps_all_but_its_head(any_child, tmp_path):
    x = torch.rand(2, 3, 32, 32)
    other = any_child.with_head(NAMES)
    assert other(x).shape == (2, 3)
    assert torch.equal(other.features(x), any_child.features(x))
    other.save(tmp_path)
    assert torch.equal(nl.load_child(tmp_path)(x), other(x))


def test_a_backbone_has_no_auxiliary_head():
    child = child_of({"_target_": SPACES["darts"]}, auxiliary=True)
    names = [name for name, _ in child.backbone.named_parameters()]
    assert not [name for name in names if "auxiliary" in name or "classifier" in name]


def test_the_features_of_a_network_are_what_its_classifier_reads(child, images):
    x = child.preprocess(images)
    torch.testing.assert_close(child.network.classifier(child.features(x)), child(x))


def test_a_backbone_trains_in_a_lightning_module(child, images):
    class Trees(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.backbone = child.backbone
            self.head = nn.Linear(self.backbone.num_features, 3)

        def training_step(self, batch):
            x, y = batch
            return F.cross_entropy(self.head(self.backbone(x)), y)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    x, y = child.preprocess(images), torch.arange(6) % 3
    before, model = child.predict(images), Trees()
    silent = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    batches = [(x, y)] * 2
    L.Trainer(max_epochs=1, accelerator="cpu", enable_model_summary=False, **silent).fit(
        model, torch.utils.data.DataLoader(batches, batch_size=None)
    )
    assert not torch.equal(model.backbone.eval()(x), child.features(x))
    assert child.predict(images) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "model.safetensors").unlink(), r"cannot be read \(.*No such file"),
        (
            lambda f: (f / "model.safetensors").write_bytes(b"x" * 9),
            r"cannot be read \(Error while",
        ),
        (lambda f: (f / "config.json").write_text("{"), r"cannot be read \(Expecting"),
        (lambda f: (f / "config.json").write_text("[]"), r"cannot be read \('list' object"),
        (lambda f: (f / "config.json").write_text('{"a": 1}'), r"format is None, not 'nas-light"),
    ],
)
def test_a_broken_folder_is_refused(child, tmp_path, change, message):
    child.save(tmp_path)
    change(tmp_path)
    with pytest.raises(ValueError, match=message):
        nl.load_child(tmp_path)


def test_a_folder_that_names_anything_but_a_space_is_refused(child, tmp_path):
    child.save(tmp_path)
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace(SPACES["darts"], "os.system"))
    with pytest.raises(ValueError, match=r"own: search_space\._target_=os\.system"):
        nl.load_child(tmp_path)
