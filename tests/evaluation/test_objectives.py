"""The plainest objective: the task's main metric."""

import pytest

from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.modules.task import Classification, Regression


@pytest.mark.parametrize(
    ("task", "measured", "reward"),
    [
        (Classification(), {"validation_accuracy": 0.75, "parameters": 10**9}, 0.75),
        (Regression(), {"validation_rmse": 2.5, "validation_r2": 0.9}, -2.5),
        (Regression(metric="r2"), {"validation_rmse": 2.5, "validation_r2": 0.9}, 0.9),
    ],
)
def test_the_reward_is_the_main_metric_and_higher_is_better(task, measured, reward):
    assert Accuracy(task).reward(measured) == reward
