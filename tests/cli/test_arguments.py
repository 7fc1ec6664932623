"""What calls in Python are passed, and how they refuse what is impossible."""

from functools import partial

import lightning as L
import pandas
import pytest
from own_module import CLASSES, NUMBERS, arrays
from torch import nn

import nas_lightning as nl
from nas_lightning.cli.arguments import GroupArguments
from nas_lightning.cli.call import new_folder
from nas_lightning.config.schema import composed, split


@pytest.mark.parametrize("give", [lambda x, y: ((x, y), (x, y)), lambda x, y: [x, y, x, y]])
def test_a_test_set_of_arrays_may_be_given(give):
    x, y = arrays(5)
    arguments = GroupArguments({"data": give(x, y)})
    assert arguments.overrides == ["data=arrays"]
    assert arguments.objects["data"]["test"][0] is x


def test_data_may_be_lists_of_numbers():
    first, second = (
        GroupArguments({"data": ([[1.0, 2.0], [3.0, x]], [0, 1])}).identities["data"]
        for x in (4.0, 5.0)
    )
    assert first != second


def test_a_value_is_given_as_it_is_whatever_characters_are_in_it(tmp_path):
    with pytest.raises(ValueError, match=r"""unknown export 'a\\b "c" 'd''; choose from: onnx"""):
        nl.search(export=["a\\b \"c\" 'd'"], folder=tmp_path / "run")
    with pytest.raises(ValueError, match="unknown export 'tflite'"):
        nl.search(export="tflite", folder=tmp_path / "run")


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
        (
            {"data": L.LightningDataModule},
            r"data \(LightningDataModule\) must be a LightningDataModule, not its class; call it: "
            r"data=LightningDataModule\(\.\.\.\)",
        ),
        (
            {"data": {"x": NUMBERS, "y": CLASSES, "kind": "image"}},
            "unknown data.kind 'image'; choose from: images, signals, tables",
        ),
        ({"data": 3}, r"data \(int\) must be the name of an option, a path, a LightningDataModule"),
        ({"overrides": ["child.epochs=0"]}, r"child.epochs \(0\) must be at least 1"),
        ({"overrides": ["sede=1"]}, "unknown key 'sede'"),
        ({"hardware": 3}, r"hardware \(3\) must be the name of an option: cpu"),
        ({"data": "/no/such"}, "data: there is no file or folder /no/such; give what is there"),
        ({"data": (NUMBERS, CLASSES), "overrides": ["data=digits"]}, "data=digits contradicts the"),
        (
            {"strategy": "gdas", "overrides": ["strategy=darts"]},
            "contradicts the argument strategy",
        ),
        ({"strategy": partial(nl.Gdas, epoch=2)}, "unknown key 'strategy.epoch'; choose from: "),
        ({"overrides": "child.epochs=1"}, r"overrides \('child.epochs=1'\) must be a list, e.g."),
        ({"data": {"x": 1, "y": 2, "kind": print}}, "a setting must be a plain value, got builtin"),
        ({"resume": True}, "resume=True needs the run's folder; give folder=RUN_DIR"),
        (
            {"strategy": lambda space, seed: None, "overrides": ["strategy.epochs=3"]},
            "overrides: strategy.epochs=3 has no effect beside strategy=<lambda>, an object",
        ),
        (
            {"strategy": lambda space, seed: None, "hardware": "ddp_cpu"},
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


def test_a_training_needs_a_genotype():
    with pytest.raises(ValueError, match=r"genotype is missing; give e.g. 'darts_v2', a file, or"):
        nl.train(data="digits")


def test_settings_of_arrays_may_be_nested_and_options_lists():
    data = {"x": NUMBERS, "y": CLASSES, "augmentation": {"flip": False}}
    arguments = GroupArguments({"data": data, "logger": ["wandb", "tensorboard"]})
    assert "data.augmentation.flip=false" in arguments.overrides
    assert "logger=[wandb,tensorboard]" in arguments.overrides


def test_a_data_frame_is_given_with_its_label_column():
    frame = pandas.DataFrame({"a": [1.0, 2.0], "kind": ["ant", "bee"], "b": [3.0, 4.0]})
    arguments = GroupArguments({"data": (frame, "kind")})
    passed = arguments.objects["data"]
    assert (passed["x"].tolist(), passed["y"].tolist()) == ([[1, 3], [2, 4]], ["ant", "bee"])
    with pytest.raises(ValueError, match=r"unknown data, column 'kin'; .*: a, kind, b"):
        GroupArguments({"data": (frame, "kin")})


def test_an_object_gives_its_name_to_the_folder_of_its_run():
    class Mine(nl.Darts):
        """A strategy of a user's own."""

    arguments = GroupArguments({"strategy": partial(Mine, epochs=1)})
    cfg, hydra = split(composed("search", arguments.overrides))
    arguments.put_into(cfg, hydra)
    assert new_folder(cfg, hydra).endswith("_Mine_digits")


def test_a_class_stands_for_the_option_that_makes_it_and_no_other_that_uses_it():
    assert GroupArguments({"strategy": nl.RandomSearch}).overrides == ["strategy=random"]
