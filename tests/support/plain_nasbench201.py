"""NAS-Bench-201's search network in the authors' plain arrangement: the tests' oracle for GDAS.

One module per operation and edge, contiguous images. It is written from the wiring facts of the
official network (Dong & Yang, 2020, arXiv:2001.00326) and of its GDAS, and is slow on purpose.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NODES, OPS = 4, 5


def conv_block(c: int, kernel: int) -> nn.Module:
    conv = nn.Conv2d(c, c, kernel, padding=kernel // 2, bias=True)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(c, affine=False))


class Zero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 0.0


def operations(c: int) -> nn.ModuleList:
    pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    return nn.ModuleList([Zero(), nn.Identity(), conv_block(c, 1), conv_block(c, 3), pool])


class PlainCell(nn.Module):
    """A cell; `adds` says whether an operation that was not sampled adds its weight."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(operations(c) for target in range(NODES) for _ in range(target))

    def forward(self, x: Tensor, hard: Tensor, index: list[int], adds: bool) -> Tensor:
        nodes, edge = [x], 0
        for target in range(1, NODES):
            total: Tensor | int = 0
            for source in range(target):
                chosen, row = index[edge], hard[edge]
                total = total + row[chosen] * self.edges[edge][chosen](nodes[source])
                if adds:
                    total = total + sum(row[i] for i in range(OPS) if i != chosen)
                edge += 1
            nodes.append(total)
        return nodes[-1]


class PlainReduction(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(c, 2 * c, 3, 2, 1, bias=False)
        self.norm_a = nn.BatchNorm2d(2 * c)
        self.b = nn.Conv2d(2 * c, 2 * c, 3, 1, 1, bias=False)
        self.norm_b = nn.BatchNorm2d(2 * c)
        self.shortcut = nn.Conv2d(c, 2 * c, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        wide = self.norm_b(self.b(F.relu(self.norm_a(self.a(F.relu(x))))))
        return wide + self.shortcut(F.avg_pool2d(x, 2))


class PlainSearchNetwork(nn.Module):
    """One cell in each of three stages, a reduction between two; one sample for all cells."""

    def __init__(self, c: int, colours: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(colours, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)
        )
        parts = [PlainCell(c), PlainReduction(c), PlainCell(2 * c), PlainReduction(2 * c)]
        self.cells = nn.ModuleList([*parts, PlainCell(4 * c)])
        self.last = nn.BatchNorm2d(4 * c)
        self.classifier = nn.Linear(4 * c, classes)

    def forward(self, x: Tensor, hard: Tensor, index: list[int], adds: bool = True) -> Tensor:
        x = self.stem(x)
        for cell in self.cells:
            x = cell(x, hard, index, adds) if isinstance(cell, PlainCell) else cell(x)
        return self.classifier(F.relu(self.last(x)).mean((2, 3)))


def straight_through(alpha: Tensor, noise: Tensor, tau: float) -> tuple[Tensor, list[int]]:
    """Returns hard weights (6, 5) in the authors' way, and the sampled operations."""
    soft = ((alpha.log_softmax(1) + noise) / tau).softmax(1)
    index = soft.argmax(1, keepdim=True)
    one_hot = torch.zeros_like(soft).scatter_(1, index, 1.0)
    return one_hot - soft.detach() + soft, index[:, 0].tolist()
