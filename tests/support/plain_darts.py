"""DARTS's search network and updates in the papers' plain arrangement: the tests' oracle.

One module per operation and edge, every operation run (the zero operation too), contiguous
images, `loss.backward()` for everything. It is written from the paper and the wiring facts of
the official network (Liu et al., 2019, arXiv:1806.09055), and is slow on purpose.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NODES, OPS = 4, 8


class Zero(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.stride, :: self.stride] * 0.0


class Reduce(nn.Module):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(channels_in, channels_out // 2, 1, 2, bias=False)
        self.b = nn.Conv2d(channels_in, channels_out // 2, 1, 2, bias=False)
        self.norm = nn.BatchNorm2d(channels_out, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        return self.norm(torch.cat([self.a(x), self.b(x[:, :, 1:, 1:])], 1))


def block(*convs: nn.Conv2d) -> list[nn.Module]:
    return [nn.ReLU(), *convs, nn.BatchNorm2d(convs[-1].out_channels, affine=False)]


def depthwise(c: int, k: int, stride: int, dilation: int) -> tuple[nn.Conv2d, nn.Conv2d]:
    padding = dilation * (k - 1) // 2
    wide = nn.Conv2d(c, c, k, stride, padding, dilation, groups=c, bias=False)
    return wide, nn.Conv2d(c, c, 1, bias=False)


def operations(c: int, stride: int) -> list[nn.Module]:
    norm = lambda: nn.BatchNorm2d(c, affine=False)  # noqa: E731 - short
    separable = lambda k: nn.Sequential(  # noqa: E731 - short
        *block(*depthwise(c, k, stride, 1)), *block(*depthwise(c, k, 1, 1))
    )
    return [
        Zero(stride),
        nn.Sequential(nn.MaxPool2d(3, stride, 1), norm()),
        nn.Sequential(nn.AvgPool2d(3, stride, 1, count_include_pad=False), norm()),
        nn.Identity() if stride == 1 else Reduce(c, c),
        separable(3),
        separable(5),
        nn.Sequential(*block(*depthwise(c, 3, stride, 2))),
        nn.Sequential(*block(*depthwise(c, 5, stride, 2))),
    ]


class PlainCell(nn.Module):
    def __init__(
        self, before: int, last: int, c: int, reduction: bool, after: bool, nodes: int
    ) -> None:
        super().__init__()
        self.nodes = nodes
        self.pre0 = (
            Reduce(before, c)
            if after
            else nn.Sequential(*block(nn.Conv2d(before, c, 1, bias=False)))
        )
        self.pre1 = nn.Sequential(*block(nn.Conv2d(last, c, 1, bias=False)))
        self.edges = nn.ModuleList(
            nn.ModuleList(operations(c, 2 if reduction and source < 2 else 1))
            for node in range(nodes)
            for source in range(2 + node)
        )

    def forward(self, s0: Tensor, s1: Tensor, weights: Tensor) -> Tensor:
        states, edge = [self.pre0(s0), self.pre1(s1)], 0
        for _ in range(self.nodes):
            total: Tensor | int = 0
            for offset, state in enumerate(states):
                ops, row = self.edges[edge + offset], weights[edge + offset]
                total = total + sum(w * op(state) for w, op in zip(row, ops, strict=True))
            edge += len(states)
            states.append(total)
        return torch.cat(states[2:], 1)


class PlainSupernet(nn.Module):
    """The search network; forward(x, alpha) with alpha the logits (2 * edges, 8)."""

    cell = PlainCell

    def __init__(self, c: int, cells: int, colours: int, classes: int, nodes: int = NODES) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(colours, 3 * c, 3, padding=1, bias=False), nn.BatchNorm2d(3 * c)
        )
        before, last, after = 3 * c, 3 * c, False
        self.cells, self.reductions = nn.ModuleList(), (cells // 3, 2 * cells // 3)
        for index in range(cells):
            reduction = index in self.reductions
            c *= 2 if reduction else 1
            self.cells.append(self.cell(before, last, c, reduction, after, nodes))
            before, last, after = last, nodes * c, reduction
        self.classifier = nn.Linear(last, classes)

    def forward(self, x: Tensor, alpha: Tensor) -> Tensor:
        return self.run(x, alpha.softmax(-1))

    def run(self, x: Tensor, weights: Tensor) -> Tensor:
        s0 = s1 = self.stem(x)
        for index, cell in enumerate(self.cells):
            half = 1 if index in self.reductions else 0
            s0, s1 = s1, cell(s0, s1, weights.chunk(2)[half])
        return self.classifier(F.adaptive_avg_pool2d(s1, 1).flatten(1))


def copy_params(target: nn.Module, source: nn.Module) -> None:
    """Copies params in order; both networks list them alike."""
    pairs: Iterator[tuple[Tensor, Tensor]] = zip(
        target.parameters(), source.parameters(), strict=True
    )
    with torch.no_grad():
        for mine, theirs in pairs:
            mine.copy_(theirs)


def plain_step(
    network: PlainSupernet,
    alpha: Tensor,
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
    train: tuple[Tensor, Tensor],
    val: tuple[Tensor, Tensor],
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> Tensor:
    """One first-order step: alphas on the validation batch, then params on the training one."""
    params_optimizer, alpha_optimizer = optimizers
    alpha_optimizer.zero_grad()
    loss(network(val[0], alpha), val[1]).backward()
    alpha_optimizer.step()
    params_optimizer.zero_grad()
    value = loss(network(train[0], alpha), train[1])
    value.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    params_optimizer.step()
    return value.detach()


def second_order_step(
    network: PlainSupernet,
    alpha: Tensor,
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
    train: tuple[Tensor, Tensor],
    val: tuple[Tensor, Tensor],
    radius: float = 0.01,
) -> Tensor:
    """One second-order step (equations 7 and 8), with a network of its own for the look-ahead."""
    (x, labels), (settings,) = train, optimizers[0].param_groups
    lr, params = settings["lr"], list(network.parameters())
    grads = torch.autograd.grad(F.cross_entropy(network(x, alpha), labels), params)
    ahead = deepcopy(network)
    with torch.no_grad():
        for mine, param, grad in zip(ahead.parameters(), params, grads, strict=True):
            buffer = optimizers[0].state[param].get("momentum_buffer", torch.zeros(()))
            moved = settings["momentum"] * buffer + grad + settings["weight_decay"] * param
            mine.copy_(param - lr * moved)
    optimizers[1].zero_grad()
    F.cross_entropy(ahead(val[0], alpha), val[1]).backward()
    direction = [param.grad for param in ahead.parameters()]
    step = radius / torch.cat([d.view(-1) for d in direction]).norm()
    found = []
    for sign in (1.0, -2.0, 1.0):  # the last one only moves the params back
        with torch.no_grad():
            for param, d in zip(params, direction, strict=True):
                param.add_(d, alpha=float(sign * step))
        if len(found) < 2:
            loss = F.cross_entropy(network(x, alpha), labels)
            found.append(torch.autograd.grad(loss, alpha)[0])
    alpha.grad -= lr * (found[0] - found[1]) / (2 * step)
    optimizers[1].step()
    optimizers[0].zero_grad()
    value = F.cross_entropy(network(x, alpha), labels)
    value.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimizers[0].step()
    return value.detach()
