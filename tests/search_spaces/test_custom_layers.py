"""One-shot strategies on a network whose layers, and what is in each of them, are chosen."""

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from nas_lightning.config.making import target_of
from nas_lightning.config.paths import config_dir
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import child_cost, inherit
from nas_lightning.core.strategy import OneShotStrategy
from nas_lightning.networks.markers import OneOf, Optional, Repeat
from nas_lightning.search_spaces.custom import CustomSpace
from nas_lightning.training.updates import SearchUpdates

FILES = sorted((config_dir() / "strategy").glob("*.yaml"))
TARGETS = {path.stem: target_of(OmegaConf.load(path)._target_, "strategy") for path in FILES}
ONE_SHOT = [name for name, target in TARGETS.items() if issubclass(target, OneShotStrategy)]
# marks have no elastic sizes, and no cells that share their alphas
STRATEGIES = [name for name in ONE_SHOT if name not in ("tangle", "lambda_darts")]
SIZES = {"pc_darts": {"partial": 1}, "p_darts": {"growth": (0, 0, 0)}}


def layer():
    rows = OneOf("kind", {"linear": nn.Linear(8, 8), "tanh": nn.Tanh()})
    return nn.Sequential(rows, Optional("more", nn.Sequential(nn.Linear(8, 8), nn.ReLU())))


def network(num_outputs):
    layers = Repeat("layers", layer, [1, 3, 2])
    return nn.Sequential(layers, nn.Flatten(), nn.Linear(48, num_outputs))


@pytest.mark.slow
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_one_shot_strategy_finds_a_child_of_the_supernet(name):
    space = CustomSpace(network, scale=Scale(input_shape=(6, 8), num_outputs=2))
    strategy = TARGETS[name](space, seed=0, epochs=3, **SIZES.get(name, {}))
    torch.manual_seed(0)
    x = torch.randn(32, 6, 8)
    batches = [(x[i : i + 8], (x[i : i + 8, 0, 0] > 0).long()) for i in range(0, 32, 8)]
    train, val = batches[:2], batches[2:]
    updates = SearchUpdates(space, strategy, (6, 8), 2, steps=6)
    for epoch in range(3):
        updates.start_epoch(epoch)
        for pair in zip(train, val, strict=True):
            strategy.search_step(*pair, updates)
        strategy.finish_epoch(epoch, updates, val)
        updates.end_epoch(epoch)
    found = strategy.derive(updates, val)
    depth = int(space.validate(found).mapping["layers"])
    numbers = {name.split(".")[1] for name in found.mapping if "." in name}
    assert numbers == {str(number) for number in range(depth)}
    child = space.child(found, space.scale)
    inherit(child, updates.supernet)
    assert torch.equal(child(x), updates.supernet(x, space.mixture(found)))
    cost = child_cost(space, found, space.scale)
    expected = updates.cost(space.mixture(found))
    assert {quantity: float(value) for quantity, value in expected.items()} == cost
