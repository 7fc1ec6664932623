"""Operations of single edges of DARTS's cells, and RobustDARTS's four spaces made of them."""

import pytest
import torch
from omegaconf import OmegaConf

from nas_lightning.config.making import make
from nas_lightning.config.paths import config_dir
from nas_lightning.core.choices import Mixture
from nas_lightning.core.search_space import uniform_mixture
from nas_lightning.search_spaces.darts import DartsSpace

EVERY_EDGE = {f"{k}/edge_{s}_2": ["noise"] for k in ("normal", "reduction") for s in (0, 1)}


def test_operations_of_an_edge_are_its_own():
    space = DartsSpace(nodes=1, ops=["skip_connect"], edge_ops={"normal/edge_1_2": ["noise"]})
    assert {choice.name: choice.options for choice in space.choices} == {
        "normal/edge_0_2": ("skip_connect",),
        "normal/edge_1_2": ("noise",),
        "reduction/edge_0_2": ("skip_connect",),
        "reduction/edge_1_2": ("skip_connect",),
    }


def test_an_edge_is_ranked_by_its_own_operations():
    space = DartsSpace(ops=["skip_connect", "sep_conv_3x3"], edge_ops={
        "normal/edge_2_3": ["none", "noise", "dil_conv_3x3"]})  # fmt: skip
    table = torch.zeros(28, 3)
    table[4] = torch.tensor([0.9, 0.1, 0.2])  # normal/edge_2_3
    table[2] = torch.tensor([0.05, 0.15, 0.0])  # normal/edge_0_3
    mixture = uniform_mixture(space.choices)
    found = space.discretize(Mixture(table, mixture.support)).mapping
    assert {n: op for n, op in found.items() if n.startswith("normal/") and n.endswith("_3")} == {
        "normal/edge_0_3": "sep_conv_3x3",
        "normal/edge_2_3": "dil_conv_3x3",
    }


def robust(name):
    return make(OmegaConf.load(config_dir() / "search_space" / f"{name}.yaml"), "search_space")


def test_every_edge_of_s1_has_two_operations_of_its_own():
    options = {choice.name: choice.options for choice in robust("darts_s1").choices}
    assert {len(ops) for ops in options.values()} == {2}
    assert options["normal/edge_0_4"] == ("max_pool_3x3", "skip_connect")
    assert options["normal/edge_4_5"] == ("dil_conv_3x3", "dil_conv_5x5")
    assert options["reduction/edge_1_4"] == ("max_pool_3x3", "sep_conv_3x3")


@pytest.mark.parametrize(
    ("name", "ops"),
    [
        ("darts_s2", ("skip_connect", "sep_conv_3x3")),
        ("darts_s3", ("none", "skip_connect", "sep_conv_3x3")),
        ("darts_s4", ("noise", "sep_conv_3x3")),
    ],
)
def test_every_edge_of_the_other_spaces_has_the_same_operations(name, ops):
    assert {choice.options for choice in robust(name).choices} == {ops}


@pytest.mark.parametrize("name", ["darts_s1", "darts_s2", "darts_s3", "darts_s4"])
def test_two_real_operations_an_edge_make_two_billion_genotypes(name):
    one_cell = 1
    for inputs in (2, 3, 4, 5):
        one_cell *= inputs * (inputs - 1) // 2 * 2**2
    assert robust(name).count() == one_cell**2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"edge_ops": {"edge_0_2": ["noise"]}},
            r"unknown search_space\.edge_ops 'edge_0_2'; choose from: normal/edge_0_2",
        ),
        (
            {"edge_ops": {"normal/edge_0_2": ["noise", "noise"]}},
            r"edge_ops\[normal/edge_0_2\] \(\[noise, noise\]\) must be different",
        ),
        (
            {"nodes": 1, "ops": ["noise"], "edge_ops": EVERY_EDGE},
            r"ops \(\[noise\]\) have no effect, since edge_ops names every edge; give ops=\[\]",
        ),
    ],
)
def test_impossible_operations_of_edges_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DartsSpace(**arguments)
