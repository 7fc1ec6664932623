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
from nas_lightning.core.shrinking import STARTS, smallest

__all__ = ["cost_measure", "limited", "smallest_child"]

FAR = 2.0  # times a limit, above which no other start of a descent would reach it


def cost_measure(space: SearchSpace, scale: Scale) -> Measure:
    """Returns what counts parameters and multiply-adds of a genotype's child at a scale.

    They come from the supernet's traced terms, or from the child where there is no supernet.
    """
    return _counter(space, scale, _traced(space, scale))


def _counter(space: SearchSpace, scale: Scale, cost: Cost | None) -> Measure:
    if cost is None:
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
    least: Mapping[str, Measure] | None = None,
    is_exact: bool = True,
) -> SearchSpace:
    """Returns a space within upper bounds of its children at a scale, e.g. that of the child.

    Args:
        space: the space; without bounds it is returned as it is.
        scale: scale of the children, with the data's shapes.
        bounds: the largest allowed value by quantity; see `read_bounds`.
        measures: what measures further quantities than parameters and multiply-adds.
        expected: what tells the expected cost of a mixture by some of these.
        least: what tells at once the least that some of these can be.
        is_exact: whether the data's shapes are known; else those of `scale` are the least ones.

    Raises: ValueError: a quantity has no measure, or no child keeps the bounds.
    """
    if not bounds:
        return space
    cost = _traced(space, scale)
    counted = dict.fromkeys(QUANTITIES, _counter(space, scale, cost))
    if not bounds.keys().isdisjoint(QUANTITIES) and cost is not None:
        expected = (cost.of, *expected)
    limits = Limits(bounds, {**counted, **(measures or {})}, expected, least)
    ends = []
    for name, bound in limits.bounds.items():
        ends.append(
            _far_above(space, limits, name, counted) or smallest_child(space, limits, name, bound)
        )
        if (value := limits.value(name, ends[-1])) > bound:
            cures = "".join(f", or lower {key}" for key in _lower(space, scale, ends[-1]))
            raise ValueError(
                f"limits.{name} ({bound_words(name, bound)}) is below every child of search "
                f"space '{space.name}' at child.scale: the smallest has "
                f"{_raised(name, value, is_exact)}{cures}"
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


def _far_above(
    space: SearchSpace, limits: Limits, name: str, counted: Mapping[str, Measure]
) -> Genotype | None:
    """Returns a smallest child that is so far above a limit that looking on is of no use, if any.

    One descent tells, from the child of the fewest parameters: what is measured takes long.
    """
    if name in counted:
        return None

    def value(genotype: Genotype) -> float:
        return limits.value(name, genotype)

    bound = limits.bounds[name]
    lean = _lowest(space, lambda g: counted["parameters"](g)["parameters"], 0.0)
    if value(lean) <= FAR * bound:
        return None
    low = _lowest(space, value, bound, [lean], draws=0)
    return low if value(low) > FAR * bound else None


def _raised(name: str, value: float, is_exact: bool) -> str:
    words = at_least_words(name, value)
    if is_exact:
        return f"{words}; raise the limit to that"
    return (
        f"at least {words}, and more with more input channels or outputs than one, which the "
        "data will tell; raise the limit above that"
    )


def _lowest(
    space: SearchSpace,
    value: Callable[[Genotype], float],
    enough: float,
    starts: Sequence[Genotype] = (),
    draws: int = STARTS,
) -> Genotype:
    of_chosen = lambda chosen: value(Genotype.of(space.name, chosen))  # noqa: E731
    chosen = smallest(
        space.decisions, of_chosen, enough, [start.mapping for start in starts], draws
    )
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
