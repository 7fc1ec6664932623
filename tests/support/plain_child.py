"""The evaluation network of DARTS in its plain arrangement: to compare with, and to time against.

A module per layer of every operation, a ReLU of its own per operation, contiguous images. It is
written from the paper and the wiring facts of the official network (Liu et al., 2019,
arXiv:1806.09055). Its params come in the order of ours (see `copy_params`).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Per node of a cell both operations and what they read, of the paper's second-order CIFAR-10 cells.
DARTS_V2 = {
    "normal": (
        ("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1),
        ("skip_connect", 0), ("sep_conv_3x3", 1), ("skip_connect", 0), ("dil_conv_3x3", 2),
    ),
    "reduction": (
        ("max_pool_3x3", 0), ("max_pool_3x3", 1), ("max_pool_3x3", 1), ("skip_connect", 2),
        ("max_pool_3x3", 0), ("skip_connect", 2), ("max_pool_3x3", 1), ("skip_connect", 2),
    ),
}  # fmt: skip
Genes = tuple[tuple[str, int], ...]


def conv(before: int, after: int, kernel: int = 1, stride: int = 1, **more: Any) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel, stride, bias=False, **more)


def stage(c: int, kernel: int, stride: int, dilation: int) -> list[nn.Module]:
    reach = dilation * (kernel - 1) // 2
    wide = conv(c, c, kernel, stride, padding=reach, dilation=dilation, groups=c)
    return [nn.ReLU(), wide, conv(c, c), nn.BatchNorm2d(c)]


class Reduce(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.a, self.b = conv(before, after // 2, 1, 2), conv(before, after // 2, 1, 2)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        return self.norm(torch.cat([self.a(x), self.b(x[:, :, 1:, 1:])], 1))


def operation(name: str, c: int, stride: int) -> nn.Module:
    match name:
        case "skip_connect":
            return nn.Identity() if stride == 1 else Reduce(c, c)
        case "max_pool_3x3":
            return nn.MaxPool2d(3, stride, 1)
        case "avg_pool_3x3":
            return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    kind, _, size = name.split("_")
    kernel = int(size[0])
    if kind == "sep":
        return nn.Sequential(*stage(c, kernel, stride, 1), *stage(c, kernel, 1, 1))
    return nn.Sequential(*stage(c, kernel, stride, 2))


class PlainChildCell(nn.Module):
    def __init__(
        self, genes: Genes, before: int, last: int, c: int, reduction: bool, after: bool
    ) -> None:
        super().__init__()
        first = nn.Sequential(nn.ReLU(), conv(before, c), nn.BatchNorm2d(c))
        second = nn.Sequential(nn.ReLU(), conv(last, c), nn.BatchNorm2d(c))
        self.preprocess = nn.ModuleList([Reduce(before, c) if after else first, second])
        self.genes = genes
        self.ops = nn.ModuleList(
            operation(name, c, 2 if reduction and source < 2 else 1) for name, source in genes
        )

    def forward(self, s0: Tensor, s1: Tensor, drop: float) -> Tensor:
        states = [self.preprocess[0](s0), self.preprocess[1](s1)]
        for node in range(len(self.genes) // 2):
            outs = []
            for place in (2 * node, 2 * node + 1):
                op = self.ops[place]
                out = op(states[self.genes[place][1]])
                if drop and self.training and not isinstance(op, nn.Identity):
                    mask = out.new_empty(len(out), 1, 1, 1).bernoulli_(1 - drop)
                    out = out / (1 - drop) * mask
                outs.append(out)
            states.append(outs[0] + outs[1])
        return torch.cat(states[2:], 1)


class PlainChild(nn.Module):
    """forward(x) gives the logits and the auxiliary head's, for images of 32x32."""

    def __init__(
        self, genotype: dict[str, Genes], c: int, cells: int, colours: int, classes: int
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(colours, 3 * c, 3, padding=1), nn.BatchNorm2d(3 * c))
        before, last, after = 3 * c, 3 * c, False
        self.cells, self.two_thirds = nn.ModuleList(), 2 * cells // 3
        for index in range(cells):
            reduction = index in (cells // 3, self.two_thirds)
            c *= 2 if reduction else 1
            genes = genotype["reduction" if reduction else "normal"]
            self.cells.append(PlainChildCell(genes, before, last, c, reduction, after))
            before, last, after = last, len(genes) // 2 * c, reduction
            if index == self.two_thirds:
                width = last
        self.classifier = nn.Linear(last, classes)
        self.auxiliary = nn.Sequential(
            nn.ReLU(), nn.AvgPool2d(5, 3, count_include_pad=False), conv(width, 128),
            nn.BatchNorm2d(128), nn.ReLU(), conv(128, 768, 2), nn.BatchNorm2d(768),
            nn.ReLU(), nn.Flatten(), nn.Linear(768, classes),
        )  # fmt: skip

    def forward(self, x: Tensor, drop: float = 0.0) -> tuple[Tensor, Tensor]:
        s0 = s1 = self.stem(x)
        for index, cell in enumerate(self.cells):
            s0, s1 = s1, cell(s0, s1, drop)
            if index == self.two_thirds:
                auxiliary = self.auxiliary(s1)
        return self.classifier(F.adaptive_avg_pool2d(s1, 1).flatten(1)), auxiliary
