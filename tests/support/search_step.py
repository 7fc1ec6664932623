"""A search step without a Trainer: what tests of strategies share."""

from types import SimpleNamespace

import torch
from lightning.pytorch.plugins import DoublePrecision
from torch import Tensor

from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.darts import Darts
from nas_lightning.training.supernet import SupernetModule

CHANNELS, CELLS, SIDE, CLASSES = 4, 3, 8, 5

Batch = tuple[Tensor, Tensor]


def module_of(order: str = "first", radius: float = 0.01) -> SupernetModule:
    """Returns a small search module in float64, ready for steps."""
    torch.manual_seed(0)
    space = DartsSpace(scale=Scale(CHANNELS, CELLS))
    strategy = Darts(space, 0, 50, order, radius, Sgd(), Adam(lr=0.05))
    return in_steps(SupernetModule(space, strategy, (3, SIDE, SIDE), CLASSES).double())


def in_steps(module: SupernetModule) -> SupernetModule:
    """Lets a module in float64 take steps without a Trainer; returns it."""
    module._trainer = SimpleNamespace(world_size=1, precision_plugin=DoublePrecision())
    optimizers = module.configure_optimizers()
    module.optimizers = lambda: optimizers
    return module


def batches(size: int = 6) -> tuple[Batch, Batch]:
    """Returns a training and a validation batch."""
    rng = torch.Generator().manual_seed(1)

    def draw() -> Batch:
        x = torch.randn(size, 3, SIDE, SIDE, generator=rng, dtype=torch.float64)
        return x, torch.randint(CLASSES, (size,), generator=rng)

    return draw(), draw()


def with_log(module: SupernetModule) -> SupernetModule:
    """Returns the module; it keeps what it logs, and has a Trainer that can be stopped."""
    module.logged = {}
    module.log = lambda name, value, **_: module.logged.update({name: value})
    module._trainer = SimpleNamespace(
        world_size=1,
        should_stop=False,
        callback_metrics={},
        current_epoch=4,
        num_training_batches=11,
    )
    return module


def state_of(module: SupernetModule) -> dict[str, Tensor]:
    """Returns a copy of the supernet's state."""
    return {name: tensor.clone() for name, tensor in module.supernet.state_dict().items()}


def changed(module: SupernetModule, before: dict[str, Tensor]) -> set[str]:
    """Returns the names in a state that the supernet's state no longer equals."""
    after = module.supernet.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}
