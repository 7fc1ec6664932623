"""What a search maximises: a reward made of measurements, or values kept apart."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from math import inf
from typing import Protocol

from nas_lightning.core.genotype import Genotype

__all__ = ["Judge", "Objective", "as_costs", "dominates"]


class Judge(Protocol):
    """What judges the children of a task: its main metric and which way is better."""

    @property
    def metric(self) -> str:
        """Name of the main metric, e.g. "accuracy"."""

    @property
    def higher_is_better(self) -> bool:
        """Whether higher values are better."""


class Objective(ABC):
    """Turns the measurements of a child into the reward that a search maximises.

    A search for a Pareto front reads the measurements apart, in the order of `names`.
    """

    names: tuple[str, ...] = ("validation_accuracy",)  # e.g. also "latency_ms"
    directions: tuple[str, ...] = ("max",)  # "max" or "min" per name

    @abstractmethod
    def reward(self, measurements: Mapping[str, float]) -> float:
        """Returns the reward, higher is better."""

    def needs(self) -> frozenset[str]:
        """Returns the measurements that an evaluation must give; a hook."""
        return frozenset(self.names)

    def known(self) -> frozenset[str]:
        """Returns the names of what `measure` gives; a hook."""
        return frozenset()

    def measure(self, genotype: Genotype) -> Mapping[str, float]:
        """Returns what the objective itself measures of a genotype, e.g. a latency; a hook."""
        return {}

    def is_met(self, measurements: Mapping[str, float]) -> bool:
        """Returns whether a child may be chosen at all; a hook, true by default."""
        return True

    def requirement(self) -> str:
        """Returns what `is_met` requires, in words; a hook."""
        return "nothing"

    def values(self, measurements: Mapping[str, float]) -> tuple[float, ...]:
        """Returns the values of `names`, which are kept apart: the worst where there is none.

        Of a child that diverged, was filtered or lost its workers not everything is measured.
        """
        pairs = zip(self.names, self.directions, strict=True)
        return tuple(measurements.get(n, -inf if way == "max" else inf) for n, way in pairs)


def as_costs(values: Sequence[float], directions: Sequence[str]) -> tuple[float, ...]:
    """Returns the values as costs, of which lower is better: those of "max" change their sign.

    >>> as_costs((0.9, 5.0), ("max", "min"))
    (-0.9, 5.0)
    """
    pairs = zip(values, directions, strict=True)
    return tuple(-value if direction == "max" else value for value, direction in pairs)


def dominates(
    first: tuple[float, ...], other: tuple[float, ...], directions: tuple[str, ...]
) -> bool:
    """Returns whether the first values are nowhere worse than the others, and somewhere better.

    >>> dominates((0.9, 5.0), (0.9, 7.0), ("max", "min"))
    True
    """
    costs = zip(as_costs(first, directions), as_costs(other, directions), strict=True)
    gains = [b - a for a, b in costs]
    return min(gains) >= 0 and max(gains) > 0
