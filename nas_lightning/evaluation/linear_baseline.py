"""The linear baseline on the same split: what a network has to beat."""

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge

from nas_lightning.data.user_data import RunData
from nas_lightning.training.task import Task

__all__ = ["linear_baseline"]

MAX_IMAGES = 10_000
ROUNDS = 300

Array = NDArray[Any]


def linear_baseline(data: RunData, task: Task) -> dict[str, dict[str, float]]:
    """Returns the test figures of a linear model of the normalised inputs, by its name.

    Logistic regression for classes (one per label where an input has several), ridge regression
    for values. It learns from the whole training set, or from 10,000 evenly spaced inputs.
    """
    images, targets = data.training_arrays()
    chosen = np.linspace(0, len(targets) - 1, min(len(targets), MAX_IMAGES)).astype(int)
    x, y = images[chosen].reshape(len(chosen), -1), targets[chosen]
    test_images, test_targets = data.test_arrays()
    test_x = test_images.reshape(len(test_targets), -1)
    name, outputs_of = {
        "classes": ("logistic_regression", _classes),
        "labels": ("logistic_regression", _labels),
        "values": ("linear_regression", _values),
    }[task.targets]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 300 steps suffice for a baseline, converged or not
        outputs = torch.from_numpy(outputs_of(x, y, test_x, data.num_outputs))
    figures = {}
    for metric_name, metric in task.metrics(data.num_outputs).items():
        task.update(metric, outputs.to(torch.float32), torch.from_numpy(test_targets))
        figures[f"test_{metric_name}"] = float(metric.compute())
    return {name: figures}


def _classes(x: Array, y: Array, test_x: Array, num_outputs: int) -> Array:
    """Returns logits; those of classes that are not in the training set are -inf."""
    classes = np.unique(y)
    outputs = np.full((len(test_x), num_outputs), -np.inf)
    outputs[:, classes] = 0.0
    if len(classes) > 1:
        model = LogisticRegression(max_iter=ROUNDS).fit(x, y)
        outputs[:, classes] = model.predict_log_proba(test_x)
    return outputs


def _labels(x: Array, y: Array, test_x: Array, num_outputs: int) -> Array:
    columns = [_classes(x, column.astype(int), test_x, 2) for column in y.T]
    return np.stack([np.diff(column)[:, 0] for column in columns], axis=1)


def _values(x: Array, y: Array, test_x: Array, num_outputs: int) -> Array:
    """Returns values in units of the training targets' deviation from their mean."""
    model = Ridge(alpha=len(x) / 10).fit(x, (y - y.mean(0)) / y.std(0))
    return np.asarray(model.predict(test_x)).reshape(len(test_x), num_outputs)
