"""Search steps in float64 without a Trainer: what tests of strategies and updates share."""

import torch
from torch import Tensor

from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.darts import Darts
from nas_lightning.training.updates import SearchUpdates

NODES, CHANNELS, CELLS, SIDE, CLASSES = 2, 4, 3, 8, 5

Batch = tuple[Tensor, Tensor]


def updates_of(order: str = "first", radius: float = 0.01) -> SearchUpdates:
    """Returns the updates of a small search with DARTS."""
    torch.manual_seed(0)
    space = DartsSpace(NODES, scale=Scale(CHANNELS, CELLS))
    strategy = Darts(space, 0, 50, order, radius, Sgd(), Adam(lr=0.05))
    return in_double(SearchUpdates(space, strategy, (3, SIDE, SIDE), CLASSES))


def in_double(updates: SearchUpdates) -> SearchUpdates:
    """Returns the updates, their supernet and strategy made float64."""
    updates.supernet.double()
    updates.strategy.double()
    return updates


def batches(size: int = 6) -> tuple[Batch, Batch]:
    """Returns a training and a validation batch."""
    rng = torch.Generator().manual_seed(1)

    def draw() -> Batch:
        x = torch.randn(size, 3, SIDE, SIDE, generator=rng, dtype=torch.float64)
        return x, torch.randint(CLASSES, (size,), generator=rng)

    return draw(), draw()


def state_of(updates: SearchUpdates) -> dict[str, Tensor]:
    """Returns a copy of the supernet's state."""
    return {name: tensor.clone() for name, tensor in updates.supernet.state_dict().items()}


def changed(updates: SearchUpdates, before: dict[str, Tensor]) -> set[str]:
    """Returns the names in a state that the supernet's state no longer equals."""
    after = updates.supernet.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}
