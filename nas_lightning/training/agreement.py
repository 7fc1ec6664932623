"""Keeps the processes of one training equal, and stops it where they are not."""

from collections.abc import Callable, Iterable

import lightning as L
import torch
from torch import Tensor, distributed, nn

from nas_lightning.core.strategy import OneShotStrategy

__all__ = ["Mean", "average_statistics", "check_agreement", "mean_of"]

Mean = Callable[[Tensor], Tensor]  # returns a tensor's mean over processes


def mean_of(trainer: L.Trainer) -> Mean | None:
    """Returns the mean over a Trainer's processes; None where there is one process."""
    if trainer.world_size == 1:
        return None

    def mean(tensor: Tensor) -> Tensor:
        reduced: Tensor = trainer.strategy.reduce(tensor, reduce_op="mean")
        return reduced

    return mean


@torch.no_grad()
def average_statistics(network: nn.Module, mean: Mean | None) -> None:
    """Sets a network's buffers, BatchNorm's running statistics, to their means over processes."""
    buffers = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
    if mean is None or not buffers:
        return
    flat = mean(torch.cat([buffer.reshape(-1) for buffer in buffers]))
    parts = torch.split(flat, [buffer.numel() for buffer in buffers])
    for buffer, part in zip(buffers, parts, strict=True):
        buffer.copy_(part.view_as(buffer))


@torch.no_grad()
def check_agreement(strategy: OneShotStrategy, params: Iterable[Tensor], epoch: int) -> None:
    """Stops a search whose processes do not hold the same alphas, genotype and params.

    Args:
        strategy: this process's.
        params: this process's supernet's, of which the sum is compared.
        epoch: the epoch that ends.

    Raises:
        ArithmeticError: they differ.
    """
    identity = int(strategy.space.discretize(strategy.scores()).id, 16)  # 48 bits: exact
    total = torch.stack([param.double().sum() for param in params]).sum()
    head = [torch.tensor(float(identity), dtype=torch.float64, device=total.device), total]
    alphas = [alpha.double().reshape(-1) for alpha in strategy.parameters()]
    mine = torch.cat([torch.stack(head), *alphas])
    rows = [torch.empty_like(mine) for _ in range(distributed.get_world_size())]
    distributed.all_gather(rows, mine)
    for rank, row in enumerate(rows):
        if not torch.equal(row, rows[0]):
            raise ArithmeticError(_difference(rank, row, rows[0], epoch))


def _difference(rank: int, row: Tensor, first: Tensor, epoch: int) -> str:
    mine, theirs = (f"{int(each[0]):012x}" for each in (row, first))
    genotype = f"its genotype is {mine}, not {theirs}" if mine != theirs else "the genotype agrees"
    return (
        f"rank {rank} does not agree with rank 0 after epoch {epoch}: its alphas differ by "
        f"{float((row[2:] - first[2:]).abs().sum()):.3g} in all, {genotype}, and its params' sum "
        f"by {float((row[1] - first[1]).abs()):.3g}; all processes must take the same steps: look "
        "for draws that are not the strategy's own, or for a faulty device"
    )
