"""Objectives: from what was measured of a child to the reward that a search maximises."""

from collections.abc import Mapping

from nas_lightning.core.objective import Objective

__all__ = ["Accuracy"]


class Accuracy(Objective):
    """The reward is the validation accuracy."""

    def reward(self, measurements: Mapping[str, float]) -> float:
        """Returns the validation accuracy, a share in [0, 1]."""
        return measurements["validation_accuracy"]
