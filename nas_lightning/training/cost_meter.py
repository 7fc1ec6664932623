"""One meter for the cost of every search, whatever the strategy and the evaluation."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

__all__ = ["CostMeter"]


@dataclass
class CostMeter:
    """What a search has cost so far; retraining is counted by a meter of its own."""

    wall_s: float = 0.0  # seconds on the clock
    device_s: float = 0.0  # seconds times devices
    training_samples: int = 0  # samples whose loss was computed for a gradient, in every pass
    gradient_steps: int = 0  # optimiser steps
    children_trained: int = 0  # children trained on their own
    epochs_trained: int = 0  # passes over a training set, of supernet and children together

    def as_dict(self) -> dict[str, float]:
        """Returns the six figures by name."""
        return asdict(self)

    def add(self, other: "CostMeter | Mapping[str, float]") -> None:
        """Adds another meter's figures to this one."""
        for name, value in (vars(other) if isinstance(other, CostMeter) else other).items():
            setattr(self, name, getattr(self, name) + value)
