"""A run's folder and a published name, named as a genotype, bring what belongs to them."""

import json

import pytest
from omegaconf import OmegaConf

from nas_lightning.config.making import make
from nas_lightning.config.trust import Trust
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.origin import SPACE, TRAINED, scale_of, with_own_parts
from nas_lightning.zoo.reader import published_names, read_genotype

DARTS = {
    "_target_": "nas_lightning.search_spaces.darts.DartsSpace",
    "nodes": 3,
    "min_edges": 1,
}
DATA = {"_target_": "nas_lightning.data.module.ImageDataModule", "path": "images", "image_size": 9}
CHILD = {"_target_": "nas_lightning.training.child.ChildRecipe", "epochs": 3, "lr": 0.5}
DEFAULTS = {"search_space": DARTS | {"nodes": 4, "min_edges": 2}, "seed": 0}
DEFAULTS |= {"data": {"path": None, "image_size": None, "name": None}, "child": {"epochs": 12}}
NOBODY = Trust()


@pytest.fixture
def named(tmp_path):
    """Takes the parts of a run with these groups, which a command names as its genotype."""

    def named(typed=(), groups=TRAINED, **parts):
        hydra = tmp_path / ".hydra"
        hydra.mkdir()
        OmegaConf.save({"search_space": DARTS, "seed": 7, **parts}, hydra / "config.yaml")
        OmegaConf.save({"hydra": {"runtime": {"cwd": str(tmp_path)}}}, hydra / "hydra.yaml")
        cfg = OmegaConf.create({"genotype": str(tmp_path), **DEFAULTS})
        values = [override.lstrip("+") for override in typed if not override.startswith("~")]
        cfg.merge_with_dotlist([value for value in values if "." in value])
        return with_own_parts(cfg, typed, groups, NOBODY)

    return named


def test_data_task_child_and_space_of_the_run_are_taken_and_nothing_else(named):
    cfg = named(data=DATA, child=CHILD)
    assert (cfg.search_space, cfg.data, cfg.child, cfg.seed) == (DARTS, DATA, CHILD, 0)


def test_what_the_runs_child_started_from_is_not_taken(named):
    assert named(child=CHILD | {"init": "supernet"}).child == CHILD | {"init": None}


def test_what_was_typed_of_a_group_stands_above_the_runs(named):
    cfg = named(
        ["search_space.min_edges=0", "++data.name=mine", "~child.lr"], data=DATA, child=CHILD
    )
    assert cfg.search_space == DARTS | {"min_edges": 0}
    assert cfg.data == DATA | {"name": "mine"}
    assert cfg.child == {key: value for key, value in CHILD.items() if key != "lr"}


def test_a_typed_group_stands_in_the_place_of_the_runs(named):
    cfg = named(["search_space=darts", "data=digits"], data=DATA, child=CHILD)
    assert (cfg.search_space.nodes, cfg.data.image_size, cfg.child.epochs) == (4, None, 3)


def test_a_path_of_the_runs_data_begins_where_the_run_was_started(named, tmp_path):
    (tmp_path / "images").mkdir()
    assert named(data=DATA).data.path == str(tmp_path / "images")


def test_arrays_from_python_must_be_passed_again(named):
    with pytest.raises(
        ValueError, match=r"the data of the run .* are arrays that were passed from Python; pass"
    ):
        named(data={"_target_": "nas_lightning.data.from_arrays.data_of_arrays"})


def test_code_of_others_is_not_taken_from_a_folder(named):
    hostile = {"_target_": "os.system", "command": "true"}
    with pytest.raises(ValueError, match=r"names code .*: search_space\.ops\._target_=os\.system;"):
        named(search_space=DARTS | {"ops": hostile})


def test_a_group_that_is_not_asked_for_is_not_looked_at(named):
    cfg = named(groups=SPACE, data={"_target_": "os.system"})
    assert cfg.data == DEFAULTS["data"]


@pytest.mark.parametrize("name", published_names())
def test_a_published_genotype_brings_the_space_that_holds_it(name):
    cfg = OmegaConf.create({"genotype": name, "search_space": DARTS, "data": DATA})
    taken = with_own_parts(cfg, [], TRAINED, NOBODY)
    space = make(taken.search_space, "search_space")
    assert read_genotype(name, space).space == space.name
    assert taken.data == DATA


def test_a_typed_space_stands_in_the_place_of_a_published_genotypes():
    cfg = OmegaConf.create({"genotype": "setn", "search_space": DARTS})
    assert with_own_parts(cfg, ["search_space=mine"], SPACE, NOBODY) == cfg


@pytest.mark.parametrize("genotype", ["darts_v9", "Genotype(" + 5000 * "x" + ")"])
def test_what_is_no_folder_and_no_name_leaves_the_configuration_as_it_is(genotype):
    cfg = OmegaConf.create({"genotype": genotype, "search_space": {"nodes": 4}})
    assert with_own_parts(cfg, [], SPACE, NOBODY) == cfg


@pytest.mark.parametrize(
    ("noted", "shape"),
    [({"input_shape": [2, 12], "num_outputs": 3}, (2, 12)), ({}, None), (["no mapping"], None)],
)
def test_the_scale_of_a_runs_child_knows_the_data_that_the_run_noted(noted, shape, tmp_path):
    (tmp_path / ".hydra").mkdir()
    scale = {"_target_": "nas_lightning.core.scale.Scale", "channels": 6, "cells": 3}
    OmegaConf.save({"child": {"scale": scale}}, tmp_path / ".hydra" / "config.yaml")
    (tmp_path / "genotype.json").write_text(json.dumps({"provenance": noted}))
    found = scale_of(RunFolder(tmp_path), NOBODY)
    assert (found.channels, found.cells, found.input_shape) == (6, 3, shape)
