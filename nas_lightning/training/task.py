"""A task says what the targets are, and names the loss and the metrics of a network's outputs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from math import inf
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MultilabelAccuracy,
    MultilabelExactMatch,
    MultilabelF1Score,
)
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError, R2Score

__all__ = ["Classification", "Multilabel", "Regression", "Task"]

Loss = Callable[..., Tensor]
Metrics = Mapping[str, Callable[..., Metric]]

OF_CLASSES: Metrics = MappingProxyType(
    {
        "accuracy": partial(MulticlassAccuracy, average="micro"),
        "balanced_accuracy": partial(MulticlassAccuracy, average="macro"),
    }
)
OF_LABELS: Metrics = MappingProxyType(
    {
        "f1": partial(MultilabelF1Score, average="macro"),
        "label_accuracy": partial(MultilabelAccuracy, average="micro"),
        "exact_match": partial(MultilabelExactMatch),
    }
)
OF_VALUES: Metrics = MappingProxyType(
    {
        "rmse": partial(MeanSquaredError, squared=False),
        "mae": partial(MeanAbsoluteError),
        "r2": partial(R2Score),
    }
)


class Task(ABC):
    """Loss and metrics; the main metric judges children, epochs and searches.

    Args:
        loss: loss(outputs, targets) -> mean loss.
        metrics: makes a torchmetrics metric by its name in logs.
        metric: name of the main one.

    Attributes:
        targets: what the targets are: "classes" (one a image), "labels" (any number) or "values".
        label_smoothing: share of a target spread over the others where a recipe leaves it open.

    Raises:
        ValueError: the main metric is not among the metrics, or nobody knows which of its values
            is better.
    """

    targets: str
    label_smoothing = 0.0

    def __init__(self, loss: Loss, metrics: Metrics, metric: str) -> None:
        makers = {name: maker for name, maker in metrics.items() if maker is not None}
        if metric not in makers:
            raise ValueError(
                f"task.metric '{metric}' must be one of task.metrics: {', '.join(makers)}"
            )
        self._loss, self._makers, self.metric = loss, makers, metric
        better = self.metrics(2)[metric].higher_is_better
        if better is None:
            raise ValueError(
                f"task.metric '{metric}' must be one number of which the higher or the lower is "
                f"better; choose from: {', '.join(n for n in makers if n != metric)}"
            )
        self.higher_is_better = bool(better)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the metrics."""
        return tuple(self._makers)

    @property
    def worst(self) -> float:
        """The main metric of a child that has learnt nothing."""
        return 0.0 if self.higher_is_better else inf

    def reward(self, value: float) -> float:
        """Returns a value of the main metric such that higher is better."""
        return value if self.higher_is_better else -value

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Returns the mean loss.

        Args:
            outputs: (N, outputs), as the network gives them.
            targets: class indices (N,), or (N, outputs); shares where images were mixed.
            label_smoothing: share of a target spread over the others, in [0, 1).
        """
        return self._loss(outputs, self._smoothed(targets, label_smoothing))

    def metrics(self, num_outputs: int) -> dict[str, Metric]:
        """Returns new metrics by name."""
        size = self._size(num_outputs)
        return {name: make(**size) for name, make in self._makers.items()}

    def update(self, metric: Metric, outputs: Tensor, targets: Tensor) -> None:
        """Lets a metric see a batch."""
        metric.update(*self._measured(outputs.detach(), targets))

    def confusion(self, num_outputs: int) -> Metric | None:
        """Returns a new metric that counts which class is taken for which; None without classes."""
        return None

    def fitted(self, mean: Tensor, std: Tensor) -> "Task":
        """Returns the task for targets with this mean and deviation (outputs,), of training."""
        return self

    def card(self) -> dict[str, Any]:
        """Returns what tells the meaning of outputs, as plain data, kept with a child."""
        return {"targets": self.targets}

    def check(self, num_outputs: int, label_smoothing: float | None = None) -> None:
        """Computes loss and metrics once, of nothing, to find early what does not fit.

        Raises:
            ValueError: the loss or a metric cannot be computed of such targets.
        """
        outputs = torch.zeros(2, num_outputs)
        targets = torch.arange(2) if self.targets == "classes" else torch.eye(2, num_outputs)
        smoothing = self.label_smoothing if label_smoothing is None else label_smoothing
        try:
            self.loss(outputs, targets, smoothing)
            for metric in self.metrics(num_outputs).values():
                self.update(metric, outputs, targets)
        except (TypeError, RuntimeError, AttributeError) as error:
            raise ValueError(
                f"task.loss and task.metrics must fit outputs (N, {num_outputs}) and targets that "
                f"are {self.targets}: {error}"
            ) from error

    @abstractmethod
    def _size(self, num_outputs: int) -> dict[str, int]:
        """Returns what a metric must know of the outputs; a hook."""

    @abstractmethod
    def _measured(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns predictions and targets as metrics want them; a hook."""

    @abstractmethod
    def _smoothed(self, targets: Tensor, share: float) -> Tensor:
        """Returns the targets, a share of them spread over the others; a hook."""


