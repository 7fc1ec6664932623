"""Data sets of the hub, by name: fetched through `datasets`, or read from a copy."""

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_object

from nas_lightning.config import schema
from nas_lightning.config.paths import config_dir
from nas_lightning.data.sources import hub

NAMED = ("cifar10", "cifar100", "fashion_mnist", "svhn")


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """What was asked of the hub, which holds nine grey images, three of them for the test."""
    asked: list[tuple[str, str | None]] = []

    def load(name: str, config: str | None) -> Any:
        asked.append((name, config))
        images = (np.arange(9)[:, None, None] * np.ones((9, 8, 8))).astype(np.uint8)
        kinds = datasets.Features(
            {"image": datasets.Array2D((8, 8), "uint8"), "label": datasets.Value("int64")}
        )
        rows = {"image": list(images), "label": np.arange(9) % 3}
        whole = datasets.Dataset.from_dict(rows, features=kinds)
        splits = {"train": range(6), "test": range(6, 9), "extra": range(2)}
        return datasets.DatasetDict({n: whole.select(part) for n, part in splits.items()})

    monkeypatch.setattr(datasets, "load_dataset", load)
    return asked


def test_a_name_is_fetched_and_named(fetched: list[Any]) -> None:
    arrays = hub(name="me/tiny", config="small", class_names=["ant", "bee", "cat"])
    assert fetched == [("me/tiny", "small")]
    assert arrays.class_names == ("ant", "bee", "cat")
    assert arrays.train.read(torch.arange(6))[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert arrays.test_labels.tolist() == [0, 1, 2]


def test_splits_are_joined(fetched: list[Any]) -> None:
    assert len(hub(name="me/tiny", train_split="train+extra").train) == 8


def test_a_copy_is_read_and_nothing_fetched(fetched: list[Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((10, 8, 8), np.uint8), y=np.arange(10) % 2)
    arrays = hub(str(tmp_path), name="me/tiny", class_names=["ant", "bee"])
    assert (fetched, arrays.class_names) == ([], ("ant", "bee"))


def test_a_name_is_needed() -> None:
    with pytest.raises(ValueError, match=r"got data.name=null; add data.name=OWNER/NAME"):
        hub()


def test_a_hub_that_cannot_be_reached_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(ValueError, match=r"'me/tiny' cannot be .* \(no route\); .* data.path=PATH"):
        hub(name="me/tiny")


def source_of(option: str, *overrides: str) -> dict[str, Any]:
    """Returns the resolved arguments of a named data set's source."""
    schema.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose("search", [f"data={option}", *overrides])
    assert get_object(cfg.data.source._target_) is hub
    return {str(key): value for key, value in cfg.data.source.items()}


@pytest.mark.parametrize("option", NAMED)
def test_a_named_data_set_names_itself_and_its_classes(option: str) -> None:
    source = source_of(option)
    assert "/" in source["name"]
    assert len(set(source.get("class_names") or range(10))) in (10, 100)


def test_the_name_that_is_typed_reaches_the_source() -> None:
    assert source_of("hub", "data.name=me/tiny")["name"] == "me/tiny"
