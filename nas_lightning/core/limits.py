"""Limits of what is delivered: upper bounds of what a child costs, joined by AND."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from torch import Tensor

from nas_lightning.core.choices import Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.quantities import bound_words, quantity_name

__all__ = ["Expect", "Limits", "Measure"]

Expect = Callable[[Mixture], Mapping[str, Tensor]]  # expected values by quantity, of a mixture
Measure = Callable[[Genotype], Mapping[str, float]]  # values by quantity, of the delivered child


class Limits:
    """Upper bounds that a child must keep, all of them.

    Args:
        bounds: the largest allowed value by quantity, at least one.
        measures: what measures a genotype's child by quantity, the fastest first; one may measure
            several.
        expected: what tells a mixture's expected cost by quantity, of some quantities.
        least: what tells at once the least that a quantity can be, of those that take long.

    Raises: ValueError: a quantity has no measure.

    >>> count = lambda genotype: {"parameters": len(genotype.choices)}
    >>> limits = Limits({"parameters": 10}, {"parameters": count})
    >>> limits.excess(Genotype.of("toy", {str(number): "on" for number in range(15)}))
    0.5
    """

    def __init__(
        self,
        bounds: Mapping[str, float],
        measures: Mapping[str, Measure],
        expected: Sequence[Expect] = (),
        least: Mapping[str, Measure] | None = None,
    ) -> None:
        assert bounds, "limits without a bound limit nothing"
        if missing := [quantity for quantity in bounds if quantity not in measures]:
            raise ValueError(
                f"limits.{missing[0]} ({bound_words(missing[0], bounds[missing[0]])}) has nothing "
                f"that measures it here; leave it out: this run measures {', '.join(measures)}"
            )
        self.bounds = {name: bounds[name] for name in sorted(bounds, key=list(measures).index)}
        cached = {m: lru_cache(maxsize=2**16)(m) for m in measures.values()}
        self._measures = {name: cached[measures[name]] for name in self.bounds}
        self._expected = tuple(expected)
        self._least = {name: tell for name, tell in (least or {}).items() if name in bounds}

    def expected(self, mixture: Mixture) -> dict[str, Tensor]:
        """Returns the expected cost of a mixture by limited quantity, where it is known.

        It is differentiable in the mixture's weights, and at one-hot weights the child's.
        """
        costs = {name: cost for expect in self._expected for name, cost in expect(mixture).items()}
        return {name: costs[name] for name in self.bounds if name in costs}

    def value(self, quantity: str, genotype: Genotype) -> float:
        """Returns what a genotype's child costs by one of the limited quantities."""
        return self._measures[quantity](genotype)[quantity]

    def values(self, genotype: Genotype) -> dict[str, float]:
        """Returns what a genotype's child costs, by limited quantity."""
        return {name: self.value(name, genotype) for name in self.bounds}

    @property
    def take_long(self) -> bool:
        """Whether it takes long to measure a child."""
        return bool(self._least)

    def keeps(self, genotype: Genotype) -> bool:
        """Returns whether a genotype's child keeps all limits."""
        return self.may_keep(genotype) and all(
            self.value(name, genotype) <= bound for name, bound in self.bounds.items()
        )

    def may_keep(self, genotype: Genotype) -> bool:
        """Returns whether a genotype's child may keep the limits, by what is told at once."""
        least = ((name, tell(genotype)[name]) for name, tell in self._least.items())
        return all(value <= self.bounds[name] for name, value in least)

    def excess(self, genotype: Genotype) -> float:
        """Returns by what share of its bound a quantity exceeds it at most; 0 where all do not."""
        shares = [self.value(name, genotype) / b - 1 for name, b in self.bounds.items()]
        return max(0.0, *shares)

    def __str__(self) -> str:
        """Returns the limits in words, e.g. "parameters at most 50,000"."""
        return ", ".join(
            f"{quantity_name(name)} at most {bound_words(name, bound)}"
            for name, bound in self.bounds.items()
        )
