"""Metrics as scikit-learn defines them, where torchmetrics' own differ or lose digits."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

__all__ = ["R2", "BalancedAccuracy"]


class BalancedAccuracy(Metric):
    """The mean recall of the classes that occur among the targets.

    torchmetrics' macro average also counts, as 0, a class that is predicted and never occurs.
    """

    higher_is_better, full_state_update = True, False
    right: Tensor
    total: Tensor

    def __init__(self, num_classes: int, **options: Any) -> None:
        super().__init__(**options)
        for name in ("right", "total"):
            zeros = torch.zeros(num_classes, dtype=torch.int64)
            self.add_state(name, zeros, dist_reduce_fx="sum")

    def update(self, scores: Tensor, targets: Tensor) -> None:
        """Adds a batch of scores (N, classes) and class indices (N,)."""
        is_right = scores.argmax(1) == targets
        self.right += targets[is_right].bincount(minlength=len(self.right))
        self.total += targets.bincount(minlength=len(self.total))

    def compute(self) -> Tensor:
        """Returns the balanced accuracy, in [0, 1]."""
        occurs = self.total > 0
        return (self.right[occurs] / self.total[occurs]).mean()


class R2(Metric):
    """1 - SSE / SST, the mean over columns; of a constant column 1 where SSE is 0, else 0.

    SST comes from the deviations from each batch's mean, in float64, and batches and processes
    are merged as in Chan, Golub & LeVeque, Updating Formulae, 1979, equation 2.1: a mean far from
    zero costs no digits. It is NaN for fewer than two samples.
    """

    higher_is_better, full_state_update = True, True
    parts: Tensor

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # per column: number, mean and SST of the targets, SSE; of several processes stacked
        self.add_state("parts", torch.zeros(4, 1, dtype=torch.float64), dist_reduce_fx=None)

    def update(self, values: Tensor, targets: Tensor) -> None:
        """Adds a batch of values and targets, both (N,) or (N, columns)."""
        wide, true = (x.double().reshape(len(x), -1) for x in (values, targets))
        mean = true.mean(0)
        spread, error = ((true - other).square().sum(0) for other in (mean, wide))
        self.parts = _merged(
            self.parts, torch.stack([torch.full_like(mean, len(true)), mean, spread, error])
        )

    def compute(self) -> Tensor:
        """Returns R2, at most 1."""
        first, *others = self.parts.reshape(-1, *self.parts.shape[-2:])
        for other in others:
            first = _merged(first, other)
        number, _, spread, error = first
        of_constant = (error == 0).double()
        shares = torch.where(spread == 0, of_constant, 1 - error / spread)
        return torch.where(number > 1, shares, torch.nan).mean()


def _merged(a: Tensor, b: Tensor) -> Tensor:
    """Returns the parts (4, columns) of both samples together."""
    number = a[0] + b[0]
    share, gap = b[0] / number, b[1] - a[1]
    mean = a[1] + gap * share
    spread = a[2] + b[2] + gap.square() * a[0] * share
    return torch.stack([number, mean, spread, a[3] + b[3]])
