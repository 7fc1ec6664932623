"""A task says what the targets are, and names the loss and the metrics of a network's outputs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric, classification, regression

from nas_lightning.core.checks import most_like
from nas_lightning.training.metrics import R2, BalancedAccuracy

__all__ = ["Classification", "Multilabel", "Regression", "Task"]

Loss = Callable[..., Tensor]
Metrics = Mapping[str, Callable[..., Metric]]

OF_CLASSES: Metrics = {
    "accuracy": partial(classification.MulticlassAccuracy, average="micro"),
    "balanced_accuracy": BalancedAccuracy,
}
OF_LABELS: Metrics = {
    "f1": partial(classification.MultilabelF1Score, average="macro"),
    "label_accuracy": partial(classification.MultilabelAccuracy, average="micro"),
    "exact_match": classification.MultilabelExactMatch,
}
OF_VALUES: Metrics = {
    "rmse": partial(regression.MeanSquaredError, squared=False),
    "mae": regression.MeanAbsoluteError,
    "r2": R2,
}


class Task(ABC):
    """Loss and metrics.

    Args:
        loss: loss(outputs, targets) -> mean loss.
        metrics: makers of torchmetrics metrics by name in logs; None leaves one out.
        metric: name of the main one, which judges children, epochs and searches.

    Attributes:
        targets: "classes" (one per image), "labels" (any number per image) or "values".
        size_argument: what metrics call the number of outputs; "" if they do not ask for it.
        label_smoothing: share of a target spread over the others where a recipe leaves it open.

    Raises: ValueError: the main metric is not among the metrics, or has no better direction.
    """

    targets: str
    size_argument = ""
    label_smoothing = 0.0

    def __init__(self, loss: Loss, metrics: Metrics, metric: str) -> None:
        makers = {name: maker for name, maker in metrics.items() if maker is not None}
        if metric not in makers:
            raise ValueError(
                f"task.metric '{metric}' must be one of task.metrics: {', '.join(makers)}"
                f"{most_like(metric, makers)}"
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

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Returns the mean loss of outputs (N, outputs), as the network gives them.

        Targets are class indices (N,), or (N, outputs); shares in [0, 1] where images were mixed.
        """

    def metrics(self, num_outputs: int) -> dict[str, Metric]:
        """Returns new metrics by name."""
        size = {self.size_argument: num_outputs} if self.size_argument else {}
        return {name: make(**size) for name, make in self._makers.items()}

    def update(self, metric: Metric, outputs: Tensor, targets: Tensor) -> None:
        """Adds a batch to a metric."""
        metric.update(*self._measured(outputs.detach(), targets))

    def confusion(self, num_outputs: int) -> Metric | None:
        """Returns a new metric that counts which class is taken for which; None without classes."""
        return None

    def fitted(self, mean: Tensor, std: Tensor) -> "Task":
        """Returns the task for training targets of this mean and deviation (outputs,)."""
        return self

    def card(self) -> dict[str, Any]:
        """Returns what the outputs mean, as plain data that is kept with a child."""
        return {"targets": self.targets}

    def check(self, num_outputs: int, label_smoothing: float | None = None) -> None:
        """Computes loss and metrics of zeros, to find early what does not fit.

        Raises: ValueError: the loss or a metric does not fit the targets.
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
    def _measured(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns predictions and targets as metrics want them; a hook."""


class Classification(Task):
    """One class per image: `loss` gets logits (N, classes), targets and maybe `label_smoothing`.

    Each of the metrics is given `num_classes`, and probabilities (N, classes), whatever the logits.
    """

    targets, size_argument = "classes", "num_classes"
    label_smoothing = 0.1

    def __init__(
        self, loss: Loss = F.cross_entropy, metrics: Metrics = OF_CLASSES, metric: str = "accuracy"
    ) -> None:
        super().__init__(loss, metrics, metric)

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Returns the mean loss; targets are class indices (N,) or shares (N, classes)."""
        if label_smoothing:
            return self._loss(outputs, targets, label_smoothing=label_smoothing)
        return self._loss(outputs, targets)

    def confusion(self, num_outputs: int) -> Metric:
        """Returns a new metric that counts which class (row) is taken for which (column)."""
        return classification.MulticlassConfusionMatrix(num_outputs)

    def _measured(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        probabilities = outputs.double().softmax(1)  # wide, so that no two of them become equal
        return probabilities, targets.argmax(1) if targets.is_floating_point() else targets


class Multilabel(Task):
    """Any number of labels per image: `loss` gets logits and targets (N, labels), these in [0, 1].

    Each of the metrics is given `num_labels`, and probabilities.
    """

    targets, size_argument = "labels", "num_labels"

    def __init__(
        self,
        loss: Loss = F.binary_cross_entropy_with_logits,
        metrics: Metrics = OF_LABELS,
        metric: str = "f1",
    ) -> None:
        super().__init__(loss, metrics, metric)

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Returns the mean loss; targets (N, labels) are in [0, 1]."""
        if label_smoothing:
            targets = targets * (1 - label_smoothing) + label_smoothing / 2
        return self._loss(outputs, targets)

    def _measured(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return outputs.float().sigmoid(), (targets > 0.5).int()


class Regression(Task):
    """One or several numbers per image: `loss` gets outputs and targets (N, values).

    Both are in standard deviations around the mean of the training set; metrics are in the units
    of the targets, and count in float64.
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

    def update(self, metric: Metric, outputs: Tensor, targets: Tensor) -> None:
        """Adds a batch to a metric, whose sums are float64 even where a module is bfloat16."""
        if metric.dtype != torch.float64:
            metric.set_dtype(torch.float64)
        super().update(metric, outputs, targets)

    def fitted(self, mean: Tensor, std: Tensor) -> "Regression":
        """Returns the task for training targets of this mean and deviation (values,)."""
        task = Regression(self._loss, self._makers, self.metric)
        task.mean, task.std = tuple(mean.tolist()), tuple(std.tolist())
        return task

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Returns the mean loss of standardised values; raises ValueError for label smoothing."""
        if label_smoothing:
            raise ValueError(
                f"child.label_smoothing ({label_smoothing}) has no meaning for task=regression; "
                "leave it null, or give 0"
            )
        mean, std = (_placed(numbers, outputs) for numbers in (self.mean, self.std))
        return self._loss(outputs, (targets.to(outputs.dtype) - mean) / std)

    def card(self) -> dict[str, Any]:
        """Returns what the outputs mean: value = output * std + mean."""
        return {"targets": self.targets, "mean": list(self.mean), "std": list(self.std)}

    def _measured(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        outputs, targets = outputs.double(), targets.double()
        values = outputs * outputs.new_tensor(self.std) + outputs.new_tensor(self.mean)
        return (values.flatten(), targets.flatten()) if targets.shape[1] == 1 else (values, targets)


def _placed(numbers: Sequence[float], like: Tensor) -> Tensor:
    """Returns numbers (n,) on a tensor's device; to copy them there would wait for it."""
    return torch.stack([like.new_full((), number) for number in numbers])
