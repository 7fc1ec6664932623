"""Finds where a training first met NaN or an infinite number."""

from collections.abc import Mapping

import torch
from torch import Tensor

from nas_lightning.core.strategy import OneShotStrategy

__all__ = ["DATA_CURE", "IMAGES", "LOSSES", "FiniteWatch", "check_finite", "check_search"]

IMAGES = {"train": "the sum of the training inputs", "val": "the sum of the validation inputs"}
LOSSES = {
    "alpha": "the validation loss that moves alphas",
    "params": "the training loss",
    "both": "the loss that moves params and alphas",
}
DATA_CURE = "look for such values in the data"

Noted = tuple[Tensor, Tensor, Tensor]  # first bad step, the value there, the last good value


class FiniteWatch:
    """Notes an epoch's losses on the device, where no step waits, and tells the first bad one."""

    def __init__(self) -> None:
        self.start_epoch()

    def start_epoch(self) -> None:
        """Forgets the last epoch."""
        self._noted: dict[str, Noted] = {}
        self._step = -1

    def start_step(self, images: Mapping[str, Tensor]) -> None:
        """Counts a step, and notes the sums of its images by name."""
        self._step += 1
        for name, batch in images.items():
            self.note(name, batch.sum())

    @torch.no_grad()
    def note(self, name: str, value: Tensor) -> None:
        """Notes a value () of this step."""
        value = value.detach().float()
        unset = torch.full_like(value, torch.inf)
        first, bad, good = self._noted.get(name, (unset, value, unset))
        finite = torch.isfinite(value)
        is_first = ~finite & torch.isinf(first)
        self._noted[name] = (
            torch.where(is_first, torch.full_like(first, float(self._step)), first),
            torch.where(is_first, value, bad),
            torch.where(finite & torch.isinf(first), value, good),
        )

    def check(self, epoch: int, cures: Mapping[str, str]) -> None:
        """Raises FloatingPointError where a value of the epoch was infinite or NaN.

        What to do is given by the name of what was noted, in the order of a step.
        """
        steps = {name: float(self._noted[name][0]) for name in cures if name in self._noted}
        if not steps or min(steps.values()) == torch.inf:
            return
        name = min(steps, key=lambda each: steps[each])  # of equal ones the first
        bad, good = (float(value) for value in self._noted[name][1:])
        before = "" if good == torch.inf else f" (the last good one: {good:.4g})"
        step = f"step {int(steps[name])} of epoch {epoch}"
        raise FloatingPointError(f"{name} became {bad} in {step}{before}; {cures[name]}")


def check_finite(what: str, tensors: Mapping[str, Tensor], epoch: int, cure: str) -> None:
    """Raises FloatingPointError where a tensor is not finite; `what` is e.g. "params"."""
    if not tensors:
        return
    largest = torch.stack([t.detach().abs().amax().float() for t in tensors.values()]).tolist()
    bad = [name for name, value in zip(tensors, largest, strict=True) if not value < torch.inf]
    if bad:
        raise FloatingPointError(
            f"{len(bad)} of {len(tensors)} {what} became infinite or nan in the last step of "
            f"epoch {epoch}, the first of them {bad[0]}; {cure}"
        )


def check_search(
    watch: FiniteWatch, strategy: OneShotStrategy, params: Mapping[str, Tensor], epoch: int
) -> None:
    """Raises FloatingPointError where an input, a loss, a param or an alpha is not finite."""
    settings = strategy.params_optimizer, strategy.alpha_optimizer
    rates = ["null" if each.lr is None else each.lr for each in settings]
    lower_params = f"lower strategy.params_optimizer.lr ({rates[0]})"
    alphas = f"strategy.alpha_optimizer.lr ({rates[1]})"
    cures = dict.fromkeys(IMAGES.values(), DATA_CURE)
    cures |= dict.fromkeys(LOSSES.values(), f"{lower_params} or {alphas}")
    watch.check(epoch, cures | {LOSSES["params"]: lower_params})
    check_finite("params", params, epoch, lower_params)
    own = dict(strategy.named_parameters())
    check_finite("strategy's parameters", own, epoch, f"lower {alphas}")
