"""A search space within limits of the delivered child; impossible limits are refused."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nas_lightning.core.cost import QUANTITIES, Cost
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.limits import Expect, Limits, Measure
from nas_lightning.core.quantities import at_least_words, bound_words, quantity_name
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace, child_cost
from nas_lightning.core.shrinking import smallest

__all__ = ["cost_measure", "limited", "smallest_child"]


def cost_measure(space: SearchSpace, scale: Scale) -> Measure:
    """Returns what counts parameters and multiply-adds of a genotype's child at a scale.

    They come from the supernet's traced terms, or from the child where there is no supernet.
    """
    if (cost := _traced(space, scale)) is None:
        return lambda genotype: child_cost(space, genotype, scale)
    return lambda genotype: cost.of_child(space.mixture(genotype))


def _traced(space: SearchSpace, scale: Scale) -> Cost | None:
    if not space.choices:
        return None
    try:
        return space.cost(scale)
    except ValueError:  # it has no supernet, or none at these values of its arguments
        return None


def limited(
    space: SearchSpace,
    scale: Scale,
    bounds: Mapping[str, float],
    measures: Mapping[str, Measure] | None = None,
    expected: Sequence[Expect] = (),
) -> SearchSpace:
    """Returns a space within upper bounds of its children at a scale, e.g. that of the child.

    Args:
        space: the space; without bounds it is returned as it is.
        scale: scale of the children, with the data's shapes.
        bounds: the largest allowed value by quantity; see `read_bounds`.
        measures: what measures further quantities than parameters and multiply-adds.
        expected: what tells the expected cost of a mixture by some of these.

    Raises: ValueError: a quantity has no measure, or no child keeps the bounds.
    """
    if not bounds:
        return space
    counted = dict.fromkeys(QUANTITIES, cost_measure(space, scale))
    if not bounds.keys().isdisjoint(QUANTITIES) and (cost := _traced(space, scale)) is not None:
        expected = (cost.of, *expected)
    limits = Limits(bounds, {**counted, **(measures or {})}, expected)
    ends = []
    for name, bound in limits.bounds.items():
        ends.append(smallest_child(space, limits, name, enough=bound))
        if (value := limits.value(name, ends[-1])) > bound:
            cures = "".join(f", or lower {key}" for key in _lower(space, scale, ends[-1]))
            raise ValueError(
                f"limits.{name} ({bound_words(name, bound)}) is below every child of search "
                f"space '{space.name}' at child.scale: the smallest has "
                f"{at_least_words(name, value)}; raise the limit to that{cures}"
            )
    small = _lowest(space, limits.excess, 0.0, ends)
    if not limits.keeps(small):
        values = limits.values(small).items()
        nearest = ", ".join(f"{quantity_name(n)} {at_least_words(n, value)}" for n, value in values)
        raise ValueError(
            f"limits ({limits}): no child of search space '{space.name}' was found that keeps them "
            f"together; the nearest has {nearest}; raise a limit"
        )
    return space.within(limits, small)


def smallest_child(
    space: SearchSpace, limits: Limits, quantity: str, enough: float = 0.0
) -> Genotype:
    """Returns the genotype whose child has the least of a limited quantity; see `smallest`.

    One that has no more than `enough` will do.
    """
    return _lowest(space, lambda genotype: limits.value(quantity, genotype), enough)


def _lowest(
    space: SearchSpace,
    value: Callable[[Genotype], float],
    enough: float,
    starts: Sequence[Genotype] = (),
) -> Genotype:
    of_chosen = lambda chosen: value(Genotype.of(space.name, chosen))  # noqa: E731
    chosen = smallest(space.decisions, of_chosen, enough, [start.mapping for start in starts])
    return Genotype.of(space.name, chosen)


def _lower(space: SearchSpace, scale: Scale, genotype: Genotype) -> list[str]:
    """Returns the keys of the scale, with their values, that make a child of this space smaller."""
    least: dict[str, Any] = {"channels": max(2, scale.partial)}
    least |= {"cells": 3} if space.has_cells else {}
    size = child_cost(space, genotype, scale)["parameters"]
    return [
        f"child.scale.{key} ({getattr(scale, key)})"
        for key, value in least.items()
        if child_cost(space, genotype, replace(scale, **{key: value}))["parameters"] < size
    ]
