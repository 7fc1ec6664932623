"""What networks cost: parameters and multiply-adds, traced once, for children and mixtures.

Multiply-adds count convolutions and linear layers, for one sample, without biases; BatchNorm,
pooling and additions are free, as in the tables of the field. An auxiliary head, which only
training runs, counts in neither. A module that runs several times has its params counted once.

What a mixture weighs is told by the network itself, in two ways. A container may have a method
`weighted_modules()` that yields pairs (submodule, factors): what the submodule costs is weighted
by the product of the factors; nested containers multiply. An elastic operation, whose size
follows the mixture, may have a method `cost_terms(output)` that yields its own `Term`s; neither
it nor its submodules are counted otherwise.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from nas_lightning.core.cell import factors_value
from nas_lightning.core.choices import Factor, Mixture

__all__ = ["QUANTITIES", "Cost", "Elastic", "Term", "Weighted", "count_cost", "trace_cost"]

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
        table = zip(mixture.weights.tolist(), mixture.support, strict=True)
        rows = [[w if i in allowed else 0.0 for i, w in enumerate(r)] for r, allowed in table]
        totals = [0.0] * len(QUANTITIES)
        for term in self.terms:
            weight = prod(_plain_value(factor, rows) for factor in term.factors)
            if weight:
                totals = [t + a * weight for t, a in zip(totals, term.amount, strict=True)]
        return {name: round(total) for name, total in zip(QUANTITIES, totals, strict=True)}


@runtime_checkable
class Weighted(Protocol):
    """A container whose submodules are weighted by a mixture."""

    def weighted_modules(self) -> Iterable[tuple[nn.Module, tuple[Factor, ...]]]:
        """Yields submodules, each with the factors that weigh it."""


@runtime_checkable
class Elastic(Protocol):
    """An operation whose size follows the mixture."""

    def cost_terms(self, output: Tensor) -> Iterable[Term]:
        """Yields what one run costs, by what weighs it.

        Args:
            output: what the operation gave for one sample, on the meta device.
        """


def trace_cost(network: nn.Module, shape: tuple[int, ...], mixture: Mixture | None) -> Cost:
    """Runs one sample through a network on the meta device and collects its terms.

    Args:
        network: on the meta device; a supernet, or with mixture None a child.
        shape: shape of one sample.
        mixture: a mixture whose support is everything.
    """
    tally, training = _Tally(), network.training
    hooks = [
        module.register_forward_hook(partial(tally.record, factors))
        for module, factors in _counted(network, ())
    ]
    with torch.no_grad(), torch.device("meta"):
        sample = torch.empty((1, *shape))
        inputs = (sample,) if mixture is None else (sample, mixture.to(sample))
        network.eval()(*inputs)
    network.train(training)
    for hook in hooks:
        hook.remove()
    return Cost(tuple(Term(tuple(amount), f) for f, amount in tally.amounts.items()))


def count_cost(network: nn.Module, shape: tuple[int, ...]) -> dict[str, int]:
    """Returns the cost of a child that lies on the meta device, by quantity."""
    terms = trace_cost(network, shape, None).terms
    sums = [sum(term.amount[k] for term in terms) for k in range(len(QUANTITIES))]
    return dict(zip(QUANTITIES, sums, strict=True))


class _Tally:
    """Adds up what runs cost, by what weighs it."""

    def __init__(self) -> None:
        self.amounts: dict[tuple[Factor, ...], list[int]] = {}
        self.seen: set[nn.Module] = set()

    def record(
        self, factors: tuple[Factor, ...], module: nn.Module, inputs: Any, output: Tensor
    ) -> None:
        """Counts one run of a module; a forward hook."""
        is_new = module not in self.seen
        self.seen.add(module)
        if isinstance(module, Elastic):
            for term in module.cost_terms(output):
                self._add(factors + term.factors, (term.amount[0] * is_new, *term.amount[1:]))
            return
        params = sum(p.numel() for p in module.parameters(recurse=False))
        self._add(factors, (params * is_new, _multiply_adds(module, output)))

    def _add(self, factors: tuple[Factor, ...], amount: Sequence[int]) -> None:
        sums = self.amounts.setdefault(factors, [0] * len(QUANTITIES))
        self.amounts[factors] = [s + a for s, a in zip(sums, amount, strict=True)]


def _counted(
    module: nn.Module, factors: tuple[Factor, ...]
) -> Iterable[tuple[nn.Module, tuple[Factor, ...]]]:
    """Yields the modules that cost something, each with everything that weighs it."""
    if isinstance(module, Elastic):
        yield module, factors
        return
    if isinstance(module, _CONVOLUTIONS + _LINEAR) or list(module.parameters(recurse=False)):
        yield module, factors
    inner = dict(module.weighted_modules()) if isinstance(module, Weighted) else {}
    for part in _parts(module, inner):
        yield from _counted(part, factors + inner.get(part, ()))


def _parts(module: nn.Module, inner: dict[nn.Module, tuple[Factor, ...]]) -> Iterable[nn.Module]:
    """Yields the submodules to look into: those that are weighted, and the others' outermost."""
    for child in module.children():
        if child in inner or not inner.keys() & set(child.modules()):
            yield child
        else:
            yield from _parts(child, inner)


def _multiply_adds(module: nn.Module, output: Tensor) -> int:
    if isinstance(module, _CONVOLUTIONS):
        return output.numel() * (module.in_channels // module.groups) * prod(module.kernel_size)
    return output.numel() * module.in_features if isinstance(module, _LINEAR) else 0


def _plain_value(factor: Factor, rows: Sequence[Sequence[float]]) -> float:
    row = rows[factor.choice]
    return sum(c * w for c, w in zip(factor.coefficients, row, strict=False) if c)


_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_LINEAR = (nn.Linear,)
