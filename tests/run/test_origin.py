"""A run's folder and a published name, named as a genotype, bring their search space along."""

import pytest
from omegaconf import OmegaConf

from nas_lightning.config.making import make
from nas_lightning.run.origin import with_own_space
from nas_lightning.zoo.reader import published_names, read_genotype

SPACE = {"_target_": "nas_lightning.search_spaces.darts.DartsSpace", "nodes": 3, "min_edges": 1}


@pytest.fixture
def composed(tmp_path):
    """Composes a command that names a run, whose search space was this, as its genotype."""

    def composed(space, **typed):
        (tmp_path / ".hydra").mkdir()
        OmegaConf.save({"search_space": space, "seed": 7}, tmp_path / ".hydra" / "config.yaml")
        wanted = SPACE | {"nodes": 4, "min_edges": 2} | typed
        return OmegaConf.create({"genotype": str(tmp_path), "search_space": wanted, "seed": 0})

    return composed


def test_the_space_of_the_run_is_taken_and_nothing_else(composed):
    cfg = with_own_space(composed(SPACE), ["seed=0"])
    assert (cfg.search_space, cfg.seed) == (SPACE, 0)


def test_what_was_typed_of_the_space_stands_above_the_runs(composed):
    cfg = with_own_space(composed(SPACE, min_edges=0), ["search_space.min_edges=0"])
    assert cfg.search_space == SPACE | {"min_edges": 0}


def test_a_typed_space_stands_in_the_place_of_the_runs(composed):
    assert with_own_space(composed(SPACE), ["search_space=darts"]).search_space.nodes == 4


def test_a_space_with_foreign_parts_is_not_taken_from_a_folder(composed):
    cfg = composed(SPACE | {"ops": {"_target_": "os.system", "command": "true"}})
    with pytest.raises(
        ValueError, match=r"the run .*: search_space\.ops names 'os\.system'; a space"
    ):
        with_own_space(cfg, [])


@pytest.mark.parametrize("name", published_names())
def test_a_published_genotype_brings_the_space_that_holds_it(name):
    cfg = OmegaConf.create({"genotype": name, "search_space": SPACE})
    space = make(with_own_space(cfg, []).search_space, "search_space")
    assert read_genotype(name, space).space == space.name


def test_a_typed_space_stands_in_the_place_of_a_published_genotypes():
    cfg = OmegaConf.create({"genotype": "setn", "search_space": SPACE})
    assert with_own_space(cfg, ["search_space=mine"]) == cfg


@pytest.mark.parametrize("genotype", ["darts_v9", "Genotype(" + 5000 * "x" + ")"])
def test_what_is_no_folder_and_no_name_leaves_the_configuration_as_it_is(genotype):
    cfg = OmegaConf.create({"genotype": genotype, "search_space": {"nodes": 4}})
    assert with_own_space(cfg, []) == cfg
