"""How the processes of one training are kept equal, and found out where they are not."""

from typing import Any

import torch
from torch import Tensor, distributed, nn

__all__ = ["average_statistics", "check_agreement"]


@torch.no_grad()
def average_statistics(network: nn.Module, trainer: Any) -> None:
    """Sets a network's buffers, BatchNorm's running statistics, to their means over processes."""
    if trainer.world_size == 1:
        return
    buffers = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
    if not buffers:
        return
    flat = torch.cat([buffer.reshape(-1) for buffer in buffers])
    parts = trainer.strategy.reduce(flat, reduce_op="mean").split([b.numel() for b in buffers])
    for buffer, part in zip(buffers, parts, strict=True):
        buffer.copy_(part.view_as(buffer))


@torch.no_grad()
def check_agreement(module: Any) -> None:
    """Stops a search whose processes do not hold the same alphas, genotype and params.

    Args:
        module: the SupernetModule, at an epoch's end. Of its params the sum is compared.

    Raises:
        ArithmeticError: they differ.
    """
    trainer, strategy = module.trainer, module.strategy
    if trainer.world_size == 1:
        return
    scores = strategy.scores()
    found = 0 if scores is None else int(module.space.discretize(scores).id, 16)  # 48 bits: exact
    total = torch.stack([param.double().sum() for param in module.params.values()]).sum()
    head = torch.stack([torch.tensor(float(found), dtype=torch.float64).to(total.device), total])
    alphas = [alpha.double().reshape(-1) for alpha in strategy.parameters()]
    own = torch.cat([head, *alphas])
    rows = [torch.empty_like(own) for _ in range(trainer.world_size)]
    distributed.all_gather(rows, own)
    for rank, row in enumerate(rows):
        if not torch.equal(row, rows[0]):
            raise ArithmeticError(_difference(rank, row, rows[0], module.current_epoch))


def _difference(rank: int, row: Tensor, first: Tensor, epoch: int) -> str:
    ids = [f"{int(each[0]):012x}" for each in (row, first)]
    found = f"its genotype is {ids[0]}, not {ids[1]}" if ids[0] != ids[1] else "the genotype agrees"
    return (
        f"rank {rank} does not agree with rank 0 after epoch {epoch}: its alphas differ by "
        f"{float((row[2:] - first[2:]).abs().sum()):.3g} in all, {found}, and its params' sum by "
        f"{float((row[1] - first[1]).abs()):.3g}; all processes must take the same steps: look "
        "for draws that are not the strategy's own, or for a faulty device"
    )
