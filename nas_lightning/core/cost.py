"""What networks cost: parameters and multiply-adds, traced once, for children and mixtures.

Multiply-adds are those of convolutions and of products of matrices, for one sample: linear layers,
attention (its projections, queries with keys, weights with values; a mask saves nothing) and what
a `forward` multiplies itself (matmul, bmm, mv, einsum, bilinear, scaled_dot_product_attention).
Everything else is free, as in the tables of the field: biases, normalization, activations, softmax,
pooling, additions, element-wise products. `torch.utils.flop_counter` counts the same, two FLOPs
each, but for products with a single vector, addbmm and bilinear layers, which it does not know, and
for taps of a convolution module that meet padding alone: they count, though some kernels leave
them out.
An auxiliary head is not counted, and the params of a module that runs several times once.

The network itself tells what a mixture weighs: a container (`Weighted`) its weighted submodules,
an operation whose size follows the mixture (`Elastic`) its own terms.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Protocol, TypeGuard, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from nas_lightning.core.choices import Factor, Mixture, factors_value
from nas_lightning.core.dispatch import OperatorMode
from nas_lightning.core.factors import Factors, union

__all__ = [
    "QUANTITIES",
    "Cost",
    "Elastic",
    "Factors",
    "Places",
    "Term",
    "Weighted",
    "count_cost",
    "trace_cost",
]

QUANTITIES = ("parameters", "multiply_adds")
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)  # all taps count


@dataclass(frozen=True)
class Term:
    """One part of a cost: amount * product(factors); without factors it always counts."""

    amount: tuple[float, ...]  # per quantity
    factors: Factors


@dataclass(frozen=True)
class Cost:
    """The cost of every network of a space at one scale."""

    terms: tuple[Term, ...]
    quantities: tuple[str, ...] = QUANTITIES

    def of(self, mixture: Mixture) -> dict[str, Tensor]:
        """Returns the expected cost of a mixture by quantity, differentiable in its weights."""
        rows = [row.unbind() for row in mixture.weights.double().unbind()]
        totals = [torch.zeros((), dtype=torch.float64) for _ in self.quantities]
        for term in self.terms:
            weight = factors_value(term.factors, rows, mixture.support)
            if weight is not None:
                totals = [t + a * weight for t, a in zip(totals, term.amount, strict=True)]
        return dict(zip(self.quantities, totals, strict=True))

    def of_child(self, mixture: Mixture) -> dict[str, Any]:
        """Returns the cost of a genotype's child, given the genotype's one-hot mixture.

        Counts (`QUANTITIES`) are whole numbers.
        """
        table = zip(mixture.weights.tolist(), mixture.support, strict=True)
        rows = [[w if i in allowed else 0.0 for i, w in enumerate(r)] for r, allowed in table]
        values = [_plain_value(factor, rows) for factor in self._factors]
        totals = [0.0] * len(self.quantities)
        for term, places in zip(self.terms, self._places, strict=True):
            weight = prod(values[place] for place in places)
            if weight:
                totals = [t + a * weight for t, a in zip(totals, term.amount, strict=True)]
        named = zip(self.quantities, totals, strict=True)
        return {name: round(total) if name in QUANTITIES else total for name, total in named}

    @cached_property
    def _factors(self) -> tuple[Factor, ...]:
        """The factors of all terms, each once: what many genotypes are counted by."""
        return tuple(dict.fromkeys(factor for term in self.terms for factor in term.factors))

    @cached_property
    def _places(self) -> tuple[tuple[int, ...], ...]:
        """Where each term's factors stand in `_factors`."""
        places = {factor: place for place, factor in enumerate(self._factors)}
        return tuple(tuple(places[factor] for factor in term.factors) for term in self.terms)


@runtime_checkable
class Weighted(Protocol):
    """A container whose submodules are weighted by a mixture; nested containers multiply."""

    def weighted_modules(self) -> Iterable[tuple[nn.Module, Factors]]:
        """Yields submodules, each with the factors whose product weighs its cost."""


