"""A search without a Trainer: what tests of one-shot strategies share."""

from copy import copy
from functools import cache
from types import SimpleNamespace

import torch
from omegaconf import OmegaConf
from planted_problem.spaces import PlantedCells

from nas_lightning.config.making import make
from nas_lightning.config.paths import config_dir
from nas_lightning.core.scale import Scale
from nas_lightning.training.updates import SearchUpdates

SPACE = PlantedCells()
SCALE = Scale(2, 3, input_shape=(6, 8, 8), num_outputs=4)
ONE_SHOT = [
    path.stem
    for path in sorted((config_dir() / "strategy").glob("*.yaml"))
    if "epochs" in OmegaConf.load(path)
]


def one_shot(name, space=SPACE, seed=0, **more):
    """Returns a strategy by the name of its file; without partial channels, unless told."""
    node = OmegaConf.load(config_dir() / "strategy" / f"{name}.yaml")
    if name == "pc_darts" and not space.has_partial_channels:
        more = {"partial": 1} | more
    if name == "tangle" and not space.has_elastic_sizes:
        space = elastic(space)
    if name == "enas":
        more = {"steps": 3, "aggregate": 3, "samples": 10} | more  # tests need no more
    return make(OmegaConf.merge(node, more), "strategy", space=space, seed=seed)


@cache
def elastic(space):
    """Returns a space that claims elastic sizes, which is all that strategies ask of it."""
    space = copy(space)
    space.has_elastic_sizes = True
    return space


class PlainContext(SearchUpdates):
    """Plain optimisers; notes what was minimised and what was validated."""

    worth = torch.zeros(())  # validates a mixture as the sum of its weights times this

    def __init__(self, strategy, space=SPACE, scale=SCALE, seed=0):
        torch.manual_seed(seed)
        sized = copy(space)
        sized.scale = scale
        super().__init__(sized, strategy, scale.input_shape, scale.num_outputs, seed=seed)
        self.lr = 0.05
        self.taken, self.validated, self.mixture, self.grads = [], [], None, None

    def build_optimizers(self, steps):
        alphas = list(self.strategy.parameters())
        return {
            "params": torch.optim.SGD(self.params.values(), self.lr),
            "alpha": torch.optim.Adam(alphas, 0.05, (0.0, 0.999)) if alphas else None,
        }

    def loss(self, batch, mixture, params=None, statistics=False):
        self.mixture = mixture
        return super().loss(batch, mixture, params, statistics)

    def gradient(self, loss, wrt):
        self.grads = super().gradient(loss, wrt)
        return self.grads

    def minimise(self, which, closure):
        value = super().minimise(which, closure)
        self.taken.append((which, self.mixture, self.grads))
        return value

    def validate(self, mixture, batches, recalibrate=None, batch_statistics=False):
        how = SimpleNamespace(recalibrate=recalibrate, batch_statistics=batch_statistics)
        self.validated.append((mixture, how))
        return float((mixture.weights * self.worth).sum())


def batch(size=6, seed=1, space_shape=(6, 8, 8), classes=4):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(size, *space_shape, generator=rng)
    return x, torch.randint(classes, (size,), generator=rng)


def search(strategy, context, epochs, steps=2):
    """Runs epochs of a search, from an epoch on."""
    for epoch in epochs:
        strategy.start_epoch(epoch)
        for step in range(steps):
            key = 10 * epoch + step
            strategy.search_step(batch(seed=key), batch(seed=key + 5), context)
        strategy.finish_epoch(epoch, context, [batch(seed=3), batch(seed=4)])
