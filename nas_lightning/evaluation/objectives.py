"""Objectives: from what was measured of a child to the reward that a search maximises."""

from collections.abc import Mapping

from nas_lightning.core.objective import Objective
from nas_lightning.modules.task import Classification, Task

__all__ = ["Accuracy"]


class Accuracy(Objective):
    """The reward is the task's main metric on validation images: of classes the accuracy.

    It is made negative where lower values are better, as of an error.

    Args:
        task: names the metric and its direction.
    """

    def __init__(self, task: Task | None = None) -> None:
        self.task = task or Classification()
        self.names = (f"validation_{self.task.metric}",)
        self.directions = ("max" if self.task.higher_is_better else "min",)

    def reward(self, measurements: Mapping[str, float]) -> float:
        """Returns the reward of one child's measurements; higher is better."""
        return self.task.reward(measurements[self.names[0]])
