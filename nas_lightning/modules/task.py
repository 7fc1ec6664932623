"""A task names the loss and the metrics of a network's outputs."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy

__all__ = ["Classification"]


class Classification:
    """One label an image: cross-entropy and accuracy.

    Attributes:
        metric: name of the main metric; higher is better.
    """

    metric = "accuracy"

    def loss(self, logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Returns the mean cross-entropy.

        Args:
            logits: (N, classes).
            targets: class indices (N,).
            label_smoothing: share of the target spread over all classes, in [0, 1).
        """
        return F.cross_entropy(logits, targets, label_smoothing=label_smoothing)

    def metrics(self, num_outputs: int) -> dict[str, Metric]:
        """Returns new metrics by name; the main one comes first."""
        makers: dict[str, Callable[[], Metric]] = {
            "accuracy": lambda: MulticlassAccuracy(num_outputs, average="micro"),
        }
        return {name: make() for name, make in makers.items()}