@runtime_checkable
class Elastic(Protocol):
    """An operation whose size follows the mixture; its submodules are not counted."""

    def cost_terms(self, output: Tensor) -> Iterable[Term]:
        """Yields what one run costs that gave `output` for one sample, on the meta device."""


def trace_cost(network: nn.Module, shape: tuple[int, ...], mixture: Mixture | None) -> Cost:
    """Runs one sample of a shape through a network on the meta device and collects its terms.

    A supernet takes a mixture whose support is every option, a child None.
    """
    tally, training = _Tally(network), network.training
    modules = list(network.modules())
    hooks = [module.register_forward_pre_hook(tally.enter) for module in modules]
    hooks += [module.register_forward_hook(tally.leave) for module in modules]
    with torch.no_grad(), torch.device("meta"):
        sample = torch.empty((1, *shape))
        inputs = (sample,) if mixture is None else (sample, mixture.to(sample))
        with _Products(tally), sdpa_kernel(SDPBackend.MATH):  # attention as two products
            network.eval()(*inputs)
    network.train(training)
    for hook in hooks:
        hook.remove()
    return Cost(tuple(tally.terms()))


def count_cost(network: nn.Module, shape: tuple[int, ...]) -> dict[str, int]:
    """Returns the cost of a child on the meta device by quantity."""
    terms = trace_cost(network, shape, None).terms
    return {name: round(sum(t.amount[k] for t in terms)) for k, name in enumerate(QUANTITIES)}


class Places:
    """Knows the modules of a network that are running, with the factors of their places."""

    def __init__(self, network: nn.Module) -> None:
        self.places: dict[nn.Module, set[Factors]] = {}
        for module, factors in _places(network, ()):
            self.places.setdefault(module, set()).add(factors)
        self.running: list[_Run] = []

    def enter(self, module: nn.Module, inputs: Any) -> None:
        """Notes that a module begins to run, with the factors of its place; a hook."""
        factors = self.running[-1].factors if self.running else ()
        places = self.places.get(module, ())
        if len(places) == 1:
            (factors,) = places
        else:  # shared: the modules that are running tell which place it is
            for depth, run in enumerate(self.running):
                inner = any(other.module in run.parts for other in self.running[depth:])
                factors += () if inner else run.parts.get(module, ())
        is_elastic = _is_elastic(module)
        self.running.append(_Run(module, factors, _weighted(module), is_elastic))


class _Tally(Places):
    """Adds up the cost of all runs by their factors."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        self.amounts: dict[Factors, list[float]] = {}
        self.uses: dict[nn.Module, dict[Factors, None]] = {}

    def leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Counts the run that ends; a hook."""
        factors = self.running.pop().factors
        if self._is_inside_elastic():
            return
        uses = self.uses.setdefault(module, {})
        if _is_elastic(module):
            for term in module.cost_terms(output):
                amount = (0 if uses else term.amount[0], *term.amount[1:])
                self._add(factors + term.factors, amount)
        uses[factors] = None

    def multiply(self, multiply_adds: int) -> None:
        """Counts a product that the running module computes itself."""
        if not self._is_inside_elastic():
            self._add(self.running[-1].factors, (0, multiply_adds))

    def kernel(self, weight: Tensor) -> tuple[int, ...]:
        """Returns the shape of a convolution's kernels, of the running module's own in full."""
        module = self.running[-1].module
        if isinstance(module, CONVOLUTIONS):
            own = module.weight
            is_part = weight.untyped_storage()._cdata == own.untyped_storage()._cdata
            if is_part and weight.shape[:2] == own.shape[:2]:
                return own.shape
        return weight.shape

    def terms(self) -> Iterable[Term]:
        """Yields the terms of all runs, params included."""
        for module, uses in self.uses.items():
            if not _is_elastic(module):
                params = sum(p.numel() for p in self._params(module))
                for factors, times in union(uses).items() if params else ():
                    self._add(factors, (times * params, 0))
        for factors, amount in self.amounts.items():
            yield Term(tuple(amount), factors)

    def _params(self, module: nn.Module) -> Iterable[Tensor]:
        """Yields the params of a module that runs, but for those of modules that run too."""
        yield from module.parameters(recurse=False)
        if isinstance(module, nn.MultiheadAttention) and module.out_proj not in self.uses:
            yield from module.out_proj.parameters()  # it is used without being run

    def _is_inside_elastic(self) -> bool:
        return any(run.is_elastic for run in self.running)

    def _add(self, factors: Factors, amount: Sequence[float]) -> None:
        if any(amount):
            sums = self.amounts.setdefault(factors, [0] * len(QUANTITIES))
            self.amounts[factors] = [s + a for s, a in zip(sums, amount, strict=True)]


