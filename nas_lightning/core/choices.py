"""What a search space can choose, and the weights that mix it: plain data."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

from torch import Tensor

__all__ = [
    "NO",
    "NONE",
    "SKIP",
    "YES",
    "Branch",
    "Choice",
    "Factor",
    "Mixture",
    "factors_value",
    "may_run",
]

NO, YES = "no", "yes"  # options of a skip, in this order
NONE, SKIP = "none", "skip_connect"  # operations: that of an edge that carries nothing, identity


@dataclass(frozen=True)
class Choice:
    """One categorical choice that the supernet mixes: a row of the mixture's table."""

    name: str  # unique in the space, e.g. "normal/edge_0_2"
    options: tuple[str, ...]  # e.g. operation names; the row's columns in this order
    kind: str  # "op", "input", "skip", "size" or "combine"
    group: str  # the node that the choice feeds, e.g. "normal/node_2"


@dataclass(frozen=True)
class Factor:
    """A linear functional of one choice: the sum over options of coefficient * weight."""

    choice: int  # index in the space's `choices`
    coefficients: tuple[float, ...]

    @classmethod
    def taking(cls, choice: int, options: Sequence[str], *taken: str) -> "Factor":
        """Returns the factor that is 1 where one of the `taken` options is chosen, else 0.

        >>> Factor.taking(4, ("no", "yes"), "yes")
        Factor(choice=4, coefficients=(0.0, 1.0))
        """
        return cls(choice, tuple(float(option in taken) for option in options))


@dataclass(frozen=True)
class Branch:
    """A weighted operation of a cell: op(state[source]) * product(factors) enters state[target]."""

    source: int
    target: int  # larger than `source`
    op: str  # name of the operation
    factors: tuple[Factor, ...] = ()
    stride: int = 1  # or 2

    @cached_property
    def key(self) -> str:
        """The name of the operation inside its cell, e.g. "0_2_sep_conv_3x3"."""
        return f"{self.source}_{self.target}_{self.op}"


@dataclass(frozen=True, eq=False)
class Mixture:
    """The mixing weights of one forward pass, and which options may run.

    Weights are padded with zeros where a choice has fewer options. Where a space has `cell_rows`
    they may differ from cell to cell. `added` is added to the states which a choice's branches
    enter.
    """

    weights: Tensor  # (choices, options), or (cells, choices, options), float
    support: tuple[tuple[int, ...], ...]  # per choice the options that may run; () removes the edge
    added: Tensor | None = None  # (choices,)
    partial: int | None = None  # the supernets' `Scale.partial`; None is for all of them

    def detach(self) -> "Mixture":
        """Returns the same mixture without a gradient to its weights."""
        added = None if self.added is None else self.added.detach()
        return Mixture(self.weights.detach(), self.support, added, self.partial)

    def of_cell(self, cell: int) -> "Mixture":
        """Returns the mixture of one cell, by its number."""
        if self.weights.dim() == 2:
            return self
        return Mixture(self.weights[cell], self.support, self.added, self.partial)

    def to(self, other: Tensor) -> "Mixture":
        """Returns the same mixture on the device and of the type of another tensor."""
        added = None if self.added is None else self.added.to(other)
        return Mixture(self.weights.to(other), self.support, added, self.partial)


def factors_value(
    factors: Sequence[Factor], rows: Sequence[Sequence[Tensor]], support: Sequence[Sequence[int]]
) -> Tensor | None:
    """Returns the product of factors, or None where nothing may run; 1 is the empty product.

    `rows` are a mixture's weights as scalars, `support` is its support.
    """
    if not may_run(factors, support):
        return None
    values = [_value(factor, rows[factor.choice]) for factor in factors]
    return prod(values[1:], start=values[0]) if values else rows[0][0].new_ones(())


def may_run(factors: Sequence[Factor], support: Sequence[Sequence[int]]) -> bool:
    """Returns whether every factor has an option in the support with a coefficient not 0."""
    return all(
        any(factor.coefficients[option] != 0.0 for option in support[factor.choice])
        for factor in factors
    )


def _value(factor: Factor, row: Sequence[Tensor]) -> Tensor:
    terms = [
        weight if coefficient == 1.0 else coefficient * weight
        for coefficient, weight in zip(factor.coefficients, row, strict=False)
        if coefficient != 0.0
    ]
    return sum(terms[1:], start=terms[0])
