"""Units: what of a network is measured, the same in a supernet and in its children."""

from collections import Counter
from pathlib import Path
from random import Random

import pytest
import torch
from documents import ROOT
from hydra.utils import instantiate
from omegaconf import OmegaConf

from nas_lightning.core.choices import factors_value
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import uniform_mixture
from nas_lightning.networks.units import trace_units

SPACES = sorted(Path(ROOT / "conf" / "search_space").glob("*.yaml"))
SHAPE = (3, 16, 16)
SCALE = Scale(4, 3, flavour="child", input_shape=SHAPE, num_outputs=5)


def on_meta(build, *arguments):
    with torch.device("meta"):
        return build(*arguments)


@pytest.mark.parametrize("path", SPACES, ids=[path.stem for path in SPACES])
def test_the_units_of_a_one_hot_supernet_are_the_childs(path):
    space = instantiate(OmegaConf.load(path)).fitted(SCALE)
    supernet = on_meta(space.supernet, SCALE)
    uses = trace_units(supernet, SHAPE, uniform_mixture(space.choices))
    assert supernet.training
    for seed in range(3):
        genotype = space.sample(Random(seed))
        mixture = space.mixture(genotype)
        rows = [row.unbind() for row in mixture.weights.unbind()]
        counted = Counter()
        for use in uses:
            weight = factors_value(use.factors, rows, mixture.support)
            counted[use.unit.id] += 0 if weight is None else use.times * round(float(weight))
        child = Counter()
        for use in trace_units(on_meta(space.child, genotype, SCALE), SHAPE):
            child[use.unit.id] += use.times
        assert +counted == child
        assert min(counted.values()) >= 0