class _Products(OperatorMode):  # type: ignore[no-untyped-call]
    """Tells a tally of each product of matrices and each convolution that runs."""

    def __init__(self, tally: _Tally) -> None:
        super().__init__()
        self.tally = tally

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = self.run(func, args, kwargs)
        match func._overloadpacket:
            case torch.ops.aten.mm | torch.ops.aten.bmm:
                self.tally.multiply(out.numel() * args[0].shape[-1])
            case torch.ops.aten.addmm | torch.ops.aten.baddbmm:
                self.tally.multiply(out.numel() * args[1].shape[-1])
            case torch.ops.aten.mv | torch.ops.aten.dot | torch.ops.aten.vdot:
                self.tally.multiply(args[0].numel())
            case torch.ops.aten.addmv:
                self.tally.multiply(args[1].numel())
            case torch.ops.aten.addbmm:
                self.tally.multiply(args[1].numel() * args[2].shape[-1])
            case torch.ops.aten._trilinear:  # of bilinear layers: kernels (outputs, a, b)
                self.tally.multiply(out.numel() * prod(args[1].shape[1:]))
            case torch.ops.aten.convolution:
                x, weight, is_transposed = args[0], args[1], args[6]
                pixels = x if is_transposed else out
                self.tally.multiply(pixels.numel() * prod(self.tally.kernel(weight)[1:]))
        return out


@dataclass(frozen=True)
class _Run:
    module: nn.Module
    factors: Factors
    parts: dict[nn.Module, Factors]  # what it weighs
    is_elastic: bool


def _places(module: nn.Module, factors: Factors) -> Iterable[tuple[nn.Module, Factors]]:
    """Yields each module in each of its places, with all its factors there."""
    yield module, factors
    if not _is_elastic(module):
        inner = _weighted(module)
        for part in _parts(module, inner):
            yield from _places(part, factors + inner.get(part, ()))


def _parts(module: nn.Module, inner: dict[nn.Module, Factors]) -> Iterable[nn.Module]:
    """Yields the weighted submodules, and the outermost of those that hold no weighted one."""
    for child in module.children():
        if child in inner or not inner.keys() & set(child.modules()):
            yield child
        else:
            yield from _parts(child, inner)


def _is_elastic(module: nn.Module) -> TypeGuard[Elastic]:
    """Returns what `isinstance` does, by the class: the answer is kept, and tracing asks often."""
    return issubclass(type(module), Elastic)


def _is_weighted(module: nn.Module) -> TypeGuard[Weighted]:
    return issubclass(type(module), Weighted)


def _weighted(module: nn.Module) -> dict[nn.Module, Factors]:
    return dict(module.weighted_modules()) if _is_weighted(module) else {}


def _plain_value(factor: Factor, rows: Sequence[Sequence[float]]) -> float:
    row = rows[factor.choice]
    return sum(c * w for c, w in zip(factor.coefficients, row, strict=False) if c)
