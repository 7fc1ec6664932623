"""What networks cost: parameters and multiply-adds, traced once, for children and mixtures.

Multiply-adds count convolutions and linear layers, for one sample, without biases; BatchNorm,
pooling and additions are free, as in the tables of the field. An auxiliary head, which only
training runs, counts in neither.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from nas_lightning.core.cell import Cell, factors_value
from nas_lightning.core.choices import Factor, Mixture

__all__ = ["QUANTITIES", "Cost", "count_cost", "trace_cost"]

QUANTITIES = ("parameters", "multiply_adds")


@dataclass(frozen=True)
class Term:
    """One share of a cost: amount * product(factors).

    Attributes:
        amount: by quantity.
        factors: what weighs it; () is always there.
    """

    amount: tuple[int, ...]
    factors: tuple[Factor, ...]


@dataclass(frozen=True)
class Cost:
    """The cost of every network of a space at one scale."""

    terms: tuple[Term, ...]

    def of(self, mixture: Mixture) -> dict[str, Tensor]:
        """Returns the expected cost of a mixture by quantity, differentiable in its weights.

        At the one-hot mixture of a genotype it is its child's.
        """
        rows = [row.unbind() for row in mixture.weights.double().unbind()]
        totals = [torch.zeros((), dtype=torch.float64) for _ in QUANTITIES]
        for term in self.terms:
            weight = factors_value(term.factors, rows, mixture.support)
            if weight is not None:
                totals = [t + a * weight for t, a in zip(totals, term.amount, strict=True)]
        return dict(zip(QUANTITIES, totals, strict=True))

    def of_child(self, mixture: Mixture) -> dict[str, int]:
        """Returns the cost of a genotype's child, given the genotype's one-hot mixture."""
        return {name: round(float(value)) for name, value in self.of(mixture).items()}


def trace_cost(network: nn.Module, shape: tuple[int, ...], mixture: Mixture | None) -> Cost:
    """Runs one sample through a network on the meta device and collects its terms.

    Args:
        network: on the meta device; a supernet, or with mixture None a child.
        shape: shape of one sample.
        mixture: a mixture whose support is everything.
    """
    amounts: dict[tuple[Factor, ...], list[int]] = {}
    hooks = [
        module.register_forward_hook(partial(_record, amounts, factors))
        for module, factors in _leaves(network)
    ]
    training = network.training
    with torch.no_grad(), torch.device("meta"):
        sample = torch.empty((1, *shape))
        network.eval()(sample) if mixture is None else network.eval()(sample, mixture)
    network.train(training)
    for hook in hooks:
        hook.remove()
    return Cost(tuple(Term(tuple(amount), factors) for factors, amount in amounts.items()))


def count_cost(network: nn.Module, shape: tuple[int, ...]) -> dict[str, int]:
    """Returns the cost of a child that lies on the meta device, by quantity."""
    terms = trace_cost(network, shape, None).terms
    sums = [sum(term.amount[k] for term in terms) for k in range(len(QUANTITIES))]
    return dict(zip(QUANTITIES, sums, strict=True))


def _leaves(network: nn.Module) -> list[tuple[nn.Module, tuple[Factor, ...]]]:
    """Returns the modules that cost something, each with the factors of its branch."""
    factors: dict[nn.Module, tuple[Factor, ...]] = {}
    for cell in network.modules():
        if isinstance(cell, Cell):
            for branch in (b for branches in cell.incoming for b in branches):
                for module in cell.ops[branch.key].modules():
                    factors[module] = branch.factors
    return [(m, factors.get(m, ())) for m in network.modules() if not list(m.children())]


def _record(
    amounts: dict[tuple[Factor, ...], list[int]],
    factors: tuple[Factor, ...],
    module: nn.Module,
    inputs: Any,
    output: Tensor,
) -> None:
    params = sum(p.numel() for p in module.parameters())
    count = next((c for kind, c in _MULTIPLY_ADDS.items() if isinstance(module, kind)), None)
    amount = amounts.setdefault(factors, [0] * len(QUANTITIES))
    amount[0] += params
    amount[1] += count(module, output) if count else 0


def _convolution(module: nn.Module, output: Tensor) -> int:
    assert isinstance(module, nn.Conv2d)
    per_output = module.in_channels // module.groups * prod(module.kernel_size)
    return output.numel() * per_output


def _linear(module: nn.Module, output: Tensor) -> int:
    assert isinstance(module, nn.Linear)
    return output.numel() * module.in_features


_MULTIPLY_ADDS: dict[type[nn.Module], Callable[[nn.Module, Tensor], int]] = {
    nn.Conv2d: _convolution,
    nn.Linear: _linear,
}
