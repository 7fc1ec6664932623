"""Honest baselines on the same split: what a network has to beat."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nas_lightning.data.run_data import RunData
from nas_lightning.training.task import Task

__all__ = ["linear_baseline"]

MAX_IMAGES = 10_000
ROUNDS = 300

Array = NDArray[np.floating]


def linear_baseline(data: RunData, task: Task) -> dict[str, dict[str, float]]:
    """Returns the test figures of a linear model of the normalised pixels, by its name.

    Logistic regression for classes, one for each label where there are several an image, and
    ridge regression for values. It learns from the whole training set, or from an even choice of
    10,000 images where there are more.
    """
    images, targets = data.training_arrays()
    chosen = np.linspace(0, len(targets) - 1, min(len(targets), MAX_IMAGES)).astype(int)
    x, y = images[chosen].reshape(len(chosen), -1), targets[chosen]
    name, fit = {
        "classes": ("logistic_regression", _fit_classes),
        "labels": ("logistic_regression", _fit_labels),
        "values": ("linear_regression", _fit_values),
    }[task.targets]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 300 steps suffice for a baseline, converged or not
        predict = fit(x, y, data.num_outputs)
    test_images, test_targets = data.test_arrays()
    outputs = torch.from_numpy(predict(test_images.reshape(len(test_targets), -1)))
    return {name: _figures(task, outputs, torch.from_numpy(test_targets))}


def _figures(task: Task, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
    figures = {}
    for name, metric in task.metrics(outputs.shape[1]).items():
        task.update(metric, outputs.to(torch.float32), targets)
        figures[f"test_{name}"] = float(metric.compute())
    return figures


def _fit_classes(x: Array, y: NDArray[Any], num_outputs: int) -> Callable[[Array], Array]:
    from sklearn.linear_model import LogisticRegression

    found = np.unique(y)
    model = LogisticRegression(max_iter=ROUNDS).fit(x, y) if len(found) > 1 else None

    def predict(images: Array) -> Array:
        outputs = np.full((len(images), num_outputs), -np.inf)
        outputs[:, found] = 0.0 if model is None else model.predict_log_proba(images)
        return outputs

    return predict


def _fit_labels(x: Array, y: NDArray[Any], num_outputs: int) -> Callable[[Array], Array]:
    columns = [_fit_classes(x, column.astype(int), 2) for column in y.T]
    return lambda images: np.stack([np.diff(each(images))[:, 0] for each in columns], axis=1)


def _fit_values(x: Array, y: NDArray[Any], num_outputs: int) -> Callable[[Array], Array]:
    from sklearn.linear_model import Ridge

    mean, std = y.mean(0), y.std(0)
    model = Ridge(alpha=len(x) / 10).fit(x, (y - mean) / std)
    return lambda images: model.predict(images).reshape(len(images), num_outputs)
