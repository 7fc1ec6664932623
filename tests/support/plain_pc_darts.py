"""PC-DARTS's search network in the authors' plain arrangement: the tests' oracle.

Each edge of the DARTS network splits its channels, mixes the first quarter, carries the others
around, and shuffles both; a softmax of beta weighs the edges of a node. Written from the paper
(Xu et al., 2020, arXiv:1907.05737) and the wiring facts of the official network.
"""

import torch
import torch.nn.functional as F
from plain_darts import PlainCell, PlainSupernet, operations
from torch import Tensor, nn

K = 4


class PartialEdge(nn.Module):
    def __init__(self, c: int, stride: int) -> None:
        super().__init__()
        self.ops, self.read = nn.ModuleList(operations(c // K, stride)), c // K

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        mixed = sum(w * op(x[:, : self.read]) for w, op in zip(weights, self.ops, strict=True))
        around = x[:, self.read :]
        if around.shape[2] != mixed.shape[2]:
            around = F.max_pool2d(around, 2, 2)
        whole = torch.cat([mixed, around], dim=1)
        num, c, height, width = whole.shape
        dealt = whole.view(num, K, c // K, height, width).transpose(1, 2).contiguous()
        return dealt.view(num, c, height, width)


class PartialCell(PlainCell):
    def __init__(
        self, before: int, last: int, c: int, reduction: bool, after: bool, nodes: int
    ) -> None:
        super().__init__(before, last, c, reduction, after, nodes)
        self.edges = nn.ModuleList(
            PartialEdge(c, 2 if reduction and source < 2 else 1)
            for node in range(nodes)
            for source in range(2 + node)
        )

    def forward(self, s0: Tensor, s1: Tensor, weights: Tensor) -> Tensor:
        """Runs the cell; weights (14, 1 + ops): first an edge's softmax of beta, then of alpha."""
        states, edge = [self.pre0(s0), self.pre1(s1)], 0
        for _ in range(self.nodes):
            rows = weights[edge : edge + len(states)]
            edges = self.edges[edge : edge + len(states)]
            parts = zip(states, rows, edges, strict=True)
            total = sum(row[0] * mixed(state, row[1:]) for state, row, mixed in parts)
            edge += len(states)
            states.append(total)
        return torch.cat(states[2:], 1)


class PartialSupernet(PlainSupernet):
    """The search network; forward(x, alpha, beta) with logits (28, 8) and (28,)."""

    cell = PartialCell

    def forward(self, x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        nodes = beta.split([2, 3, 4, 5, 2, 3, 4, 5])
        edges = torch.cat([node.softmax(-1) for node in nodes])
        weights = torch.cat([edges[:, None], alpha.softmax(-1)], dim=1)
        return self.run(x, weights)
