"""Units: what of a network is measured, the same in a supernet and in its children."""

from collections import Counter
from pathlib import Path
from random import Random

import pytest
import torch
from documents import ROOT
from hydra.utils import instantiate
from omegaconf import OmegaConf
from representatives import SPACES_LIKE_OTHERS, some_slow
from torch import nn

from nas_lightning.core.choices import factors_value
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import uniform_mixture
from nas_lightning.networks.markers import OneOf
from nas_lightning.networks.units import trace_units, whole

SPACES = sorted(Path(ROOT / "conf" / "search_space").glob("*.yaml"))
SHAPE = (3, 16, 16)
FEWER = {  # options, where a space has many
    "chain": {"depths": [2, 3], "heights": [1, 3], "widths": [3, 5], "filters": [4, 6]},
    "nasnet": {"blocks": 2},
    "enas_micro": {"blocks": 2},
    "enas_macro": {"layers": 4},
    "mobile": {"depths": [2, 1, 1, 1, 1, 1]},
}
SCALE = Scale(4, 3, flavour="child", input_shape=SHAPE, num_outputs=5)


def on_meta(build, *arguments):
    with torch.device("meta"):
        return build(*arguments)


@pytest.mark.parametrize("path", some_slow(SPACES, *SPACES_LIKE_OTHERS))
def test_the_units_of_a_one_hot_supernet_are_the_childs(path):
    space = instantiate(OmegaConf.load(path), **FEWER.get(path.stem, {})).fitted(SCALE)
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


class Follows(nn.Module):
    def cost_terms(self, output):
        return []

    def forward(self, x, mixture=None):
        return x


def test_what_follows_the_mixture_and_does_not_say_how_is_refused():
    with pytest.raises(ValueError, match="Follows follows the mixture and must say what it is at"):
        trace_units(nn.Sequential(Follows()), (3,))


class Asked(nn.Module):
    """A module of two arguments, one of them by name."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x, *, other):
        return self.norm(x + other) + 1


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Asked()
        self.mark = OneOf("act", {"relu": nn.ReLU()})

    def forward(self, x):
        return self.mark(self.inner(x, other=x))


def test_a_unit_is_called_again_as_it_was_called_and_says_what_it_runs():
    uses = trace_units(on_meta(Outer), (4,))
    assert [use.unit.name for use in uses] == ["Asked", "ReLU"]
    unit = uses[0].unit
    assert unit.shapes == [[1, 4], [1, 4]]
    assert unit.steps[0] == "add(1x4, 1x4)"
    assert unit.steps[-1] == "add(1x4, 1)"
    assert unit.call()().shape == (1, 4)
    (output,) = unit.run(unit.on_cpu(), [torch.ones(3, 4), torch.ones(3, 4)])
    assert output.shape == (3, 4)


def test_the_whole_network_may_be_one_unit():
    assert whole(on_meta(Outer), (4,)).id == whole(on_meta(Outer), (4,)).id
    assert whole(on_meta(Outer), (4,)).steps[-1] == "relu(1x4)"
