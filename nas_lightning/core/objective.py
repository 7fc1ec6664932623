"""What a search is to maximise: a reward made of measurements, or values kept apart."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol

from nas_lightning.core.genotype import Genotype

__all__ = ["Judge", "Objective", "as_costs", "dominates"]


class Judge(Protocol):
    """What judges a child of its task: the main metric, and whether higher values are better."""

    @property
    def metric(self) -> str:
        """Name of the main metric, e.g. "accuracy"."""

    @property
    def higher_is_better(self) -> bool:
        """Whether higher values are better."""


class Objective(ABC):
    """Turns what was measured of a child into the reward that a search maximises.

    A search for a Pareto front reads the values apart, in the order of `names`.

    Attributes:
        names: the measurements that are kept apart, e.g. ("validation_accuracy", "latency_ms").
        directions: "max" or "min", one a name.
    """

    names: tuple[str, ...] = ("validation_accuracy",)
    directions: tuple[str, ...] = ("max",)

    @abstractmethod
    def reward(self, measurements: Mapping[str, float]) -> float:
        """Returns the reward, higher is better."""

    def needs(self) -> frozenset[str]:
        """Returns the measurements that an evaluation has to give; a hook."""
        return frozenset(self.names)

    def known(self) -> frozenset[str]:
        """Returns the names of what `measure` gives; a hook."""
        return frozenset()

    def measure(self, genotype: Genotype) -> Mapping[str, float]:
        """Returns what the objective knows of a genotype by itself, e.g. a latency; a hook."""
        return {}

    def is_met(self, measurements: Mapping[str, float]) -> bool:
        """Returns whether a child may be chosen at all; a hook, true by default."""
        return True

    def requirement(self) -> str:
        """Returns what `is_met` asks for, in words; a hook."""
        return "nothing"

    def values(self, measurements: Mapping[str, float]) -> tuple[float, ...]:
        """Returns the values that are kept apart, one a name, as they were measured."""
        return tuple(measurements[name] for name in self.names)


def as_costs(values: Sequence[float], directions: Sequence[str]) -> tuple[float, ...]:
    """Returns values of which lower is better: those of direction "max" change their sign.

    >>> as_costs((0.9, 5.0), ("max", "min"))
    (-0.9, 5.0)
    """
    pairs = zip(values, directions, strict=True)
    return tuple(-value if direction == "max" else value for value, direction in pairs)


def dominates(
    first: tuple[float, ...], other: tuple[float, ...], directions: tuple[str, ...]
) -> bool:
    """Returns whether one tuple of values is nowhere worse than another, and somewhere better.

    >>> dominates((0.9, 5.0), (0.9, 7.0), ("max", "min"))
    True
    """
    costs = zip(as_costs(first, directions), as_costs(other, directions), strict=True)
    gains = [b - a for a, b in costs]
    return min(gains) >= 0 and max(gains) > 0
