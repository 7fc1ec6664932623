"""Classes that test_build makes from configuration."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Inner:
    """A nested part."""

    size: int = 1


@dataclass(frozen=True)
class Leaf:
    """A part with an argument of every kind that a configuration can hold."""

    epochs: int = 3
    rate: float = 0.5
    flag: bool = False
    name: str = "x"
    limit: int | None = None
    inner: Inner | None = None
    shape: tuple[int, ...] = (1,)
    table: dict[str, float] | None = None
    ops: Sequence[str] = ("skip",)
    source: Callable[[], int] = int


class Empty:
    """A part without arguments."""


class Strategy:
    """A part that gets more from the run than from its configuration."""

    def __init__(self, space: object, seed: int, epochs: int = 1) -> None:
        if epochs < 1:
            raise ValueError(f"strategy.epochs ({epochs}) must be at least 1; use e.g. 10")
        self.space, self.seed, self.epochs = space, seed, epochs