class Classification(Task):
    """One class an image.

    Args:
        loss: loss(logits (N, classes), targets) -> mean loss, with `label_smoothing` where a
            recipe has some.
        metrics: torchmetrics of several classes by name; each is told `num_classes`.
        metric: name of the main one.
    """

    targets = "classes"
    label_smoothing = 0.1

    def __init__(
        self,
        loss: Loss = F.cross_entropy,
        metrics: Metrics = OF_CLASSES,
        metric: str = "accuracy",
    ) -> None:
        super().__init__(loss, metrics, metric)

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Returns the mean loss; targets are class indices (N,) or shares (N, classes)."""
        if label_smoothing:
            return self._loss(outputs, targets, label_smoothing=label_smoothing)
        return self._loss(outputs, targets)

    def confusion(self, num_outputs: int) -> Metric:
        """Returns a new metric that counts which class (row) is taken for which (column)."""
        return MulticlassConfusionMatrix(num_outputs)

    def _size(self, num_outputs: int) -> dict[str, int]:
        return {"num_classes": num_outputs}

    def _measured(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return outputs, targets.argmax(1) if targets.is_floating_point() else targets

    def _smoothed(self, targets: Tensor, share: float) -> Tensor:
        return targets  # the loss itself does it


class Multilabel(Task):
    """Any number of labels an image, each of them there or not.

    Args:
        loss: loss(logits (N, labels), targets (N, labels) in [0, 1]) -> mean loss.
        metrics: torchmetrics of several labels by name; each is told `num_labels` and gets
            probabilities.
        metric: name of the main one.
    """

    targets = "labels"

    def __init__(
        self,
        loss: Loss = F.binary_cross_entropy_with_logits,
        metrics: Metrics = OF_LABELS,
        metric: str = "f1",
    ) -> None:
        super().__init__(loss, metrics, metric)

    def _size(self, num_outputs: int) -> dict[str, int]:
        return {"num_labels": num_outputs}

    def _measured(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return outputs.float().sigmoid(), (targets > 0.5).int()

    def _smoothed(self, targets: Tensor, share: float) -> Tensor:
        return targets * (1 - share) + share / 2 if share else targets


class Regression(Task):
    """One or several numbers an image.

    The network learns them in standard deviations around their mean, both of the training set;
    metrics are in the units of the targets.

    Args:
        loss: loss(outputs (N, values), targets (N, values)) -> mean loss, both standardised.
        metrics: torchmetrics of numbers by name.
        metric: name of the main one.
    """

    targets = "values"

    def __init__(
        self, loss: Loss = F.mse_loss, metrics: Metrics = OF_VALUES, metric: str = "rmse"
    ) -> None:
        super().__init__(loss, metrics, metric)
        self.mean: tuple[float, ...] = (0.0,)
        self.std: tuple[float, ...] = (1.0,)

    @property
    def worst(self) -> float:
        """The main metric of a child that has learnt nothing."""
        return -inf if self.higher_is_better else inf

    def fitted(self, mean: Tensor, std: Tensor) -> "Regression":
        """Returns the task for targets with this mean and deviation (values,), of training."""
        task = Regression(self._loss, self._makers, self.metric)
        task.mean, task.std = tuple(mean.tolist()), tuple(std.tolist())
        return task

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Returns the mean loss of standardised values; targets (N, values) are as they were.

        Raises:
            ValueError: `label_smoothing` is not 0.
        """
        mean, std = outputs.new_tensor(self.mean), outputs.new_tensor(self.std)
        standard = (targets.to(outputs.dtype) - mean) / std
        return self._loss(outputs, self._smoothed(standard, label_smoothing))

    def card(self) -> dict[str, Any]:
        """Returns what tells the meaning of outputs: value = output * std + mean."""
        return {"targets": self.targets, "mean": list(self.mean), "std": list(self.std)}

    def _size(self, num_outputs: int) -> dict[str, int]:
        return {}

    def _measured(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        outputs = outputs.to(targets.dtype)
        values = outputs * outputs.new_tensor(self.std) + outputs.new_tensor(self.mean)
        return (values.flatten(), targets.flatten()) if targets.shape[1] == 1 else (values, targets)

    def _smoothed(self, targets: Tensor, share: float) -> Tensor:
        if share:
            raise ValueError(
                f"child.label_smoothing ({share}) has no meaning for task=regression; leave it "
                "null, or give 0"
            )
        return targets
